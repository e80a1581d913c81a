//! A zone at the model, and the connector that purges it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_cdn_cloudflare::{Options, connect as connectors};
use isr_core::{CdnConnector, Clock, PageUrl, Secret, Target};
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::cloudflare::{TOKEN, ZONE};
use isr_testkit::fakes::{Cloudflare, CloudflareAccount, Fault};
use isr_testkit::{Call, ConnectorFixture, HandClock};

#[derive(Debug)]
pub(crate) struct Zone {
    pub(crate) service: Cloudflare,
    pub(crate) clock: HandClock,
    connector: Arc<dyn CdnConnector>,
    variants: Vec<BTreeMap<String, String>>,
}

impl Zone {
    /// A connector with options that `change` has been to.
    pub(crate) async fn start(
        account: CloudflareAccount,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let clock = HandClock::new();
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let service = Cloudflare::start(account, &shared).await;
        let mut options = options(&service.api_base());
        change(&mut options);
        let variants = options.variant_headers.clone();
        let connector = connect(options);
        Self {
            service,
            clock,
            connector,
            variants,
        }
    }
}

/// Options with the credentials of the model.
pub(crate) fn options(api_base: &str) -> Options {
    Options {
        zone: ZONE.to_owned(),
        token: Some(Secret::new(TOKEN)),
        api_base: api_base.to_owned(),
        timeout: Duration::from_secs(3),
        ..Options::default()
    }
}

/// The one connector that options describe.
pub(crate) fn connect(options: Options) -> Arc<dyn CdnConnector> {
    // Whoever is first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    make::only(connectors("cdn", options).expect("the options are in order"))
}

pub(crate) fn wrong_token(options: &mut Options) {
    options.token = Some(Secret::new("another-token"));
}

pub(crate) fn wrong_zone(options: &mut Options) {
    options.zone = "f".repeat(32);
}

/// A variant by its language.
pub(crate) fn accept_language(language: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("accept-language".to_owned(), language.to_owned())])
}

#[async_trait]
impl ConnectorFixture for Zone {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.connector)
    }

    async fn calls(&self) -> Vec<Call> {
        self.service.calls()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        match target {
            Target::Url(url) => {
                let plain = url.to_string();
                let variants = self.variants.iter().map(|headers| {
                    let language = &headers["accept-language"];
                    format!("{url} {{\"accept-language\":\"{language}\"}}")
                });
                std::iter::once(plain).chain(variants).collect()
            }
            Target::Prefix(prefix) => vec![prefix_of(prefix)],
            Target::Host(host) => vec![host.clone()],
            Target::Everything => vec!["purge_everything: true".to_owned()],
            other => vec![other.to_string()],
        }
    }

    async fn next(&self, fault: Fault) {
        self.service.front().next(fault);
    }

    /// Cloudflare takes prefixes of 31 slashes at most, and the connector leaves deeper ones out.
    fn refused_alone(&self) -> Option<Target> {
        let deep = "/deep".repeat(40);
        let deep =
            PageUrl::parse(&format!("https://www.example.com{deep}")).expect("it is a page URL");
        Some(Target::Prefix(deep))
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }
}

fn prefix_of(prefix: &PageUrl) -> String {
    let text = prefix.as_str().trim_start_matches("https://");
    format!("{}/", text.trim_end_matches('/'))
}
