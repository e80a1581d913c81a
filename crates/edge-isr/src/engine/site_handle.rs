//! A site as seen from outside.

use std::sync::Arc;

use isr_core::{Clock, Recorder, Revalidator, Store, StoreError, Tier, Warmer};
use isr_edge::EdgeConnector;
use isr_metrics::Metrics;
use isr_pipeline::{Intake, TokioClock};
use isr_warm::Crawler;
use tokio::sync::Notify;

use super::shared_key::SharedKey;
use super::{StartError, parts, stores, tiers};
use crate::config::Config;
use crate::connectors::Registry;
use crate::watched_store::WatchedStore;

/// A site's store and tiers, with nothing running here: what a command line, a cron job or a script
/// needs to announce a change and to see what came of it. The processes of the site carry it out.
///
/// A store in memory is known to its process alone, so a handle on one has a site to itself.
#[derive(Debug)]
pub struct SiteHandle {
    /// On the heap, since handles are moved about in futures.
    config: Box<Config>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    tiers: Vec<Tier>,
    crawler: Arc<Crawler>,
    key: SharedKey,
}

impl SiteHandle {
    /// Puts it together: the built-in edge, the configuration's connectors, whose kinds are looked up in
    /// `registry`, and `others`. Nothing is connected yet: the store need not be there.
    ///
    /// # Errors
    ///
    /// See [`StartError`]: what no waiting would mend.
    pub fn open(
        config: Config,
        registry: &Registry,
        others: Vec<Tier>,
    ) -> Result<Self, StartError> {
        // One TLS provider for everything in the process; where the application chose one, that stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let store = stores::store(&config, &clock)?;
        let edge = Tier::new(Arc::new(EdgeConnector::new(parts::graph(&store))));
        let connectors = tiers::connectors(&config, registry)?;
        let tiers: Vec<Tier> = [edge].into_iter().chain(connectors).chain(others).collect();
        tiers::require_names_of_their_own(&tiers)?;
        let names = tiers.iter().map(|tier| tier.name().to_owned());
        let metrics = Arc::new(Metrics::new(names));
        let recorder: Arc<dyn Recorder> = metrics.clone();
        // The edge's connector has the store itself: tiers have to be known before anything is counted.
        let store = WatchedStore::new(store, Arc::clone(&clock), Arc::clone(&recorder));
        let store: Arc<dyn Store> = Arc::new(store);
        let key = SharedKey::new(config.warm.key.clone(), &store);
        let crawler = parts::crawler(&config, &key.key(), &clock, &recorder)?;
        Ok(Self {
            config: Box::new(config),
            store,
            clock,
            metrics,
            tiers,
            crawler,
            key,
        })
    }

    /// Has warm-up requests signed by the store's secret, unless the configuration has a key for that:
    /// until then the processes of a site do not know one another's.
    ///
    /// # Errors
    ///
    /// Whatever the store answers.
    pub async fn share_key(&self) -> Result<(), StoreError> {
        self.key.ask().await
    }

    /// The configuration it was opened with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// Every tier, the built-in edge first.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Accepts revalidations for the site's workers to carry out.
    #[must_use]
    pub fn revalidator(&self) -> Arc<dyn Revalidator> {
        let nobody = Arc::new(Notify::new());
        Arc::new(Intake::new(self.store(), None, self.recorder(), nobody))
    }

    /// The crawler.
    #[must_use]
    pub fn warmer(&self) -> Arc<dyn Warmer> {
        self.crawler.clone()
    }

    /// The metrics of this process.
    #[must_use]
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.metrics)
    }

    /// Where its time comes from.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn recorder(&self) -> Arc<dyn Recorder> {
        self.metrics.clone()
    }

    pub(super) const fn key(&self) -> &SharedKey {
        &self.key
    }

    /// Gives up warm-up requests under way.
    pub(super) fn stop_warming(&self) {
        self.crawler.stop();
    }
}
