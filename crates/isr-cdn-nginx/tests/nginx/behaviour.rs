//! What every connector must do, with a relay before a real nginx that keeps what passes.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{CdnConnector, Target};
use isr_testkit::fakes::{Exchange, Fault, Front};
use isr_testkit::{
    Call, ConnectorFixture, CountingOrigin, NginxModules, NginxServer, connector_behaviour,
    connector_behaviour_in_a_worker,
};

use crate::site::{connect, start};

#[derive(Debug)]
struct Fixture {
    front: Front,
    connector: Arc<dyn CdnConnector>,
    _nginx: NginxServer,
    _origin: CountingOrigin,
}

async fn fixture() -> Fixture {
    let origin = CountingOrigin::start().await;
    let nginx = start(NginxModules::CachePurge, &origin, &[]).await;
    let front = Front::before(&nginx.address().to_string(), |status| {
        format!("<html><head><title>{status} Nothing done</title></head></html>")
    })
    .await;
    let options = format!("method = 'purge_location'\nmachines = ['{}']", front.uri());
    Fixture {
        connector: connect(&options),
        front,
        _nginx: nginx,
        _origin: origin,
    }
}

#[async_trait]
impl ConnectorFixture for Fixture {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.connector)
    }

    async fn calls(&self) -> Vec<Call> {
        let exchanges = self.front.exchanges();
        exchanges.iter().filter_map(call).collect()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        vec![match target {
            Target::Url(page) => format!("{}/purge{}", page.host(), page.path_and_query()),
            other => format!("{other} is not purged"),
        }]
    }

    fn requests_for(&self, targets: &[Target]) -> usize {
        targets.len()
    }

    async fn next(&self, fault: Fault) {
        self.front.next(fault);
    }

    fn secrets(&self) -> Vec<String> {
        vec![]
    }
}

/// A request as the location reads it; `None` for a look.
fn call(exchange: &Exchange) -> Option<Call> {
    let host = exchange.headers.get("host")?.to_str().ok()?;
    let done = exchange.answer.as_ref().map(|(status, _)| status.as_u16());
    (!host.contains("edge-isr-check")).then(|| Call {
        items: vec![format!("{host}{}", exchange.target)],
        soft: false,
        carried_out: matches!(done, Some(200 | 404)),
    })
}

connector_behaviour!(fixture());
connector_behaviour_in_a_worker!(fixture());
