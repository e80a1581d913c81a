//! The services that are purged: one entry each.

mod cloudflare;
#[cfg(feature = "cloudfront")]
mod cloudfront;
mod fastly;
mod webhook;

use std::sync::Arc;

use anyhow::{Context, ensure};
use async_trait::async_trait;
use isr_core::{CdnConnector, Clock};
use isr_testkit::Call;
use isr_testkit::fakes::Exchange;

use super::case::{Case, Limit, Task};

/// Revalidations of a storm.
const STORM: u64 = 1_000;

/// A service, its model and its connector.
#[async_trait]
pub(super) trait Service: Sync {
    /// The connector's kind.
    fn name(&self) -> &'static str;

    /// The runs that are worth making, given how many pages there are.
    fn cases(&self, pages: u64) -> Vec<Case>;

    /// What its documentation allows in a run, where it names a limit.
    fn limit(&self, case: &Case) -> Option<Limit>;

    /// Starts the model, with the limits of the run.
    async fn start(&self, case: &Case, clock: &Arc<dyn Clock>) -> Box<dyn Fake>;

    /// The connector to the model at an address.
    fn connect(&self, case: &Case, address: &str) -> anyhow::Result<Arc<dyn CdnConnector>>;
}

/// A model that runs.
pub(super) trait Fake: Send {
    /// Where it is.
    fn address(&self) -> String;

    /// Every request so far.
    fn exchanges(&self) -> Vec<Exchange>;

    /// Every request to purge so far.
    fn calls(&self) -> Vec<Call>;
}

/// Every service that was compiled in.
pub(super) fn all() -> Vec<&'static dyn Service> {
    vec![
        &cloudflare::Cloudflare,
        &fastly::Fastly,
        #[cfg(feature = "cloudfront")]
        &cloudfront::CloudFront,
        &webhook::Webhook,
    ]
}

pub(super) fn named(name: &str) -> anyhow::Result<&'static dyn Service> {
    let mut all = all().into_iter();
    all.find(|service| service.name() == name)
        .with_context(|| format!("no service {name} was compiled in"))
}

/// The runs that every service has: pages by URL at some speeds, and by tag, each with ten times as many
/// pages too, and a storm.
fn usual_cases(name: &str, pages: u64, by_url: &Case, larger_by_url: Case) -> Vec<Case> {
    let by_tag = Case::new(name, Task::PagesByTag, pages);
    let larger_by_tag = by_tag.for_memory();
    let storm = Case::new(name, Task::Storm(STORM), pages);
    vec![by_url.clone(), larger_by_url, by_tag, larger_by_tag, storm]
}

/// The one connector of some options.
fn only(mut connectors: Vec<Arc<dyn CdnConnector>>) -> anyhow::Result<Arc<dyn CdnConnector>> {
    ensure!(connectors.len() == 1, "one connector was configured");
    Ok(connectors.remove(0))
}
