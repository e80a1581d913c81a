//! The API over a real socket, with a store in memory behind it.

mod binding;
mod histories;
mod holding;
mod listing;
mod looking_up;
mod refusals;
mod revalidating;
mod scheduling;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge_isr::core::{
    Ability, Capabilities, CdnConnector, Completion, ConnectorError, Finding, PurgeBatch,
    PurgeReceipt, Receipt, Reference, RevalidateOptions, RevalidationId, Revalidator, Secret,
    SiteOrigin, Store, StoreError, Tier, UrlRules, WarmOutcome, WarmRequest, Warmer,
};
use edge_isr::graph::{MemoryOptions, MemoryStore};
use edge_isr::pipeline::{Thresholds, TokioClock};
use isr_testkit::HandClock;
use serde_json::Value;
use tokio::task::JoinHandle;

use super::{Admin, SitePages, router};

/// Stores revalidations; nobody carries them out.
#[derive(Debug)]
struct Accepts(Arc<dyn Store>);

#[async_trait]
impl Revalidator for Accepts {
    async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.0.invalidate(receipt).await
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.0.receipt(id).await
    }
}

/// Says that every page is warm.
#[derive(Debug)]
struct SaysWarm;

#[async_trait]
impl Warmer for SaysWarm {
    async fn warm(&self, requests: &[WarmRequest]) -> Vec<WarmOutcome> {
        let warmed = WarmOutcome::Warmed {
            status: 200,
            verified: true,
            took: Duration::from_millis(3),
        };
        vec![warmed; requests.len()]
    }
}

/// A tier that is purged by URL, 100 in a call.
#[derive(Debug)]
struct ByUrl(Capabilities);

impl ByUrl {
    fn new() -> Self {
        let hundred = std::num::NonZeroUsize::new(100).expect("it is not zero");
        Self(Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(hundred).soft()),
            ..Capabilities::default()
        })
    }
}

#[async_trait]
impl CdnConnector for ByUrl {
    fn name(&self) -> &'static str {
        "by-url"
    }

    fn capabilities(&self) -> &Capabilities {
        &self.0
    }

    async fn purge(&self, _: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        unreachable!("the API calls no tier itself")
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        unreachable!("the API calls no tier itself")
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        unreachable!("the API calls no tier itself")
    }
}

/// A running API.
struct Api {
    base: String,
    token: Option<&'static str>,
    store: Arc<dyn Store>,
    clock: HandClock,
    http: reqwest::Client,
    server: JoinHandle<std::io::Result<()>>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Api {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    async fn start_with(token: Option<&'static str>) -> Self {
        let clock = HandClock::new();
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(
            Arc::new(clock.clone()),
            MemoryOptions::default(),
        ));
        Self::over(store, clock, token).await
    }

    /// One that is otherwise than others in what `change` does.
    async fn start_that(change: impl FnOnce(&mut Admin)) -> Self {
        let clock = HandClock::new();
        let options = MemoryOptions::default();
        let store = Arc::new(MemoryStore::new(Arc::new(clock.clone()), options));
        Self::of(store, clock, None, change).await
    }

    async fn over(store: Arc<dyn Store>, clock: HandClock, token: Option<&'static str>) -> Self {
        Self::of(store, clock, token, |_| {}).await
    }

    async fn of(
        store: Arc<dyn Store>,
        clock: HandClock,
        token: Option<&'static str>,
        change: impl FnOnce(&mut Admin),
    ) -> Self {
        let mut admin = Admin {
            store: Arc::clone(&store),
            revalidator: Arc::new(Accepts(Arc::clone(&store))),
            warmer: Arc::new(SaysWarm),
            tiers: vec![Tier::new(Arc::new(ByUrl::new()))],
            edge_tier: "edge".into(),
            pages: SitePages::new(
                UrlRules::default(),
                vec![SiteOrigin::parse("https://a.example").unwrap()],
            ),
            clock: Arc::new(TokioClock::new()),
            defaults: RevalidateOptions::default(),
            thresholds: Thresholds::default(),
            settling_time: Duration::from_secs(2),
            token: token.map(Secret::new),
            largest_body: 64 * 1024,
            metrics: Box::new(|| "edge_isr_up 1\n".into()),
            heard_from_store: Box::new(|| true),
        };
        change(&mut admin);
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server =
            tokio::spawn(async move { axum::serve(listener, router(Arc::new(admin))).await });
        crate::tls::install();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            base,
            token,
            store,
            clock,
            http,
            server,
        }
    }

    /// The status and JSON that a path is answered with.
    async fn get(&self, path: &str) -> (u16, Value) {
        self.answer(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    /// The status and JSON that a body sent to a path is answered with.
    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.answer(self.http.post(format!("{}{path}", self.base)).json(body))
            .await
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        let request = match self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().await.unwrap();
        (
            response.status().as_u16(),
            response.json().await.unwrap_or(Value::Null),
        )
    }
}
