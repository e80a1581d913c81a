//! The running whole: everything a process needs to take part, put together from a configuration.

mod error;
mod parts;
mod rules;
mod shared_key;
mod site_handle;
mod stores;
mod tiers;

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Clock, PageUrl, Receipt, RevalidateOptions, RevalidationId, Revalidator, Sender, SenderRole,
    Source, Store, StoreError, Tag, Target, Targets, Tier, Timestamp, Warmer,
};
use isr_edge::{Edge, EdgeConnector, EdgeParts, HttpOrigin, Origin};
use isr_metrics::Metrics;
use isr_pipeline::{
    Awaited, Follower, FollowerOptions, Housekeeper, Intake, PageHistory, Parts, Worker,
    await_receipt, page_history,
};
use isr_tower::{IsrLayer, IsrParts};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use self::error::{RevalidateError, StartError};
pub use self::site_handle::SiteHandle;
pub use self::tiers::{check_connectors, examine};
use crate::config::Config;
use crate::connectors::Registry;

/// Polls in the time within which a sender must know itself up to date.
const POLLS_PER_LAG: u32 = 5;

/// How often the store is asked for news at the least, however much lag is allowed.
const LONGEST_POLL: Duration = Duration::from_millis(100);

/// How often it is looked whether a process is up to date.
const UP_TO_DATE_POLL: Duration = Duration::from_millis(5);

/// What a process is, and what it has beside its configuration.
#[derive(Debug, Default)]
pub struct EngineOptions {
    /// The kinds of connector that the configuration can name. Default: those of this crate, as far as
    /// their Cargo features are switched on.
    pub registry: Registry,
    /// Tiers that are not in the configuration.
    pub tiers: Vec<Tier>,
    /// Where warm-up requests reach this process's edge, as `http://host:port`; `None` where it runs
    /// none. A process with an edge reports as one, any other as an application.
    pub edge_address: Option<String>,
}

/// Everything that runs in a process: a store, a follower of its revalidations, a crawler, and a
/// worker if the configuration wants one.
///
/// An application takes its [`Engine::layer`]; a cache in front of an origin is its [`Engine::edge`].
/// [`Engine::stop`] ends it in good order; dropping it ends it as a crash would, which loses nothing
/// either but takes others longer to notice.
#[derive(Debug)]
pub struct Engine {
    site: SiteHandle,
    sender: Arc<Sender>,
    intake: Arc<Intake>,
    /// Stops the worker and the housekeeper, then the follower, which has the last word.
    stop_work: CancellationToken,
    stop_following: CancellationToken,
    work: JoinSet<()>,
    following: JoinSet<()>,
}

impl Engine {
    /// Puts everything together and starts it, in the order in which one part needs another. The
    /// store need not be there yet: pages are served meanwhile, with short lifetimes.
    ///
    /// # Errors
    ///
    /// See [`StartError`]: what no waiting would mend.
    pub fn start(config: Config, options: EngineOptions) -> Result<Self, StartError> {
        let site = SiteHandle::open(config, &options.registry, options.tiers)?;
        let recorder = site.recorder();
        let sender_options =
            parts::sender_options(site.config(), site.tiers(), options.edge_address);
        let poll = (sender_options.max_lag / POLLS_PER_LAG).min(LONGEST_POLL);
        let sender = Sender::new(
            parts::name(sender_options.role),
            sender_options,
            site.clock(),
        );
        let follower = Follower::new(
            sender.clone(),
            site.store(),
            recorder.clone(),
            FollowerOptions { poll },
        );
        let follower = Arc::new(follower);
        let wake = Arc::new(Notify::new());
        let intake = Intake::new(
            site.store(),
            Some(follower.clone()),
            recorder.clone(),
            wake.clone(),
        );

        let mut engine = Self {
            site,
            sender,
            intake: Arc::new(intake),
            stop_work: CancellationToken::new(),
            stop_following: CancellationToken::new(),
            work: JoinSet::new(),
            following: JoinSet::new(),
        };
        engine.follow(follower);
        engine
            .work
            .spawn(tiers::look_at(engine.site.tiers().to_vec()));
        if engine.config().worker.enabled {
            engine.work(Parts {
                store: engine.store(),
                tiers: engine.site.tiers().to_vec(),
                warmer: Some(engine.warmer()),
                clock: engine.clock(),
                recorder,
                wake,
            });
        }
        Ok(engine)
    }

