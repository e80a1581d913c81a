//! A distribution, and a connector to it.

use std::sync::Arc;
use std::time::Duration;

use isr_cdn_cloudfront::{Options, connect};
use isr_core::{CdnConnector, Mode, PageUrl, PurgeBatch, Secret, Target};
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::{CloudFront, Distribution};

/// The ID of the distribution.
pub(crate) const ID: &str = "EDFDVBD6EXAMPLE";

/// What a connector to a model at `uri` is configured with.
pub(crate) fn options(uri: &str) -> Options {
    Options {
        distribution: Some(ID.to_owned()),
        access_key_id: Some(Secret::new("AKIDTEST")),
        secret_access_key: Some(Secret::new("5ecretAccessKey")),
        session_token: Some(Secret::new("5essionToken")),
        endpoint_url: Some(uri.to_owned()),
        timeout: Duration::from_secs(1),
        poll_interval: Duration::from_millis(10),
        ..Options::default()
    }
}

/// The one connector of some options.
pub(crate) fn connector(options: Options) -> Arc<dyn CdnConnector> {
    make::only(connect("cdn", options).unwrap())
}

/// A model with a distribution that has been changed, and a connector to it.
pub(crate) async fn model(
    change: impl FnOnce(&mut Distribution),
) -> (CloudFront, Arc<dyn CdnConnector>) {
    let mut distribution = Distribution::new(ID);
    change(&mut distribution);
    let model = CloudFront::start(distribution).await;
    let connector = connector(options(&model.front().uri()));
    (model, connector)
}

pub(crate) fn page(path: &str) -> PageUrl {
    PageUrl::parse(&format!("https://www.example.com{path}")).unwrap()
}

pub(crate) fn url(path: &str) -> Target {
    Target::Url(page(path))
}

pub(crate) fn batch(targets: &[Target]) -> PurgeBatch {
    make::batch(targets, Mode::Hard)
}
