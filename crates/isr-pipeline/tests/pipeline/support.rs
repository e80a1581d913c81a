//! A world of one store, tiers that note what they are told, and a crawler that notes where it went.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use isr_core::{
    Ability, Bind, Capabilities, CdnConnector, Clock, Completion, ConnectorError, Escalation,
    Event, Finding, Footprint, HostPatterns, Milestone, Mode, PageUrl, PurgeBatch, PurgeReceipt,
    Receipt, Recorder, Reference, RevalidateOptions, Revalidator, Sender, SenderOptions, Source,
    Store, TagSet, Target, Targets, Tier, VariantKey, WarmFailure, WarmOutcome, WarmRequest,
    Warmer,
};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_pipeline::{
    Follower, FollowerOptions, Housekeeper, Intake, OnHistoryLost, Parts, TokioClock, Worker,
    WorkerOptions,
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What happened, in order: `tier hard /path …` or `warm /path`.
pub(crate) type Journal = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
pub(crate) struct ModelTier {
    name: String,
    capabilities: Capabilities,
    journal: Journal,
    /// Answers to the next calls; afterwards every call succeeds.
    pub(crate) answers: Mutex<VecDeque<ConnectorError>>,
    /// What it refuses by itself.
    pub(crate) rejected: Mutex<Option<Target>>,
    /// What it refuses a whole call over.
    pub(crate) chokes_on: Mutex<Vec<Target>>,
    /// Whether it cannot be reached.
    pub(crate) away: AtomicBool,
    /// Whether it can be reached, but refuses to be purged.
    pub(crate) half_set_up: AtomicBool,
    /// How long it takes to answer a call.
    pub(crate) latency: Mutex<Duration>,
    /// How long it wants to be left alone after each call.
    pub(crate) pause: Mutex<Option<Duration>>,
    /// How often a poll says "pending" before it says "complete".
    pub(crate) pending: Mutex<u32>,
    /// How often it says so after each purge.
    pub(crate) pending_each: Mutex<u32>,
    /// When it wants to be asked again while it is pending.
    pub(crate) asked_after: Mutex<Duration>,
}

impl ModelTier {
    pub(crate) fn refuse(&self, times: usize, error: impl Fn(String) -> ConnectorError) {
        self.answers
            .lock()
            .extend((0..times).map(|_| error(self.name.clone())));
    }
}

pub(crate) fn unreachable(connector: String) -> ConnectorError {
    ConnectorError::Unreachable {
        connector,
        source: "connection refused".into(),
    }
}

pub(crate) fn refused(connector: String) -> ConnectorError {
    ConnectorError::Refused {
        connector,
        reason: "the token may not purge".into(),
        over_targets: false,
    }
}

#[async_trait]
impl CdnConnector for ModelTier {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let latency = *self.latency.lock();
        tokio::time::sleep(latency).await;
        if let Some(error) = self.answers.lock().pop_front() {
            return Err(error);
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(unreachable(self.name.clone()));
        }
        if self.half_set_up.load(Ordering::SeqCst) {
            return Err(refused(self.name.clone()));
        }
        let chokes_on = self.chokes_on.lock().clone();
        if batch.targets().iter().any(|it| chokes_on.contains(it)) {
            let reason = "something in it is of no use";
            return Err(ConnectorError::refused_over_targets(&self.name, reason));
        }
        let mut pending = self.pending.lock();
        *pending = (*pending).max(*self.pending_each.lock());
        drop(pending);
        let mut targets: Vec<String> = batch.targets().iter().map(short).collect();
        targets.sort_unstable();
        let line = format!(
            "{} {} {}",
            self.name,
            batch.mode.as_str(),
            targets.join(" ")
        );
        self.journal.lock().push(line);
        let rejected = self.rejected.lock().clone();
        let rejected = rejected.filter(|target| batch.targets().contains(target));
        let accepted = (targets.len() - rejected.iter().len()) as u64;
        Ok(PurgeReceipt {
            accepted,
            rejected: rejected
                .map(|target| (target, "it is of no use".to_owned()))
                .into_iter()
                .collect(),
            reference: Some(Reference("r".into())),
            pause: *self.pause.lock(),
            ..PurgeReceipt::default()
        })
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        let mut pending = self.pending.lock();
        if *pending > 0 {
            *pending -= 1;
            return Ok(Completion::Pending {
                retry_after: *self.asked_after.lock(),
            });
        }
        self.journal.lock().push(format!("{} complete", self.name));
        Ok(Completion::Complete)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(unreachable(self.name.clone()));
        }
        Ok(Vec::new())
    }
}

fn short(target: &Target) -> String {
    match target {
        Target::Url(url) => url.path().to_owned(),
        other => other.to_string(),
    }
}

#[derive(Debug)]
struct ModelCrawler(Journal);

