//! A service, and a connector to it.

use std::sync::Arc;
use std::time::Duration;

use isr_cdn_fastly::{Options, connect};
use isr_core::{CdnConnector, Mode, PageUrl, PurgeBatch, Secret, Target};
use isr_testkit::connector_suite::make;
use isr_testkit::fakes::{Fastly, FastlyService};

/// The ID of the service.
pub(crate) const ID: &str = "SU1Z0isxPaozGVKXdv0eY";

/// The token.
pub(crate) const TOKEN: &str = "T0kenOfTheTest";

/// What a connector to a model at `uri` is configured with.
pub(crate) fn options(uri: &str) -> Options {
    // A second call of this process finds the one that the first has installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Options {
        service: ID.to_owned(),
        token: Secret::new(TOKEN),
        api_base: uri.to_owned(),
        timeout: Duration::from_secs(1),
        ..Options::default()
    }
}

/// The one connector of some options.
pub(crate) fn connector(options: Options) -> Arc<dyn CdnConnector> {
    make::only(connect("cdn", options).unwrap())
}

/// A model with a service that has been changed, and a connector to it.
pub(crate) async fn model(
    change: impl FnOnce(&mut FastlyService),
) -> (Fastly, Arc<dyn CdnConnector>) {
    let mut service = FastlyService::new(ID, TOKEN);
    change(&mut service);
    let model = Fastly::start(service).await;
    let connector = connector(options(&model.front().uri()));
    (model, connector)
}

pub(crate) fn url(path: &str) -> Target {
    Target::Url(PageUrl::parse(&format!("https://www.example.com{path}")).unwrap())
}

pub(crate) fn batch(targets: &[Target], mode: Mode) -> PurgeBatch {
    make::batch(targets, mode)
}
