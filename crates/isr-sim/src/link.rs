//! A process's connection to the store, over which calls are late, lost, delivered twice, and the last that
//! the process ever made.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use isr_core::{
    Beginning, Bind, BindOutcome, Claim, Claimed, Collected, Cursor, DeadLetterChunk, Epoch,
    GraphStatistics, Heard, JobKey, JobStore, Leave, LeavePage, News, PageJob, PageTags, PageUrl,
    PageWork, Position, QueueDepth, RateBudget, RateLimit, Receipt, ReceiptChunk, ReceiptFilter,
    RevalidationId, Secret, SenderId, SenderReport, SenderState, Standing, StoreError, Tag,
    TagGraph, Taken, Target, Timestamp, UrlChunk, WorkerId,
};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::fault::Fault;
use crate::host::Host;
use crate::net::Net;
use crate::random::{below, stream};

/// A call as the network carries it: to be delivered any number of times.
type Call<T> = Arc<dyn Fn() -> BoxFuture<'static, Result<T, StoreError>> + Send + Sync>;

/// How the network treats one call.
#[derive(Clone, Copy, Debug)]
struct Fate {
    there: Duration,
    back: Duration,
    /// What happens to the message on its way, if anything does.
    mishap: Option<Fault>,
    /// Until the caller hears that the call failed.
    timeout: Duration,
    /// Until a call is delivered that its caller no longer waits for.
    later: Duration,
    /// Whether a call waits until a partition has healed, rather than failing.
    waits: bool,
}

/// A link.
pub(crate) struct Link {
    pub(crate) host: Arc<Host>,
    pub(crate) net: Arc<Net>,
    random: Mutex<StdRng>,
    /// How many calls have been made.
    made: AtomicU64,
    /// The last one, in the order in which they were made, of those that have arrived.
    arrived: AtomicU64,
}

tokio::task_local! {
    /// Who waits for the call that the store is carrying out.
    static CALLER: Arc<Host>;
}

/// Who waits for the call that the store is carrying out; nobody, when it was delivered by itself.
pub(crate) fn caller() -> Option<Arc<Host>> {
    CALLER.try_with(Arc::clone).ok()
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link of {}", self.host.name)
    }
}

pub(crate) fn unavailable(why: &'static str) -> StoreError {
    StoreError::Unavailable {
        store: "simulated".to_owned(),
        source: why.into(),
    }
}

impl Link {
    pub(crate) fn new(host: &Arc<Host>, net: &Arc<Net>) -> Self {
        Self {
            host: Arc::clone(host),
            net: Arc::clone(net),
            random: Mutex::new(stream(net.seed, &host.name, 0)),
            made: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
        }
    }

    /// Draws the same number of times whatever happens, so that a fault which is switched off changes
    /// nothing for later calls.
    fn fate(&self) -> Fate {
        let random = &mut *self.random.lock();
        let mut delay = || match random.random_range(0..20) {
            0 => below(random, 1_000),
            1..5 => below(random, 30),
            _ => {
                let _ = below(random, 2);
                Duration::ZERO
            }
        };
        let (there, back) = (delay(), delay());
        Fate {
            there,
            back,
            mishap: match random.random_range(0..100) {
                0 => Some(Fault::LostCall),
                1 => Some(Fault::LateCall),
                2 => Some(Fault::LostAnswer),
                3 | 4 => Some(Fault::Duplicate),
                _ => None,
            },
            timeout: below(random, 1_500),
            later: below(random, 3_000),
            waits: random.random_bool(0.5),
        }
    }

