//! Asking a site through its admin API: a running server's, or, where none runs, one that is put
//! together here over the site's store.

mod direct;
mod server;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use edge_isr::config::{self, Config};
use edge_isr::core::Secret;
use http::{Method, StatusCode};
use reqwest::Url;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::direct::Direct;
use self::server::Server;
use crate::admin::Problem;
use crate::cli;
use crate::failure::Failure;
use crate::output::Output;

/// The variable that holds the API's token.
const TOKEN_VARIABLE: &str = "EDGE_ISR_TOKEN";

/// How long an answer may take that nothing is waited for in.
const PATIENCE: Duration = Duration::from_mins(1);

/// An admin API.
#[derive(Debug)]
pub(crate) struct Client {
    base: Url,
    reached: Reached,
}

/// How the API is reached.
#[derive(Debug)]
enum Reached {
    Server(Server),
    Direct(Box<Direct>),
}

/// One request, before it is known how it travels.
#[derive(Debug)]
struct Request {
    method: Method,
    url: Url,
    /// JSON.
    body: Option<Vec<u8>>,
    /// How long the answer may take.
    patience: Duration,
}

impl Client {
    /// The server that the arguments name. Without any it is the configuration's, and where nobody
    /// listens there, the configuration's store itself.
    ///
    /// # Errors
    ///
    /// A server or configuration that cannot be used; neither a server nor a store.
    pub(crate) async fn new(
        arguments: &cli::Server,
        file: Option<&Path>,
        output: Output,
    ) -> Result<Self, Failure> {
        let token = given_token(arguments)?;
        if let Some(server) = &arguments.server {
            return Self::to(server, token);
        }
        let config = config::load(file)?.config;
        let server = server_of(&config);
        match server {
            Some(address) if server::listens(address).await => {
                Self::to(&format!("http://{address}"), token.or(config.admin.token))
            }
            _ => Self::beside(config, server, output).await,
        }
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
        let base = Url::parse(server).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(wrong());
        }
        let reached = Reached::Server(Server::new(&base, token)?);
        Ok(Self { base, reached })
    }

    /// The store of a site whose server does not answer at `nobody`.
    async fn beside(
        config: Config,
        nobody: Option<SocketAddr>,
        output: Output,
    ) -> Result<Self, Failure> {
        let nobody = match nobody {
            Some(address) => format!("no server at http://{address}"),
            None => {
                "`listen.admin` takes any free port, so --server would have to say which".into()
            }
        };
        let direct = Direct::open(config, &nobody).await?;
        output.aside(format!("{nobody}: asking the {} itself", direct.name()));
        Ok(Self {
            base: Url::parse("http://localhost/").expect("a valid URL"),
            reached: Reached::Direct(Box::new(direct)),
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
        let (_, answer) = self.get_waiting(path, query, Duration::ZERO).await?;
        Ok(answer)
    }

    /// Asks for a resource; `wait` is how long the server was asked to wait. The status tells whether what
    /// was waited for came about.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn get_waiting<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        wait: Duration,
    ) -> Result<(StatusCode, T), Failure> {
        let mut url = self.url(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(Request {
            method: Method::GET,
            url,
            body: None,
            patience: PATIENCE + wait,
        })
        .await
    }

    /// Sends a request for something to be done; `wait` is how long the server was asked to wait. The
    /// status tells whether it came about.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
        wait: Duration,
    ) -> Result<(StatusCode, T), Failure> {
        self.send(Request {
            method: Method::POST,
            url: self.url(path),
            body: Some(serde_json::to_vec(body).map_err(Failure::asked)?),
            patience: PATIENCE + wait,
        })
        .await
    }

    /// Asks for a resource to go.
    ///
    /// # Errors
    ///
    /// See [`Failure`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Failure> {
        let (_, answer) = self
            .send(Request {
                method: Method::DELETE,
                url: self.url(path),
                body: None,
                patience: PATIENCE,
            })
            .await?;
        Ok(answer)
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .expect("a URL with a host has a path")
            .pop_if_empty()
            .push("v1")
            .extend(path);
        url
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: Request,
    ) -> Result<(StatusCode, T), Failure> {
        let (status, body): (StatusCode, Bytes) = match &self.reached {
            Reached::Server(server) => server.send(request).await?,
            Reached::Direct(direct) => direct.send(request).await?,
        };
        if status.is_success() {
            let answer = serde_json::from_slice(&body).map_err(|error| {
                Failure::Unreachable(format!("{} answered nonsense: {error}", self.name()))
            })?;
            return Ok((status, answer));
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        Err(self.refused(status, problem.as_ref()))
    }

    fn name(&self) -> String {
        match &self.reached {
            Reached::Server(server) => server.name(),
            Reached::Direct(direct) => format!("the {}", direct.name()),
        }
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
            None => format!("{} answered {status}", self.name()),
        };
        match status {
            StatusCode::UNAUTHORIZED => Failure::Usage(format!(
                "{} refused the request: {text} \
                 (give --token-file or {TOKEN_VARIABLE}; without --server, admin.token of the configuration is sent)",
                self.name()
            )),
            StatusCode::BAD_REQUEST
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::PAYLOAD_TOO_LARGE => Failure::Usage(text),
            StatusCode::SERVICE_UNAVAILABLE => Failure::Unreachable(text),
            _ => Failure::Asked(text),
        }
    }
}

/// The token of the arguments, else of the environment.
fn given_token(arguments: &cli::Server) -> Result<Option<Secret>, Failure> {
    let Some(file) = &arguments.token_file else {
        let variable = std::env::var(TOKEN_VARIABLE).ok();
        return Ok(variable.filter(|token| !token.is_empty()).map(Secret::new));
    };
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n'])))),
        Err(error) => Err(Failure::Usage(format!(
            "--token-file {} cannot be read: {error}",
            file.display()
        ))),
    }
}

/// Where the configuration's server is reached from this machine; `None` where it takes any port.
fn server_of(config: &Config) -> Option<SocketAddr> {
    let mut address = config.listen.admin;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    (address.port() != 0).then_some(address)
}
