//! Asking a running server through its admin API.

use std::path::Path;
use std::time::Duration;

use edge_isr::config;
use edge_isr::core::Secret;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::Problem;
use crate::cli;
use crate::failure::Failure;

/// The variable that holds the API's token.
const TOKEN_VARIABLE: &str = "EDGE_ISR_TOKEN";

/// How long an answer may take that nothing is waited for in.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running server.
#[derive(Debug)]
pub(crate) struct Client {
    server: Url,
    token: Option<Secret>,
    http: reqwest::Client,
}

impl Client {
    /// The server that the arguments name, or else the configuration.
    ///
    /// # Errors
    ///
    /// A server or configuration that cannot be used.
    pub(crate) fn new(arguments: &cli::Server, file: Option<&Path>) -> Result<Self, Failure> {
        let variable = std::env::var(TOKEN_VARIABLE)
            .ok()
            .filter(|token| !token.is_empty());
        let given = match &arguments.token_file {
            Some(file) => Some(read_token(file)?),
            None => variable.map(Secret::new),
        };
        let (server, token) = match &arguments.server {
            Some(server) => (server.clone(), given),
            None => configured(file, given)?,
        };
        Self::to(&server, token)
    }

    /// A server by its address and token.
    ///
    /// # Errors
    ///
    /// An address that is none.
    pub(crate) fn to(server: &str, token: Option<Secret>) -> Result<Self, Failure> {
        let wrong = || {
            Failure::Usage(format!(
                "the server `{server}` is no URL such as http://127.0.0.1:8081"
            ))
        };
        let server = Url::parse(server).map_err(|_| wrong())?;
        if !matches!(server.scheme(), "http" | "https") || !server.has_host() {
            return Err(wrong());
        }
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(Failure::asked)?;
        Ok(Self {
            server,
            token,
            http,
        })
    }

    /// Asks for a resource.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(self.http.request(Method::GET, url).timeout(PATIENCE))
            .await
    }

    /// Sends a request for something to be done; `wait` is how long the server was asked to wait.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        wait: Duration,
    ) -> Result<T, Failure> {
        let request = self.http.request(Method::POST, self.url(path)).json(body);
        self.send(request.timeout(PATIENCE + wait)).await
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.server.clone();
        url.path_segments_mut()
            .expect("a URL with a host has a path")
            .pop_if_empty()
            .push("v1")
            .extend(path);
        url
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(token.expose()),
            None => request,
        };
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() {
            return response
                .json()
                .await
                .map_err(|error| self.unreachable(error));
        }
        let problem: Option<Problem> = response.json().await.ok();
        Err(self.refused(status, problem.as_ref()))
    }

    fn unreachable(&self, error: reqwest::Error) -> Failure {
        let error = anyhow::Error::from(error.without_url());
        Failure::Unreachable(format!(
            "no answer from the server at {}: {error:#}",
            self.server
        ))
    }

    fn refused(&self, status: StatusCode, problem: Option<&Problem>) -> Failure {
        let text = match problem {
            Some(problem) if problem.items.len() > 1 => {
                let items = problem
                    .items
                    .iter()
                    .map(|item| format!("\n  {}: {}", item.item, item.detail));
                format!("{}{}", problem.detail, items.collect::<String>())
            }
            Some(problem) => problem.detail.clone(),
            None => format!("the server at {} answered {status}", self.server),
        };
        match status {
            StatusCode::UNAUTHORIZED => Failure::Usage(format!(
                "the server at {} refused the request: {text} \
                 (give --token-file, {TOKEN_VARIABLE}, or admin.token in the configuration)",
                self.server
            )),
            StatusCode::BAD_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::PAYLOAD_TOO_LARGE => Failure::Usage(text),
            StatusCode::SERVICE_UNAVAILABLE => Failure::Unreachable(text),
            _ => Failure::Asked(text),
        }
    }
}

fn read_token(file: &Path) -> Result<Secret, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
        Err(error) => Err(Failure::Usage(format!(
            "--token-file {} cannot be read: {error}",
            file.display()
        ))),
    }
}

/// The server of the configuration, as it is reached from this machine.
fn configured(
    file: Option<&Path>,
    given: Option<Secret>,
) -> Result<(String, Option<Secret>), Failure> {
    let config = config::load(file)?.config;
    let mut address = config.listen.admin;
    if address.port() == 0 {
        return Err(Failure::Usage(
            "`listen.admin` takes any free port: say which with --server".into(),
        ));
    }
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok((format!("http://{address}"), given.or(config.admin.token)))
}