    async fn call<T: Send + 'static>(
        &self,
        what: &'static str,
        deliver: Call<T>,
    ) -> Result<T, StoreError> {
        let fate = self.fate();
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.host.awake().await;
        self.way(fate.there).await;
        self.reach(what, fate).await?;
        let crash = self.host.crashes_at(changes(what));
        if crash == Some(false) {
            self.net.crash(&self.host, what, "before").await;
        }
        if self.strikes(Fault::LostCall, fate, what) {
            return self.fail(fate.timeout).await;
        }
        if self.strikes(Fault::LateCall, fate, what) {
            redeliver(deliver, fate.later);
            return self.fail(fate.timeout).await;
        }
        let newest = self.arrived.fetch_max(number, Ordering::Relaxed);
        if newest > number {
            self.net.count(Fault::Reordered);
        }
        let answer = CALLER.scope(Arc::clone(&self.host), deliver()).await;
        if crash == Some(true) {
            self.net.crash(&self.host, what, "after").await;
        }
        if self.strikes(Fault::Duplicate, fate, what) {
            redeliver(deliver, fate.later);
        }
        if self.strikes(Fault::LostAnswer, fate, what) {
            return self.fail(fate.timeout).await;
        }
        self.way(fate.back).await;
        self.host.awake().await;
        answer
    }

    /// Some of the way there or back.
    async fn way(&self, long: Duration) {
        if self.net.strikes(Fault::Delay, !long.is_zero()) {
            tokio::time::sleep(long).await;
        }
    }

    /// Goes on once the store can be reached, or fails.
    async fn reach(&self, what: &'static str, fate: Fate) -> Result<(), StoreError> {
        let cut_off = self.host.cut_off_for().max(self.net.store_away_for());
        if cut_off.is_zero() {
            return Ok(());
        }
        let name = &self.host.name;
        if fate.waits && cut_off < fate.later {
            self.note(format_args!(
                "{name}: {what} waits until the store can be reached"
            ));
            tokio::time::sleep(cut_off).await;
            return Ok(());
        }
        self.note(format_args!("{name}: {what} cannot reach the store"));
        self.fail(fate.timeout).await
    }

    async fn fail<T>(&self, timeout: Duration) -> Result<T, StoreError> {
        tokio::time::sleep(timeout).await;
        self.host.awake().await;
        Err(unavailable("no answer in time"))
    }

    fn strikes(&self, fault: Fault, fate: Fate, what: &'static str) -> bool {
        let strikes = self.net.strikes(fault, fate.mishap == Some(fault));
        if strikes {
            let name = &self.host.name;
            self.note(format_args!("{name}: {what}: {}", fault.as_str()));
        }
        strikes
    }

    fn note(&self, line: fmt::Arguments<'_>) {
        self.net.truth.journal.note(line);
    }
}

/// Whether a call changes something worth crashing at.
fn changes(what: &str) -> bool {
    matches!(
        what,
        "bind"
            | "invalidate"
            | "claim_revalidations"
            | "report"
            | "save"
            | "leave"
            | "queue_pages"
            | "leave_pages"
    )
}

/// Delivers a call for which nobody waits. Messages outlive who sent them.
fn redeliver<T: Send + 'static>(deliver: Call<T>, later: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(later).await;
        let _ = deliver().await; // nobody hears of it
    });
}

/// How an argument is handed to the store: as it is, unless it is said how.
macro_rules! lent {
    ($argument:ident) => {
        $argument
    };
    ($argument:ident, $lend:expr) => {
        $lend
    };
}

/// Carries every call of a seam. Of an argument that is lent it is said how the message owns it, and how the
/// store is lent it; and of some calls, what becomes of the answer where it is made.
macro_rules! carry {
    ($self:ident as $seam:ident:
     $($call:ident($($argument:ident: $kind:ty $(= $own:expr => $lend:expr)?),*) -> $result:ty $(, $then:ident)?;)*) => {
        #[async_trait]
        impl $seam for Link {
            $(async fn $call(&$self, $($argument: $kind),*) -> Result<$result, StoreError> {
                let net = Arc::clone(&$self.net);
                $($(let $argument = $own;)?)*
                let deliver: Call<$result> = Arc::new(move || {
                    let net = Arc::clone(&net);
                    $(let $argument = $argument.clone();)*
                    Box::pin(async move {
                        let answer = net.store.$call($(lent!($argument $(, $lend)?)),*).await;
                        $(let answer = answer.map(|answer| net.$then(answer));)?
                        answer
                    })
                });
                $self.call(stringify!($call), deliver).await
            })*
        }
    };
}

