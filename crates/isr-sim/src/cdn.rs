//! Model CDNs that forget only when purged.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Ability, Capabilities, CdnConnector, Completion, ConnectorError, Finding, PurgeBatch,
    PurgeReceipt, RateLimit, RateUnit, Reference,
};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::net::{Net, SETTLING, SHIELD_LATE};
use crate::random::{below, millis, stream};
use crate::rule::Rule;

/// How a CDN treats one purge call.
#[derive(Debug)]
struct Fate {
    /// Until the purge takes effect.
    before: Duration,
    /// From then on until the answer.
    after: Duration,
    lost: bool,
    busy: bool,
    answer_lost: bool,
    /// How much later its shield is purged, if it has one.
    shield: Duration,
}

/// A CDN that fails now and then, answers late, and may have to be asked whether it is done.
pub(crate) struct ModelCdn {
    pub(crate) index: usize,
    name: String,
    capabilities: Capabilities,
    pub(crate) net: Arc<Net>,
    random: Mutex<StdRng>,
    /// When each purge that may be asked about takes effect.
    effects: Mutex<Vec<Instant>>,
}

impl fmt::Debug for ModelCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl ModelCdn {
    /// The CDN of this number, counted from the origin.
    pub(crate) fn new(index: usize, net: &Arc<Net>) -> Arc<Self> {
        let mut random = stream(net.seed, "cdn", index as u64);
        let name = format!("cdn{index}");
        let mut capabilities = capabilities(index, &name, &mut random);
        // Nobody hears when a shield is done.
        capabilities.observes_completion &= net.truth.shield(index).is_none();
        let Capabilities {
            url,
            tag,
            observes_completion,
            concurrency,
            ..
        } = &capabilities;
        net.truth.journal.note(format_args!(
            "{name} purges by URL: {}, by tag: {}; says when it is done: {observes_completion}; {concurrency} calls at once",
            url.is_some(),
            tag.is_some(),
        ));
        Arc::new(Self {
            index,
            name,
            capabilities,
            net: Arc::clone(net),
            random: Mutex::new(random),
            effects: Mutex::default(),
        })
    }

    pub(crate) fn is_purged_by_url(&self) -> bool {
        self.capabilities.url.is_some()
    }

    fn fate(&self) -> Fate {
        let random = &mut *self.random.lock();
        let mut delay = || {
            let (short, long) = (below(random, 50), below(random, 1_500));
            match random.random_range(0..4) {
                0 | 1 => Duration::ZERO,
                2 => short,
                _ => long,
            }
        };
        let (before, after) = (delay(), delay());
        Fate {
            before,
            after,
            lost: random.random_bool(0.08),
            busy: random.random_bool(0.03),
            answer_lost: random.random_bool(0.08),
            shield: below(random, SHIELD_LATE),
        }
    }

    fn strikes(&self, fault: Fault, drawn: bool) -> bool {
        let strikes = self.net.strikes(fault, drawn);
        if strikes {
            let name = &self.name;
            let journal = &self.net.truth.journal;
            journal.note(format_args!("{name}: {}", fault.as_str()));
        }
        strikes
    }

    async fn way(&self, long: Duration) {
        if self.net.strikes(Fault::TierLate, !long.is_zero()) {
            tokio::time::sleep(long).await;
        }
    }

    /// Takes a purge on, to carry it out later.
    fn take_on(&self, batch: &PurgeBatch, before: Duration, shield: Duration) -> Reference {
        let mut effects = self.effects.lock();
        effects.push(Instant::now() + before);
        let (net, index, targets) = (Arc::clone(&self.net), self.index, batch.targets().to_vec());
        tokio::spawn(async move {
            tokio::time::sleep(before).await;
            net.forget(index, &targets, shield);
        });
        Reference((effects.len() - 1).to_string())
    }

    pub(crate) fn unreachable(&self) -> ConnectorError {
        ConnectorError::unreachable(&self.name, "connection refused")
    }
}

/// What a CDN can do: it purges by URL, by tag, or by both, in calls of a few or of many.
fn capabilities(index: usize, name: &str, random: &mut StdRng) -> Capabilities {
    let by_tag = random.random_bool(0.5);
    let by_url = !by_tag || random.random_bool(0.5);
    let mut ability = || {
        let batch =
            NonZeroUsize::new(random.random_range(1..4)).filter(|_| random.random_bool(0.5));
        let rate = random.random_bool(0.2).then(|| RateLimit {
            bucket: name.to_owned(),
            unit: RateUnit::Calls,
            burst: NonZeroU32::MIN.saturating_add(4),
            refill: NonZeroU32::MIN.saturating_add(19),
            period: Duration::from_secs(1),
            per_account: false,
        });
        Ability {
            items_per_call: batch,
            rate,
            ..Ability::UNLIMITED
        }
    };
    let (url, tag, everything) = (ability(), ability(), ability());
    Capabilities {
        url: by_url.then_some(url),
        tag: by_tag.then_some(tag),
        everything: Some(everything),
        observes_completion: random.random_bool(0.4),
        mixed_calls: random.random_bool(0.5),
        concurrency: NonZeroUsize::MIN.saturating_add(random.random_range(0..3)),
        settling_time: SETTLING,
        distance: u8::try_from(10 + index).expect("they are few"),
        ..Capabilities::default()
    }
}

#[async_trait]
impl CdnConnector for ModelCdn {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let fate = self.fate();
        if self.strikes(Fault::TierLost, fate.lost) {
            self.way(fate.after).await;
            return Err(self.unreachable());
        }
        if self.strikes(Fault::TierLost, fate.busy) {
            return Err(ConnectorError::RateLimited {
                connector: self.name.clone(),
                reason: "busy".to_owned(),
                retry_after: Some(fate.after),
            });
        }
        let mut reference = None;
        if self.capabilities.observes_completion {
            let late = self.net.strikes(Fault::TierLate, !fate.before.is_zero());
            let before = if late { fate.before } else { Duration::ZERO };
            reference = Some(self.take_on(batch, before, fate.shield));
        } else {
            self.way(fate.before).await;
            self.net.forget(self.index, batch.targets(), fate.shield);
        }
        self.way(fate.after).await;
        if self.strikes(Fault::TierAnswerLost, fate.answer_lost) {
            return Err(self.unreachable());
        }
        Ok(PurgeReceipt {
            reference,
            ..PurgeReceipt::accepted(batch)
        })
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        let fate = self.fate();
        if self.strikes(Fault::TierLost, fate.lost) {
            return Err(self.unreachable());
        }
        if !self.net.rules.hold(Rule::ConfirmOrder) {
            return Ok(Completion::Complete);
        }
        let index = reference.0.parse::<usize>();
        let effects = self.effects.lock();
        let effect = index.ok().and_then(|index| effects.get(index));
        let Some(effect) = effect else {
            return Err(ConnectorError::refused(&self.name, "no such purge"));
        };
        // The purge's task must have run, too.
        let left = (*effect + millis(1)).saturating_duration_since(Instant::now());
        Ok(if left.is_zero() {
            Completion::Complete
        } else {
            Completion::Pending { retry_after: left }
        })
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        Ok(Vec::new())
    }
}
