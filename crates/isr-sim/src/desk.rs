//! Those who change the data, and see to it that each change is revalidated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use isr_core::{Mode, Receipt, RevalidateOptions, RevalidationId, Revalidator as _, Source};
use isr_core::{Target, Targets};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::net::Net;
use crate::random::millis;
use crate::rule::Rule;
use crate::server::Server;
use crate::site::{Data, datum_tag};

/// What is to be revalidated, and how.
pub(crate) type Wanted = (Targets, RevalidateOptions);

/// What has to be asked for, and is kept until it has been acknowledged, as an outbox keeps it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) net: Arc<Net>,
    waiting: Mutex<Vec<Receipt>>,
    /// Whether pages are purged by URL and everything is, besides by tag: some tiers know tags alone.
    by_url: bool,
    revalidations: AtomicU64,
}

impl Desk {
    pub(crate) fn new(net: &Arc<Net>, by_url: bool) -> Arc<Self> {
        Arc::new(Self {
            net: Arc::clone(net),
            waiting: Mutex::default(),
            by_url,
            revalidations: AtomicU64::new(0),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    /// What somebody revalidates who has changed a datum.
    pub(crate) fn wanted(&self, random: &mut StdRng, datum: usize) -> Wanted {
        let second_purge = random.random_bool(0.1).then_some(millis(700));
        let second_purge = second_purge.filter(|_| self.net.truth.shielded.is_none());
        let options = RevalidateOptions {
            mode: if random.random_bool(0.7) {
                Mode::Hard
            } else {
                Mode::Soft
            }
            .into(),
            warm: random.random_bool(0.3),
            second_purge: second_purge.or(self.net.second_purge()),
            replica_lag: Some(self.net.lag)
                .filter(|lag| !lag.is_zero() && self.net.rules.hold(Rule::ReplicaLag)),
            ..RevalidateOptions::default()
        };
        let kind = random.random_range(0..10);
        let urls = self.net.truth.site.urls_with(datum);
        let targets = match kind {
            0 | 1 if self.by_url && !urls.is_empty() => Targets::new(urls),
            _ => Targets::new([Target::Tag(datum_tag(datum))]),
        };
        (targets.expect("they are few and some"), options)
    }

    /// Somebody is going to ask for a revalidation.
    pub(crate) fn put_out(&self, (targets, options): Wanted, covers: Data) -> RevalidationId {
        let number = self.revalidations.fetch_add(1, Ordering::Relaxed) + 1;
        // Not drawn from the machine's own randomness: jobs that are due at once are taken in its order.
        let id = format!("00000000-0000-7000-8000-{number:012x}");
        let id = id.parse().expect("it is a UUID");
        let receipt = Receipt::new(targets, options, Source::Library).with_id(id);
        self.net.truth.promise(receipt.clone(), covers);
        self.waiting.lock().push(receipt);
        id
    }

    /// Somebody asks a server for the oldest revalidation that nobody has acknowledged, perhaps once more.
    pub(crate) fn ask(self: &Arc<Self>, server: Arc<Server>) {
        let Some(receipt) = self.waiting.lock().first().cloned() else {
            return;
        };
        let (desk, host) = (Arc::clone(self), Arc::clone(&server.host));
        host.spawn(async move {
            let (id, truth) = (receipt.id, &desk.net.truth);
            let name = truth.name(&id);
            let taken = server.intake.revalidate(receipt).await.is_ok();
            let host = &server.host.name;
            truth.journal.note(format_args!(
                "{host} has asked for revalidation {name}: {}",
                if taken { "taken" } else { "no answer" }
            ));
            if taken {
                desk.waiting.lock().retain(|waiting| waiting.id != id);
            }
        });
    }
}