carry! { self as TagGraph:
    position() -> Position;
    time() -> Timestamp;
    secret() -> Secret;
    bind(binds: &[Bind] = binds.to_vec() => &binds) -> Vec<BindOutcome>, bound;
    unbind(urls: &[PageUrl] = urls.to_vec() => &urls) -> u64;
    urls_for(
        target: &Target = target.clone() => &target,
        after: Option<&Cursor> = after.cloned() => after.as_ref(),
        limit: usize
    ) -> UrlChunk;
    tags_for(url: &PageUrl = url.clone() => &url) -> Option<PageTags>;
    invalidate(
        receipt: Receipt = self.net.rules.asked(receipt) => receipt
    ) -> Receipt, invalidated;
    beginning() -> Option<Beginning>;
    dealt_with(beginning: Epoch) -> ();
    news_since(after: &Position = after.clone() => &after, limit: usize) -> News;
    standing(
        page: &PageUrl = page.clone() => &page,
        tags: &[Tag] = tags.to_vec() => &tags
    ) -> Standing;
    history(
        page: &PageUrl = page.clone() => &page,
        before: Option<u64>,
        limit: usize
    ) -> Vec<Heard>;
    report(report: &SenderReport = self.net.rules.report(report) => &report) -> ();
    senders() -> Vec<SenderState>;
    dismiss(sender: &SenderId = sender.clone() => &sender) -> ();
    statistics(largest: usize) -> GraphStatistics;
    collect_garbage(limit: usize) -> Collected;
}

carry! { self as JobStore:
    claim_revalidations(
        worker: &WorkerId = worker.clone() => &worker,
        limit: usize,
        lease: Duration = self.net.rules.lease(lease) => lease
    ) -> Vec<Claimed<Receipt>>, claimed;
    cancel(id: &RevalidationId = *id => &id) -> Option<Receipt>;
    release(id: &RevalidationId = *id => &id) -> Option<Receipt>;
    save(
        claim: &Claim = claim.clone() => &claim,
        receipt: &Receipt = receipt.clone() => &receipt,
        lease: Duration = self.net.rules.lease(lease) => lease
    ) -> (), saved;
    leave(
        claim: &Claim = claim.clone() => &claim,
        receipt: &Receipt = receipt.clone() => &receipt,
        how: &Leave = how.clone() => &how
    ) -> (), saved;
    queue_pages(
        pages: &[PageWork] = pages.to_vec() => &pages,
        delay: Duration = self.net.rules.settling_time(delay) => delay
    ) -> ();
    claim_pages(
        worker: &WorkerId = worker.clone() => &worker,
        limit: usize,
        lease: Duration = self.net.rules.lease(lease) => lease
    ) -> Vec<Claimed<PageWork>>;
    renew_pages(
        claims: &[Claim] = claims.to_vec() => &claims,
        lease: Duration = self.net.rules.lease(lease) => lease
    ) -> ();
    leave_pages(pages: &[(Claim, LeavePage)] = pages.to_vec() => &pages) -> ();
    pages_outstanding(position: &Position = position.clone() => &position) -> u64;
    hand_back(worker: &WorkerId = worker.clone() => &worker) -> ();
    receipt(id: &RevalidationId = *id => &id) -> Option<Receipt>;
    receipts(
        wanted: &ReceiptFilter = wanted.clone() => &wanted,
        after: Option<&Cursor> = after.cloned() => after.as_ref(),
        limit: usize
    ) -> ReceiptChunk;
    dead_letters(
        after: Option<&Cursor> = after.cloned() => after.as_ref(),
        limit: usize
    ) -> DeadLetterChunk, listed;
    page_job(page: &PageUrl = page.clone() => &page) -> Option<PageJob>;
    replay(jobs: &[JobKey] = jobs.to_vec() => &jobs) -> u64;
    depth() -> QueueDepth;
}

carry! { self as RateBudget:
    take(
        limit: &RateLimit = limit.clone() => &limit,
        tokens: u32,
        patience: Duration
    ) -> Taken;
    pause(limit: &RateLimit = limit.clone() => &limit, pause: Duration) -> ();
}