#[async_trait]
impl Warmer for ModelCrawler {
    async fn warm(&self, requests: &[WarmRequest]) -> Vec<WarmOutcome> {
        let mut journal = self.0.lock();
        requests
            .iter()
            .map(|request| {
                let via = request.via.as_deref().unwrap_or("public");
                journal.push(format!("warm {} {via}", request.url.path()));
                match request.url.path() {
                    "/gone" => WarmOutcome::Gone { status: 404 },
                    "/broken" => WarmOutcome::Failed {
                        reason: WarmFailure::Status,
                        detail: "status 500".to_owned(),
                    },
                    _ => WarmOutcome::Warmed {
                        status: 200,
                        verified: true,
                        took: Duration::ZERO,
                    },
                }
            })
            .collect()
    }
}

/// The milestones of all revalidations in the order in which they were reached, and how long each took; and
/// what was left of rate limits.
#[derive(Debug, Default)]
pub(crate) struct Milestones {
    pub(crate) reached: Mutex<Vec<(Milestone, Duration)>>,
    pub(crate) left: Mutex<Vec<(String, f64)>>,
}

impl Recorder for Milestones {
    fn record(&self, event: &Event<'_>) {
        match *event {
            Event::Reached { milestone, after } => self.reached.lock().push((milestone, after)),
            Event::RateBudget { connector, left } => {
                self.left.lock().push((connector.to_owned(), left));
            }
            _ => {}
        }
    }
}

pub(crate) struct World {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) journal: Journal,
    pub(crate) tiers: Vec<Arc<ModelTier>>,
    /// What the site's owner says of tiers, by their names.
    hosts: HashMap<String, HostPatterns>,
    escalations: HashMap<String, Option<Escalation>>,
    /// What was to be counted.
    pub(crate) milestones: Arc<Milestones>,
    wake: Arc<Notify>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let store = MemoryStore::new(Arc::clone(&clock), MemoryOptions::default());
        Self {
            store: Arc::new(store),
            clock,
            journal: Journal::default(),
            tiers: vec![],
            hosts: HashMap::new(),
            escalations: HashMap::new(),
            milestones: Arc::default(),
            wake: Arc::default(),
        }
    }

    fn recorder(&self) -> Arc<dyn Recorder> {
        Arc::clone(&self.milestones) as Arc<dyn Recorder>
    }

    pub(crate) fn tier(&mut self, name: &str, capabilities: Capabilities) -> Arc<ModelTier> {
        let tier = Arc::new(ModelTier {
            name: name.to_owned(),
            capabilities,
            journal: Arc::clone(&self.journal),
            answers: Mutex::default(),
            rejected: Mutex::default(),
            chokes_on: Mutex::default(),
            away: AtomicBool::new(false),
            half_set_up: AtomicBool::new(false),
            latency: Mutex::default(),
            pause: Mutex::default(),
            pending: Mutex::default(),
            pending_each: Mutex::default(),
            asked_after: Mutex::new(Duration::from_millis(10)),
        });
        self.tiers.push(Arc::clone(&tier));
        tier
    }

    pub(crate) fn worker(&self, name: &str) -> Worker {
        self.worker_with(alone(name))
    }

    pub(crate) fn worker_with(&self, options: WorkerOptions) -> Worker {
        let parts = Parts {
            store: Arc::clone(&self.store),
            tiers: self.as_tiers(),
            warmer: Some(Arc::new(ModelCrawler(Arc::clone(&self.journal)))),
            clock: Arc::clone(&self.clock),
            recorder: self.recorder(),
            wake: Arc::clone(&self.wake),
        };
        Worker::new(parts, options)
    }

    pub(crate) fn hosts(&mut self, tier: &str, hosts: HostPatterns) {
        self.hosts.insert(tier.to_owned(), hosts);
    }

    pub(crate) fn escalation(&mut self, tier: &str, escalation: Option<Escalation>) {
        self.escalations.insert(tier.to_owned(), escalation);
    }

    pub(crate) fn as_tiers(&self) -> Vec<Tier> {
        let tier = |tier: &Arc<ModelTier>| Tier {
            group: tier.name.clone(),
            connector: Arc::clone(tier) as Arc<dyn CdnConnector>,
            hosts: self.hosts.get(&tier.name).cloned().unwrap_or_default(),
            escalation: self.escalations.get(&tier.name).copied().flatten(),
        };
        self.tiers.iter().map(tier).collect()
    }

    pub(crate) fn start(&self, name: &str) -> Running {
        Running::start(self.worker(name))
    }

    /// Keeps house until it is dropped.
    pub(crate) fn housekeeper(&self) -> DropGuard {
        self.housekeeper_that(OnHistoryLost::AgeOut)
    }

    pub(crate) fn housekeeper_that(&self, policy: OnHistoryLost) -> DropGuard {
        let housekeeper = Housekeeper::new(
            Arc::clone(&self.store),
            self.as_tiers(),
            Arc::clone(&self.clock),
            self.recorder(),
        )
        .on_history_lost(policy, RevalidateOptions::default());
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move { housekeeper.run(token).await });
        stop.drop_guard()
    }

    /// A sender before foreign tiers and its follower, not running.
    pub(crate) fn sender(&self, name: &str) -> (Arc<Sender>, Arc<Follower>) {
        let options = SenderOptions {
            tracks: true,
            ..SenderOptions::default()
        };
        let sender = Sender::new(name, options, Arc::clone(&self.clock));
        let follower = Follower::new(
            Arc::clone(&sender),
            Arc::clone(&self.store),
            self.recorder(),
            FollowerOptions::default(),
        );
        (sender, Arc::new(follower))
    }

    pub(crate) fn intake(&self, follower: Option<Arc<Follower>>) -> Intake {
        Intake::new(
            Arc::clone(&self.store),
            follower,
            self.recorder(),
            Arc::clone(&self.wake),
        )
    }

    pub(crate) async fn bind(&self, path: &str, tags: &[&str]) {
        let url = page(path);
        let generation = self.store.position().await.unwrap().generation_of(&url);
        let lifetime = Duration::from_hours(1);
        let bind = Bind {
            url,
            variant: VariantKey::default(),
            tags: tag_set(tags),
            generation,
            lifetime,
        };
        self.store.bind(&[bind]).await.unwrap();
    }

    pub(crate) async fn revalidate(&self, tags: &[&str]) -> Receipt {
        self.revalidate_with(tags, RevalidateOptions::default())
            .await
    }

    pub(crate) async fn revalidate_with(
        &self,
        tags: &[&str],
        options: RevalidateOptions,
    ) -> Receipt {
        let receipt = Receipt::new(targets(tags), options, Source::Library);
        self.intake(None).revalidate(receipt).await.unwrap()
    }

    /// Waits until a receipt is as the caller wants it. Time is paused in these tests, so this takes none.
    pub(crate) async fn wait_until(
        &self,
        receipt: &Receipt,
        wanted: impl Fn(&Receipt) -> bool,
    ) -> Receipt {
        for _ in 0..100_000 {
            let now = self.store.receipt(&receipt.id).await.unwrap().unwrap();
            if wanted(&now) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let now = self.store.receipt(&receipt.id).await.unwrap();
        panic!(
            "the receipt never came so far: {now:#?}\n{:#?}",
            self.journal.lock()
        );
    }

    pub(crate) async fn done(&self, receipt: &Receipt) -> Receipt {
        self.wait_until(receipt, |receipt| receipt.phase.is_final())
            .await
    }

    /// Time passed since `start`.
    pub(crate) fn since(&self, start: Duration) -> Duration {
        self.clock.now().saturating_sub(start)
    }

    pub(crate) fn journal(&self) -> Vec<String> {
        self.journal.lock().clone()
    }
}

