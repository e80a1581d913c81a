//! A CDN as one process calls it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, PurgeBatch, PurgeReceipt,
    Reference,
};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::cdn::ModelCdn;
use crate::host::Host;
use crate::random::{below, stream};
use crate::rule::Rule;

/// How the network treats one call while the tier cannot be reached.
#[derive(Clone, Copy, Debug)]
struct Fate {
    /// How long it is held back at most until the tier can be reached.
    patience: Duration,
    /// Whether it arrives in the end, when its caller has been told that it failed.
    arrives: bool,
    /// Until the caller hears that it failed.
    timeout: Duration,
}

/// A process's way to a CDN: no call begins or ends while the process stands still, and none arrives while the
/// two are cut off from one another.
pub(crate) struct Reach {
    host: Arc<Host>,
    cdn: Arc<ModelCdn>,
    random: Mutex<StdRng>,
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} as {} reaches it", self.cdn, self.host.name)
    }
}

impl Reach {
    pub(crate) fn new(host: &Arc<Host>, cdn: &Arc<ModelCdn>) -> Self {
        let name = format!("{} to {}", host.name, cdn.name());
        Self {
            host: Arc::clone(host),
            cdn: Arc::clone(cdn),
            random: Mutex::new(stream(cdn.net.seed, &name, 0)),
        }
    }

    fn fate(&self) -> Fate {
        let random = &mut *self.random.lock();
        let patience = below(random, 6_000);
        Fate {
            patience: if random.random_bool(0.5) {
                patience
            } else {
                Duration::ZERO
            },
            arrives: random.random_bool(0.3),
            timeout: below(random, 1_500),
        }
    }

    fn cut_off(&self) -> Duration {
        self.host.cut_off_from(self.cdn.index)
    }

    /// Whether a call arrives while its caller waits for it.
    async fn arrives(&self, fate: Fate) -> bool {
        self.host.awake().await;
        let cut_off = self.cut_off();
        if cut_off.is_zero() {
            return true;
        }
        let (host, cdn, journal) = (
            &self.host.name,
            self.cdn.name(),
            &self.cdn.net.truth.journal,
        );
        if cut_off < fate.patience {
            journal.note(format_args!("{host}: a call to {cdn} is held back"));
            tokio::time::sleep(cut_off).await;
            return true;
        }
        journal.note(format_args!("{host}: a call cannot reach {cdn}"));
        tokio::time::sleep(fate.timeout).await;
        self.host.awake().await;
        false
    }

    /// The answer, unless the two were cut off from one another meanwhile.
    async fn back<T>(&self, answer: Result<T, ConnectorError>) -> Result<T, ConnectorError> {
        self.host.awake().await;
        if self.cut_off().is_zero() {
            answer
        } else {
            Err(self.cdn.unreachable())
        }
    }

    /// What a caller is told whose purge did not arrive; it may yet.
    fn unreached(&self, batch: &PurgeBatch, fate: Fate) -> Result<PurgeReceipt, ConnectorError> {
        if fate.arrives {
            let (cdn, batch, cut_off) = (Arc::clone(&self.cdn), batch.clone(), self.cut_off());
            tokio::spawn(async move {
                tokio::time::sleep(cut_off).await;
                let _ = cdn.purge(&batch).await; // nobody waits for the answer
            });
        }
        if self.cdn.net.rules.hold(Rule::UnreachedTier) {
            Err(self.cdn.unreachable())
        } else {
            Ok(PurgeReceipt::accepted(batch))
        }
    }
}

#[async_trait]
impl CdnConnector for Reach {
    fn name(&self) -> &str {
        self.cdn.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.cdn.capabilities()
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let fate = self.fate();
        if !self.arrives(fate).await {
            return self.unreached(batch, fate);
        }
        let (net, crash) = (&self.cdn.net, self.host.crashes_at(true));
        if crash == Some(false) {
            net.crash(&self.host, "a purge", "before").await;
        }
        let answer = self.cdn.purge(batch).await;
        if crash == Some(true) {
            net.crash(&self.host, "a purge", "after").await;
        }
        self.back(answer).await
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        if !self.arrives(self.fate()).await {
            return Err(self.cdn.unreachable());
        }
        let answer = self.cdn.poll(reference).await;
        self.back(answer).await
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        if !self.arrives(self.fate()).await {
            return Err(self.cdn.unreachable());
        }
        let answer = self.cdn.check().await;
        self.back(answer).await
    }
}