    fn follow(&mut self, follower: Arc<Follower>) {
        let stop = self.stop_following.clone();
        self.following
            .spawn(async move { follower.run(stop).await });
        let (key, stop) = (self.site.key().clone(), self.stop_following.clone());
        self.following.spawn(key.keep_up(self.clock(), stop));
    }

    fn work(&mut self, parts: Parts) {
        let housekeeper = Housekeeper::new(
            parts.store.clone(),
            parts.tiers.clone(),
            parts.clock.clone(),
            parts.recorder.clone(),
        )
        .on_history_lost(
            self.config().store_options.on_history_lost,
            self.revalidate_options(),
        );
        let worker = Worker::new(parts, parts::worker_options(self.config()));
        let stop = self.stop_work.clone();
        self.work.spawn(async move { worker.run(stop).await });
        let stop = self.stop_work.clone();
        self.work.spawn(async move { housekeeper.run(stop).await });
    }

    /// Ends everything in good order: the worker hands back what it had claimed, requests under way
    /// are given up, and what this process had in flight is accounted for. Stop sending responses first.
    pub async fn stop(mut self) {
        self.site.stop_warming();
        self.stop_work.cancel();
        while self.work.join_next().await.is_some() {}
        self.stop_following.cancel();
        while self.following.join_next().await.is_some() {}
    }

    /// The built-in cache, in front of the origin that the configuration names.
    ///
    /// # Errors
    ///
    /// [`StartError::NoOrigin`] when it names none, and rules that cannot be used.
    pub fn edge(&self) -> Result<Edge, StartError> {
        let origin = self
            .config()
            .site
            .origin
            .as_ref()
            .ok_or(StartError::NoOrigin)?;
        let origin = HttpOrigin::new(origin.as_str(), &self.config().edge.origin)?;
        self.edge_before(Arc::new(origin))
    }

    /// The built-in cache, in front of an origin of the caller's choice.
    ///
    /// # Errors
    ///
    /// Rules that cannot be used.
    pub fn edge_before(&self, origin: Arc<dyn Origin>) -> Result<Edge, StartError> {
        let parts = EdgeParts {
            graph: self.store(),
            sender: Arc::clone(&self.sender),
            recorder: self.site.recorder(),
            clock: self.clock(),
            warmup_key: Some(self.site.key().key()),
            revalidator: self.revalidator(),
        };
        Ok(Edge::new(
            parts::edge_options(self.config(), self.site.tiers())?,
            origin,
            parts,
        ))
    }

    /// The layer for an axum application's routes.
    #[must_use]
    pub fn layer(&self) -> IsrLayer {
        let config = &self.config().layer;
        IsrLayer::new(IsrParts {
            graph: self.store(),
            sender: Arc::clone(&self.sender),
            recorder: self.site.recorder(),
            revalidator: Some(self.revalidator()),
            warmup: Some(self.site.key().key()),
            site: parts::site(self.config()),
            url_rules: self.config().urls.clone(),
            fronting: parts::layer_fronting(config, self.site.tiers()),
            build_tag: self.config().site.build.clone(),
            options: config.options.clone(),
        })
    }

    /// Says that the data behind these tags has changed, with what the configuration says of
    /// revalidations. Call it *after* the transaction that changed the data was committed: a page
    /// rendered in between would be taken for current.
    ///
    /// When it returns, the revalidation is stored durably, and this process serves nothing that it
    /// concerns as fresh any more; the rest happens in the background.
    ///
    /// # Errors
    ///
    /// No tags at all, and whatever the store answers.
    pub async fn revalidate(
        &self,
        tags: impl IntoIterator<Item = Tag>,
    ) -> Result<Receipt, RevalidateError> {
        self.revalidate_targets(Targets::new(tags.into_iter().map(Target::Tag))?)
            .await
    }

