//! Hearing of jobs that other processes queue, so that a worker need not wait until it looks the next time.
//!
//! Scripts publish on a channel of the partition when they queue what is due. In a cluster that reaches every node,
//! whoever has the partition. Nothing rests on it: workers look now and then in any case.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deadpool_redis::redis::aio::PubSub;
use deadpool_redis::redis::{Client, ConnectionInfo, RedisError};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// The pause after a message, so that a stream of them does not have every worker ask for jobs all the time.
const BREATH: Duration = Duration::from_millis(10);
/// How long nothing may come before the connection is made anew: one whose server is gone may never say so.
const SILENCE: Duration = Duration::from_mins(1);
/// The pause before another attempt, at the next address.
const RETRY: Duration = Duration::from_secs(1);
/// Messages taken together.
const AT_ONCE: usize = 1024;

/// Listens from the first time that somebody waits.
pub(super) struct Waking {
    seeds: Vec<ConnectionInfo>,
    channels: Vec<String>,
    connect_timeout: Duration,
    told: Arc<Notify>,
    listening: OnceLock<JoinHandle<()>>,
}

impl Waking {
    pub(super) fn new(
        seeds: Vec<ConnectionInfo>,
        channels: Vec<String>,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            seeds,
            channels,
            connect_timeout,
            told: Arc::default(),
            listening: OnceLock::new(),
        }
    }

    /// Waits until somebody has queued a job since this was asked the last time.
    pub(super) async fn told(&self) {
        self.listening.get_or_init(|| {
            let (seeds, channels) = (self.seeds.clone(), self.channels.clone());
            let told = Arc::clone(&self.told);
            tokio::spawn(listen(seeds, channels, self.connect_timeout, told))
        });
        self.told.notified().await;
    }
}

impl std::fmt::Debug for Waking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The addresses name users and passwords.
        let listening = self.listening.get().is_some();
        f.debug_struct("Waking")
            .field("listening", &listening)
            .finish_non_exhaustive()
    }
}

impl Drop for Waking {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.get() {
            listening.abort();
        }
    }
}

async fn listen(
    seeds: Vec<ConnectionInfo>,
    channels: Vec<String>,
    connect_timeout: Duration,
    told: Arc<Notify>,
) {
    for seed in seeds.iter().cycle() {
        match timeout(connect_timeout, subscribe(seed, &channels)).await {
            Ok(Ok(subscription)) => hear(subscription, &told).await,
            Ok(Err(error)) => {
                report(&error);
                sleep(RETRY).await;
            }
            Err(_too_long) => sleep(RETRY).await,
        }
    }
}

/// A user who may not subscribe, say. That a server is away the calls tell.
fn report(error: &RedisError) {
    tracing::debug!(
        error = error as &dyn std::error::Error,
        "cannot hear of jobs: they are looked for now and then"
    );
}

async fn subscribe(seed: &ConnectionInfo, channels: &[String]) -> Result<PubSub, RedisError> {
    let client = Client::open(seed.clone())?;
    let mut subscription = client.get_async_pubsub().await?;
    subscription.subscribe(channels).await?;
    Ok(subscription)
}

/// Passes on what is heard, until the connection ends or has been silent for long.
async fn hear(mut subscription: PubSub, told: &Notify) {
    let mut messages = subscription.on_message().ready_chunks(AT_ONCE);
    // Whatever was queued before.
    told.notify_one();
    while let Ok(Some(_)) = timeout(SILENCE, messages.next()).await {
        told.notify_one();
        sleep(BREATH).await;
    }
}