/// A worker that runs until it is stopped or dropped.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(worker: Worker) -> Self {
        let stop = CancellationToken::new();
        let token = stop.clone();
        Self {
            stop,
            task: tokio::spawn(async move { worker.run(token).await }),
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as a crash would: nothing is handed back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub(crate) fn page(path: &str) -> PageUrl {
    PageUrl::parse(&format!("https://site.example{path}")).unwrap()
}

pub(crate) fn tag_set(tags: &[&str]) -> TagSet {
    TagSet::try_from_iter(tags.iter().map(|tag| tag.parse().unwrap())).unwrap()
}

pub(crate) fn targets(tags: &[&str]) -> Targets {
    Targets::new(tags.iter().map(|tag| Target::Tag(tag.parse().unwrap()))).unwrap()
}

pub(crate) fn footprint(path: &str, tags: &[&str]) -> Arc<Footprint> {
    Arc::new(Footprint {
        url: page(path),
        tags: tag_set(tags),
    })
}

/// A worker that waits for nobody and leaves it to its jobs to try again, so that a test sees each step.
pub(crate) fn alone(name: &str) -> WorkerOptions {
    WorkerOptions {
        coalesce: Duration::ZERO,
        call_attempts: 1,
        ..WorkerOptions::new(name)
    }
}

/// A CDN that knows URLs only.
pub(crate) fn by_url() -> Capabilities {
    Capabilities {
        url: Some(Ability::UNLIMITED),
        ..Capabilities::default()
    }
}

/// A CDN that knows tags, and stale copies.
pub(crate) fn by_tag() -> Capabilities {
    Capabilities {
        url: Some(Ability::UNLIMITED.soft()),
        tag: Some(Ability::UNLIMITED.soft()),
        ..Capabilities::default()
    }
}

/// A CDN that can be emptied.
pub(crate) fn by_everything() -> Capabilities {
    Capabilities {
        everything: Some(Ability::UNLIMITED),
        ..by_tag()
    }
}

/// The built-in edge as the pipeline sees it.
pub(crate) fn edge() -> Capabilities {
    Capabilities {
        observes_completion: true,
        foreign: false,
        distance: 0,
        ..by_tag()
    }
}

pub(crate) fn hard() -> RevalidateOptions {
    RevalidateOptions {
        mode: Mode::Hard.into(),
        ..RevalidateOptions::default()
    }
}

/// Hard, and nothing is warmed afterwards.
pub(crate) fn unwarmed() -> RevalidateOptions {
    RevalidateOptions {
        warm: false,
        ..hard()
    }
}