    /// The same for any targets.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn revalidate_targets(&self, targets: Targets) -> Result<Receipt, RevalidateError> {
        let receipt = Receipt::new(targets, self.revalidate_options(), Source::Library);
        Ok(self.intake.revalidate(receipt).await?)
    }

    /// The same at a time to come, for content that is under embargo until then: nothing moves before that
    /// time, and then everything happens as if it had been asked for at that moment, once, whatever has
    /// been restarted in between. At that moment some process of the site has to run a worker; if none
    /// does, it happens as soon as one runs.
    ///
    /// The time is by the store's clock, and this host's takes no part. One that has passed is now.
    /// See [`Engine::cancel`].
    ///
    /// # Errors
    ///
    /// A time further ahead than [`RevalidateOptions::FARTHEST`], and whatever the store answers.
    pub async fn revalidate_at(
        &self,
        targets: Targets,
        at: impl Into<Timestamp>,
    ) -> Result<Receipt, RevalidateError> {
        let options = RevalidateOptions {
            at: Some(at.into()),
            ..self.revalidate_options()
        };
        let receipt = Receipt::new(targets, options, Source::Library);
        Ok(self.intake.revalidate(receipt).await?)
    }

    /// Calls a revalidation off that was asked for at a time to come, or is held, and answers with its
    /// receipt: its phase is `cancelled`, or whatever it is at when it has begun before. `None` when it is not
    /// known. The generations of one that was held have moved, and stay so: only the calls of tiers and the
    /// warm-up are called off, and tiers may keep what they have until its lifetime ends.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn cancel(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.store().cancel(id).await
    }

    /// Lets a revalidation go on that is held since it concerns more pages than the configuration lets go on
    /// by themselves, and answers with its receipt: its phase is `queued`, or whatever it is at when it was
    /// not held. `None` when it is not known.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn release(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.store().release(id).await
    }

    /// What has happened to a page, with the newest `most` revalidations that concerned it: why it is stale,
    /// or is not.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn page_history(
        &self,
        url: &PageUrl,
        most: usize,
    ) -> Result<PageHistory, StoreError> {
        page_history(&*self.store(), url, most).await
    }

    /// What the configuration says of revalidations whose caller chooses nothing.
    #[must_use]
    pub fn revalidate_options(&self) -> RevalidateOptions {
        self.config().revalidate.clone()
    }

    /// Waits until this process knows itself up to date with the store, or `patience` has ended; says
    /// which. Until then what it serves is kept nowhere for long.
    pub async fn up_to_date(&self, patience: Duration) -> bool {
        let deadline = self.clock().now() + patience;
        while self.sender.is_behind() {
            if self.clock().now() >= deadline {
                return false;
            }
            self.clock().sleep(UP_TO_DATE_POLL).await;
        }
        true
    }

    /// Waits until a revalidation has come so far, or `patience` has ended; answers with the receipt
    /// as it then stands, `None` when it is not known.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn wait(
        &self,
        id: &RevalidationId,
        awaited: Awaited,
        patience: Duration,
    ) -> Result<Option<Receipt>, StoreError> {
        await_receipt(
            &*self.store(),
            &*self.clock(),
            id,
            awaited,
            EdgeConnector::NAME,
            patience,
        )
        .await
    }

    /// The configuration it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        self.site.config()
    }

    /// The site as whoever stands outside of it has it, without what runs here.
    #[must_use]
    pub const fn site(&self) -> &SiteHandle {
        &self.site
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.site.store()
    }

    /// What accepts revalidations.
    #[must_use]
    pub fn revalidator(&self) -> Arc<dyn Revalidator> {
        self.intake.clone()
    }

    /// The crawler.
    #[must_use]
    pub fn warmer(&self) -> Arc<dyn Warmer> {
        self.site.warmer()
    }

    /// The metrics.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        self.site.metrics()
    }

    /// What this process knows of revalidations, and what it has on its way.
    #[must_use]
    pub fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.sender)
    }

    /// Where its time comes from.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.site.clock()
    }
}

/// The word for a role in the names of senders.
const fn word(role: SenderRole) -> &'static str {
    match role {
        SenderRole::Edge => "edge",
        SenderRole::Application => "app",
    }
}
