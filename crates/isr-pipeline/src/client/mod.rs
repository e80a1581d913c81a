//! The one way to a tier: everything that any job of a worker has for it goes through its client, which
//! makes as few calls of it as it can, within the tier's limits.

mod call;
mod dispatcher;
mod halves;
mod queue;

use std::sync::Arc;

use isr_core::{CdnConnector, ConnectorError, Mode, Position, Target, Tier};
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::call::CallOptions;
pub(crate) use self::dispatcher::Dispatcher;

/// A tier, and the way to purge it.
#[derive(Clone, Debug)]
pub(crate) struct TierClient {
    pub(crate) tier: Tier,
    orders: mpsc::UnboundedSender<Order>,
}

/// Targets that somebody wants purged together.
#[derive(Debug)]
struct Order {
    targets: Vec<Target>,
    mode: Mode,
    position: Position,
    answer: oneshot::Sender<Outcome>,
}

/// What came of an order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Calls that it took to have its targets purged, and with them whatever shared the calls; repeats
    /// included.
    pub(crate) calls: u64,
    /// Targets that the tier took on.
    pub(crate) accepted: u64,
    /// Targets that it refused for good.
    pub(crate) rejected: Vec<(Target, String)>,
    /// Copies that went, where the tier counts them and no call was shared with somebody else.
    pub(crate) copies: Option<u64>,
    /// What to ask the tier by whether it is done.
    pub(crate) references: Vec<Arc<str>>,
    /// The first call that failed, if one did. Some of the targets may have been purged all the same.
    pub(crate) failure: Option<Arc<ConnectorError>>,
}

impl TierClient {
    pub(crate) fn connector(&self) -> &Arc<dyn CdnConnector> {
        &self.tier.connector
    }

    /// Purges targets, each of which the tier takes as it is. Waits for its turn, for others to share
    /// calls with, and for the tier's rate; so it may take long.
    ///
    /// `None` when the worker stops.
    pub(crate) async fn purge(
        &self,
        targets: Vec<Target>,
        mode: Mode,
        position: Position,
    ) -> Option<Outcome> {
        if targets.is_empty() {
            return Some(Outcome::default());
        }
        self.order(targets, mode, position)?.await.ok()
    }

    /// Has targets purged, at least one, each of which the tier takes as it is; who drops the answer
    /// no longer wants them purged. `None` when the worker stops.
    pub(crate) fn order(
        &self,
        targets: Vec<Target>,
        mode: Mode,
        position: Position,
    ) -> Option<oneshot::Receiver<Outcome>> {
        let (answer, outcome) = oneshot::channel();
        let order = Order {
            targets,
            mode,
            position,
            answer,
        };
        self.orders.send(order).ok()?;
        Some(outcome)
    }
}
