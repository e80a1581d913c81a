//! A receiver, and the connector that calls it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_cdn_webhook::{Options, connect};
use isr_core::{CdnConnector, Secret, Target};
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::webhook::{PATH, REJECTED, SECRET};
use isr_testkit::fakes::{Fault, Webhook, WebhookLimits};
use isr_testkit::{Call, ConnectorFixture};

#[derive(Debug)]
pub(crate) struct Receiver {
    pub(crate) service: Webhook,
    connector: Arc<dyn CdnConnector>,
    talks: bool,
}

impl Receiver {
    /// A connector with options that `change` has been to.
    pub(crate) async fn start(limits: WebhookLimits, change: impl FnOnce(&mut Options)) -> Self {
        // Whoever is first installs it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let service = Webhook::start(limits).await;
        let mut options = Options {
            url: Some(Secret::new(service.url())),
            secret: Some(Secret::new(SECRET)),
            timeout: Duration::from_secs(3),
            ..Options::default()
        };
        change(&mut options);
        let connectors = connect("hook", options).expect("the options are in order");
        Self {
            service,
            connector: make::only(connectors),
            talks: limits.talks,
        }
    }
}

#[async_trait]
impl ConnectorFixture for Receiver {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.connector)
    }

    async fn calls(&self) -> Vec<Call> {
        self.service.calls()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        let item = match target {
            Target::Prefix(prefix) => format!("prefix {prefix}"),
            Target::Host(host) => format!("host {host}"),
            Target::Everything => "everything true".to_owned(),
            other => format!("{} {other}", other.kind()),
        };
        vec![item]
    }

    async fn next(&self, fault: Fault) {
        self.service.front().next(fault);
    }

    fn is_failure(&self, fault: Fault) -> bool {
        // An answer without a body cannot be cut short.
        self.talks || fault != Fault::Truncated
    }

    fn refused_alone(&self) -> Option<Target> {
        self.talks.then(|| make::tag(&format!("{REJECTED}1")))
    }

    fn secrets(&self) -> Vec<String> {
        vec![SECRET.to_owned(), PATH.to_owned()]
    }
}
