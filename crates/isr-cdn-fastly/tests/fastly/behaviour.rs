//! What every connector must do, done by this one.

use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{CdnConnector, Target};
use isr_testkit::fakes::{Fastly, Fault};
use isr_testkit::{Call, ConnectorFixture, connector_behaviour, connector_behaviour_in_a_worker};

use crate::support::{TOKEN, connector, model, options};

#[derive(Debug)]
struct Fixture {
    model: Fastly,
    connector: Arc<dyn CdnConnector>,
}

async fn fixture(shielding: bool) -> Fixture {
    let (model, _) = model(|_| {}).await;
    let mut options = options(&model.front().uri());
    options.shielding = shielding;
    let connector = connector(options);
    Fixture { model, connector }
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
            Target::Url(page) => vec![format!("url {}{}", page.host(), page.path_and_query())],
            Target::Tag(tag) => vec![format!("key {tag}")],
            Target::Everything => vec!["everything".to_owned()],
            _ => vec![],
        }
    }

    async fn next(&self, fault: Fault) {
        self.model.front().next(fault);
    }

    fn secrets(&self) -> Vec<String> {
        vec![TOKEN.to_owned()]
    }
}

mod of_a_service {
    use super::{connector_behaviour, connector_behaviour_in_a_worker, fixture};

    connector_behaviour!(fixture(false));
    connector_behaviour_in_a_worker!(fixture(false));
}

mod of_a_service_with_a_shield {
    use super::{connector_behaviour, connector_behaviour_in_a_worker, fixture};

    connector_behaviour!(fixture(true));
    connector_behaviour_in_a_worker!(fixture(true));
}
