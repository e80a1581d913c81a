//! An origin, an nginx in front of it, and the connector that purges it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    CdnConnector, ConnectorError, Epoch, Mode, PageUrl, Position, PurgeBatch, PurgeReceipt, Target,
};
use isr_testkit::{CountingOrigin, NginxModules, NginxServer};
use reqwest::{Client, Method, Response};

/// The configuration that users are given.
const CONFIGURATION: &str = include_str!("../../../../docs/connectors/nginx.conf");

/// How often is looked for a condition, and the pause in between: ten seconds in all.
pub(crate) const LOOKS: usize = 1_000;
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

pub(crate) const HOST: &str = "www.example.com";

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) origin: CountingOrigin,
    pub(crate) nginx: NginxServer,
    pub(crate) connector: Arc<dyn CdnConnector>,
    client: Client,
}

impl Site {
    /// One that is purged by its location, with changes to the configuration.
    pub(crate) async fn with_location(options: &str, changes: &[(&str, &str)]) -> Self {
        let origin = CountingOrigin::start().await;
        let nginx = start(NginxModules::CachePurge, &origin, changes).await;
        let options = format!("machines = ['{}']\n{options}", nginx.url());
        let connector = connect(&format!("method = 'purge_location'\n{options}"));
        Self::new(origin, nginx, connector)
    }

    /// One that is purged by removing its files, with changes to the configuration.
    pub(crate) async fn with_files(options: &str, changes: &[(&str, &str)]) -> Self {
        let origin = CountingOrigin::start().await;
        let nginx = start(NginxModules::Stock, &origin, changes).await;
        let path = nginx.cache();
        // Nothing but a purge looks what there is, so that no test depends on when something else did.
        let options = format!(
            "path = '{}'\nrefresh_interval = '1h'\n{options}",
            path.display()
        );
        let connector = connect(&format!("method = 'cache_path'\n{options}"));
        Self::new(origin, nginx, connector)
    }

    fn new(origin: CountingOrigin, nginx: NginxServer, connector: Arc<dyn CdnConnector>) -> Self {
        Self {
            origin,
            nginx,
            connector,
            client: Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// The version of a page that a visitor sees.
    pub(crate) async fn visit(&self, host: &str, path: &str) -> u64 {
        self.visit_in(host, path, "").await
    }

    /// The same for a visitor who prefers a language, unless that is empty.
    pub(crate) async fn visit_in(&self, host: &str, path: &str, language: &str) -> u64 {
        version(self.request(host, path, language).await).await
    }

    pub(crate) async fn request(&self, host: &str, path: &str, language: &str) -> Response {
        let url = format!("{}{path}", self.nginx.url());
        let mut request = self.client.get(url).header("host", host);
        if !language.is_empty() {
            request = request.header("accept-language", language);
        }
        request.send().await.unwrap().error_for_status().unwrap()
    }

    /// What a visitor's request of some method is answered with.
    pub(crate) async fn status(&self, method: &str, path: &str) -> u16 {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}{path}", self.nginx.url());
        let response = self.client.request(method, url).send().await.unwrap();
        response.status().as_u16()
    }

    pub(crate) async fn purge(&self, targets: &[Target]) -> Result<PurgeReceipt, ConnectorError> {
        let position = Position::new(Epoch::new(1), [1]);
        let batch = PurgeBatch::new(targets.to_vec(), Mode::Hard, position).unwrap();
        self.connector.purge(&batch).await
    }

    /// Purges what is taken, and gives the number of copies that went.
    pub(crate) async fn copies(&self, targets: &[Target]) -> u64 {
        let receipt = self.purge(targets).await.unwrap();
        assert_eq!(receipt.accepted, targets.len() as u64);
        receipt.copies.unwrap()
    }
}

/// The version of a page, as its body says.
pub(crate) async fn version(response: Response) -> u64 {
    let body = response.text().await.unwrap();
    let (_, version) = body.rsplit_once(" v").unwrap();
    version.parse().unwrap()
}

/// Waits for a number of files in the cache: nginx answers before it has put a page there.
pub(crate) async fn settle(site: &Site, files: usize) {
    for _ in 0..LOOKS {
        if count(&site.nginx.cache()) == files {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!(
        "there are {} files, and not {files}",
        count(&site.nginx.cache())
    );
}

fn count(folder: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0; // a folder of a level may come and go
    };
    let entries = entries.filter_map(Result::ok);
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count(&entry.path()),
            _ => usize::from(entry.file_name().len() == 32),
        })
        .sum()
}

/// Starts nginx with the documented configuration, without what a stock one does not understand.
pub(crate) async fn start(
    modules: NginxModules,
    origin: &CountingOrigin,
    changes: &[(&str, &str)],
) -> NginxServer {
    let mut text = match modules {
        NginxModules::Stock => without_marked(CONFIGURATION),
        NginxModules::CachePurge => CONFIGURATION.to_owned(),
    };
    for (from, to) in changes {
        assert!(text.contains(from), "there is no `{from}` to change");
        text = text.replace(from, to);
    }
    let origin = origin.address().to_string();
    NginxServer::start(modules, |address, cache| {
        // What is different on every machine.
        let places = [
            ("/var/cache/nginx/pages ", format!("{} ", cache.display())),
            ("listen 80;", format!("listen {address};")),
            ("server 127.0.0.1:8080;", format!("server {origin};")),
        ];
        places.iter().fold(text.clone(), |text, (from, to)| {
            assert_eq!(text.matches(from).count(), 1, "{from} stands there once");
            text.replace(from, to)
        })
    })
    .await
}

/// A configuration without what stands between the marks.
fn without_marked(text: &str) -> String {
    let mut is_marked = false;
    let kept = text.lines().filter(|line| {
        let line = line.trim();
        is_marked =
            (is_marked || line == "# purge_location: begin") && line != "# purge_location: end";
        !is_marked
    });
    let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
    assert!(!kept.contains("proxy_cache_purge"));
    kept
}

/// The connector named `cache`, with short timeouts.
pub(crate) fn connect(options: &str) -> Arc<dyn CdnConnector> {
    // Another test may have been quicker.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = if options.contains("cache_path") {
        "60s"
    } else {
        "2s"
    };
    let options = format!("timeout = '{timeout}'\n{options}");
    let connectors = isr_cdn_nginx::connect("cache", toml::from_str(&options).unwrap()).unwrap();
    Arc::clone(&connectors[0])
}

pub(crate) fn page(url: &str) -> PageUrl {
    PageUrl::parse(url).unwrap()
}

pub(crate) fn url(path: &str) -> Target {
    Target::Url(page(&format!("http://{HOST}{path}")))
}

pub(crate) fn prefix(path: &str) -> Target {
    Target::Prefix(page(&format!("http://{HOST}{path}")))
}
