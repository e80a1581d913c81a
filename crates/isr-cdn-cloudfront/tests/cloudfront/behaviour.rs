//! What every connector must do, done by this one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, PurgeBatch, PurgeReceipt,
    Reference, Target,
};
use isr_testkit::fakes::{CloudFront, Distribution, Fault};
use isr_testkit::{Call, ConnectorFixture, connector_behaviour, connector_behaviour_in_a_worker};

use crate::support::{ID, connector, options, url};

/// A connector whose invalidations are followed to their end, as the pipeline follows them: what is in
/// progress leaves no room for hundreds of calls.
#[derive(Debug)]
struct Followed(Arc<dyn CdnConnector>);

#[async_trait]
impl CdnConnector for Followed {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.0.capabilities()
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let receipt = self.0.purge(batch).await?;
        if let Some(reference) = &receipt.reference {
            while self.0.poll(reference).await? != Completion::Complete {}
        }
        Ok(receipt)
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        self.0.poll(reference).await
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        self.0.check().await
    }
}

#[derive(Debug)]
struct Fixture {
    model: CloudFront,
    connector: Arc<dyn CdnConnector>,
}

/// With tags, for a distribution or one of its tenants.
async fn fixture(tenant: Option<&str>) -> Fixture {
    let mut distribution = Distribution::new(ID);
    distribution.tag_header = Some("X-Tags".to_owned());
    distribution.tenant = tenant.map(str::to_owned);
    let model = CloudFront::start(distribution).await;
    let mut options = options(&model.front().uri());
    options.tag_header = Some("x-tags".to_owned());
    options.timeout = Duration::from_secs(2);
    if let Some(id) = tenant {
        options.distribution = None;
        options.tenant = Some(id.to_owned());
    }
    Fixture {
        model,
        connector: Arc::new(Followed(connector(options))),
    }
}

#[async_trait]
impl ConnectorFixture for Fixture {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.connector)
    }

    async fn calls(&self) -> Vec<Call> {
        self.model.calls()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        match target {
            Target::Url(page) => vec![page.path_and_query().to_owned()],
            Target::Tag(tag) => vec![format!("#{tag}")],
            Target::Prefix(page) if page.path().ends_with('/') => vec![format!("{}*", page.path())],
            Target::Prefix(page) => ["", "?*", "/*"]
                .map(|end| format!("{}{end}", page.path()))
                .to_vec(),
            Target::Everything => vec!["/*".to_owned()],
            _ => vec![],
        }
    }

    async fn next(&self, fault: Fault) {
        self.model.front().next(fault);
    }

    /// CloudFront does it itself: one path that it does not take fails a whole call, so the connector
    /// leaves it out.
    fn refused_alone(&self) -> Option<Target> {
        Some(url("/what/*"))
    }

    fn secrets(&self) -> Vec<String> {
        ["AKIDTEST", "5ecretAccessKey", "5essionToken"]
            .map(str::to_owned)
            .to_vec()
    }
}

mod of_a_distribution {
    use super::{connector_behaviour, connector_behaviour_in_a_worker, fixture};

    connector_behaviour!(fixture(None));
    connector_behaviour_in_a_worker!(fixture(None));
}

mod of_a_tenant {
    use super::{connector_behaviour, connector_behaviour_in_a_worker, fixture};

    connector_behaviour!(fixture(Some("dt_2wjMUbg3NHZEQ7OfoalP5zi1AB3")));
    connector_behaviour_in_a_worker!(fixture(Some("dt_2wjMUbg3NHZEQ7OfoalP5zi1AB3")));
}
