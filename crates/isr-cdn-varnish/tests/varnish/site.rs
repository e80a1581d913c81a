//! An origin, a Varnish in front of it, and the connector that purges it.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    CdnConnector, ConnectorError, Epoch, Mode, PageUrl, Position, PurgeBatch, PurgeReceipt, Tag,
    Target,
};
use isr_testkit::{CountingOrigin, VarnishServer};
use reqwest::{Client, Method, Response};

/// The VCL that users are given.
pub(crate) const VCL: &str = include_str!("../../../../docs/connectors/varnish.vcl");

/// How often is looked for a condition, and the pause in between: ten seconds in all.
const LOOKS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Site {
    pub(crate) origin: CountingOrigin,
    pub(crate) varnish: VarnishServer,
    pub(crate) connector: Arc<dyn CdnConnector>,
    client: Client,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_for(&["127.0.0.1"], VCL).await
    }

    pub(crate) async fn start_for(purgers: &[&str], vcl: &str) -> Self {
        let origin = CountingOrigin::start().await;
        let varnish = VarnishServer::start(origin.address(), purgers, vcl).await;
        let connectors = connect(&format!("machines = ['{}']", varnish.url()));
        Self {
            origin,
            varnish,
            connector: Arc::clone(&connectors[0]),
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.varnish.url());
        let request = self.client.request(method, url).header("host", host);
        let request = headers.iter().fold(request, |request, (name, value)| {
            request.header(*name, *value)
        });
        request.send().await.unwrap()
    }

    /// The version of a page that a visitor sees.
    pub(crate) async fn visit(&self, host: &str, path: &str) -> u64 {
        self.visit_in(host, path, "").await
    }

    /// The same for a visitor who prefers a language, unless that is empty.
    pub(crate) async fn visit_in(&self, host: &str, path: &str, language: &str) -> u64 {
        let headers = [("accept-language", language)];
        let headers = if language.is_empty() {
            &[]
        } else {
            &headers[..]
        };
        let response = self.request("GET", host, path, headers).await;
        version(response).await
    }

    /// Waits until visitors see a version.
    pub(crate) async fn shows(&self, host: &str, path: &str, version: u64) {
        for _ in 0..LOOKS {
            if self.visit(host, path).await == version {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{host}{path} never came to version {version}");
    }

    /// Waits until the origin was asked for a page so many times.
    pub(crate) async fn asked(&self, path: &str, times: u64) {
        for _ in 0..LOOKS {
            if self.origin.requests(path) >= times {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        assert_eq!(self.origin.requests(path), times);
    }

    pub(crate) async fn purge(
        &self,
        targets: &[Target],
        mode: Mode,
    ) -> Result<PurgeReceipt, ConnectorError> {
        let position = Position::new(Epoch::new(1), [1]);
        let batch = PurgeBatch::new(targets.to_vec(), mode, position).unwrap();
        self.connector.purge(&batch).await
    }
}

/// The version of a page, as its body says.
pub(crate) async fn version(response: Response) -> u64 {
    let body = response.error_for_status().unwrap().text().await.unwrap();
    let (_, version) = body.rsplit_once(" v").unwrap();
    version.parse().unwrap()
}

/// Connectors named `cache`, with short timeouts.
pub(crate) fn connect(options: &str) -> Vec<Arc<dyn CdnConnector>> {
    // Another test may have been quicker.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = format!("{options}\nconnect_timeout = '2s'\ntimeout = '2s'");
    isr_cdn_varnish::connect("cache", toml::from_str(&options).unwrap()).unwrap()
}

pub(crate) fn page(url: &str) -> PageUrl {
    PageUrl::parse(url).unwrap()
}

pub(crate) fn url(path: &str) -> Target {
    Target::Url(page(&format!("https://www.example.com{path}")))
}

pub(crate) fn prefix(path: &str) -> Target {
    Target::Prefix(page(&format!("https://www.example.com{path}")))
}

pub(crate) fn tag(text: &str) -> Target {
    Target::Tag(Tag::new(text).unwrap())
}
