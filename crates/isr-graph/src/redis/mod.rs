//! A store in Redis, which several machines can share.
//!
//! What is kept where is described in `docs/redis-layout.md`, and counts as public API. All of it is
//! read and written by the scripts in `lua/`, each of which is one atomic step on one partition, looks
//! at a bounded number of elements, and goes by the server's clock.

mod bind;
mod budget;
mod dead_letters;
mod error;
mod gather;
mod history;
mod identity;
mod jobs;
mod link;
mod look;
mod news;
mod node;
mod opening;
mod options;
mod receipts;
mod record;
mod revalidate;
mod schedule;
mod scripts;
mod senders;
mod server;
mod statistics;
mod waking;
mod walk;
mod work;

use std::sync::Arc;
use std::sync::atomic::AtomicU16;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Cmd, FromRedisValue, cmd};
use futures_util::future::try_join_all;
use isr_core::{
    Beginning, Bind, BindOutcome, Collected, Cursor, Epoch, GraphStatistics, Heard, News, PageTags,
    PageUrl, Partition, Position, Receipt, Secret, SenderId, SenderReport, SenderState, Standing,
    StoreError, Tag, TagGraph, Target, Timestamp, UrlChunk,
};
use parking_lot::RwLock;
use tokio::sync::Mutex;

pub use self::options::{InvalidRedisOptions, RedisOptions};

use self::error::{Failure, STORE, corrupt};
use self::gather::Gathering;
use self::history::Trust;
use self::identity::Identity;
use self::link::{Lane, Link, Replicas};
use self::scripts::{Lua, TIME};
use self::waking::Waking;
use crate::LARGEST_TAGS;

/// How often a call is begun again because the store turned out to be another one, or elsewhere.
const ATTEMPTS: usize = 4;

/// A store in Redis 6.2 or newer, or Valkey; on one server, or spread over the masters of a cluster.
///
/// It connects when it is first used and again whenever the connection broke, and notices when a server has
/// started again or another has taken its place: unless nothing that was acknowledged can be missing then,
/// the store has another [epoch](isr_core::Epoch). Slots that a cluster moves are not a loss.
///
/// The server must not evict keys: set its `maxmemory-policy` to `noeviction`.
#[derive(Debug)]
pub struct RedisStore {
    options: RedisOptions,
    link: Link,
    /// How many replicas must have what others rely on.
    replicas: Option<Replicas>,
    /// Of each partition, the key that every script is called with.
    keys: Vec<String>,
    /// Of each partition, the key of its description.
    descriptions: Vec<String>,
    /// Of each partition, the binds that wait for one another.
    gatherings: Vec<Gathering>,
    identity: RwLock<Option<Arc<Identity>>>,
    opening: Mutex<()>,
    waking: Waking,
    /// The partition in which garbage collection goes on.
    collecting: AtomicU16,
    /// The partition that is asked for work first the next time.
    claiming: AtomicU16,
}

impl RedisStore {
    /// A store that connects when it is first used.
    ///
    /// # Errors
    ///
    /// Options that can never work are refused. Whether the server can be reached is not looked at;
    /// see [`RedisStore::open`].
    pub fn new(options: RedisOptions) -> Result<Self, InvalidRedisOptions> {
        options.check()?;
        let key =
            |partition: u16, name: &str| format!("isr:{{{}:{partition}}}:{name}", options.site);
        Ok(Self {
            link: Link::new(&options)?,
            replicas: (options.replicas > 0).then_some(Replicas {
                count: options.replicas,
                within: options.response_timeout / 2,
            }),
            keys: (0..options.partitions)
                .map(|partition| key(partition, "c"))
                .collect(),
            descriptions: (0..options.partitions)
                .map(|partition| key(partition, "m"))
                .collect(),
            gatherings: (0..options.partitions).map(|_| Gathering::new()).collect(),
            identity: RwLock::default(),
            opening: Mutex::default(),
            waking: Waking::new(
                options.seeds()?,
                (0..options.partitions)
                    .map(|partition| key(partition, "w"))
                    .collect(),
                options.connect_timeout,
            ),
            collecting: AtomicU16::new(0),
            claiming: AtomicU16::new(0),
            options,
        })
    }

    /// Connects now, and makes the store when it is not there yet. Every other call does so by itself
    /// when it has to.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when the server cannot be reached, [`StoreError::NewerLayout`] when
    /// a newer release wrote the data, and [`StoreError::OtherPartitions`].
    pub async fn open(&self) -> Result<(), StoreError> {
        self.identity().await.map(|_| ())
    }

    async fn identity(&self) -> Result<Arc<Identity>, StoreError> {
        if let Some(known) = self.known_identity() {
            return Ok(known);
        }
        let _opening = self.opening.lock().await;
        if let Some(known) = self.known_identity() {
            return Ok(known);
        }
        let trust = Trust {
            restarts: self.options.trust_restarts,
            replicas: self.options.replicas,
        };
        let found = opening::open(&self.link.nodes, &self.descriptions, trust).await?;
        let found = Arc::new(found);
        *self.identity.write() = Some(Arc::clone(&found));
        Ok(found)
    }

    fn known_identity(&self) -> Option<Arc<Identity>> {
        self.identity.read().clone()
    }

    /// The store is not the one it was taken for, or not where it was.
    fn forget(&self, identity: &Arc<Identity>) {
        let mut known = self.identity.write();
        if known
            .as_ref()
            .is_some_and(|known| Arc::ptr_eq(known, identity))
        {
            *known = None;
        }
    }

    /// Runs a script on one partition. `fill` adds the arguments after the epoch, and is called again
    /// when the store turns out to be another one, whose ids are different.
    async fn run<T: FromRedisValue>(
        &self,
        lane: Lane,
        partition: Partition,
        script: &Lua,
        fill: impl Fn(&Identity, &mut Cmd),
    ) -> Result<T, StoreError> {
        self.run_in_epoch(lane, partition, script, fill)
            .await
            .map(|(_, answer)| answer)
    }

    /// As [`RedisStore::run`], and tells the epoch in which the script ran.
    async fn run_in_epoch<T: FromRedisValue>(
        &self,
        lane: Lane,
        partition: Partition,
        script: &Lua,
        fill: impl Fn(&Identity, &mut Cmd),
    ) -> Result<(Epoch, T), StoreError> {
        let mut attempt = 1;
        loop {
            let identity = self.identity().await?;
            let call = |how: &str, name: &str| {
                let mut command = cmd(how);
                command
                    .arg(name)
                    .arg(1)
                    .arg(&self.keys[partition.index()])
                    .arg(identity.stamp(partition));
                fill(&identity, &mut command);
                command
            };
            let mut answered = self.send(lane, script, &call("EVALSHA", &script.sha)).await;
            if answered.as_ref().is_err_and(Failure::is_missing_script) {
                answered = self.send(lane, script, &call("EVAL", script.code)).await;
            }
            let failure = match answered {
                Ok(answer) => return Ok((identity.epoch, answer)),
                Err(failure) => failure,
            };
            if !failure.is_other_epoch() || attempt == ATTEMPTS {
                return Err(failure.into());
            }
            self.forget(&identity);
            attempt += 1;
        }
    }

    async fn send<T: FromRedisValue>(
        &self,
        lane: Lane,
        script: &Lua,
        command: &Cmd,
    ) -> Result<T, Failure> {
        match self.replicas {
            Some(replicas) if script.makes_promises() => {
                self.link.query_replicated(command, replicas).await
            }
            _ => self.link.query(lane, command).await,
        }
    }

    /// Runs a script that changes nothing on every partition at once; the answers are in the order of
    /// the partitions.
    async fn run_everywhere<T: FromRedisValue>(
        &self,
        script: &Lua,
        fill: impl Fn(Partition, &Identity, &mut Cmd),
    ) -> Result<(Epoch, Vec<T>), StoreError> {
        let fill = &fill;
        for _ in 0..ATTEMPTS {
            let runs = self.partitions().map(|partition| {
                self.run_in_epoch(Lane::Fast, partition, script, move |identity, command| {
                    fill(partition, identity, command);
                })
            });
            let answers: Vec<(Epoch, T)> = try_join_all(runs).await?;
            let epoch = answers
                .first()
                .expect("a store has at least one partition")
                .0;
            if answers.iter().all(|&(other, _)| other == epoch) {
                let answers = answers.into_iter().map(|(_, answer)| answer);
                return Ok((epoch, answers.collect()));
            }
        }
        let source = "the epoch changed between the answers of two partitions".into();
        Err(StoreError::Unavailable {
            store: STORE.to_owned(),
            source,
        })
    }

    fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.options.partitions).map(Partition)
    }

    fn partition_of(&self, url: &PageUrl) -> Partition {
        Partition::of(url, self.options.partitions)
    }
}

/// The partition in which everything is kept that belongs to no page.
const HOME: Partition = Partition(0);

/// A duration in milliseconds as the scripts take it: rounded up, and no more than a century.
fn milliseconds(duration: Duration) -> u64 {
    const CENTURY: u64 = 100 * 366 * 24 * 3600 * 1000;
    u64::try_from(duration.as_nanos().div_ceil(1_000_000))
        .unwrap_or(u64::MAX)
        .min(CENTURY)
}

/// A stored URL.
fn read_url(text: &str) -> Result<PageUrl, StoreError> {
    PageUrl::from_stored(text).map_err(corrupt)
}

#[async_trait]
impl TagGraph for RedisStore {
    async fn position(&self) -> Result<Position, StoreError> {
        self.current_position().await
    }

    async fn time(&self) -> Result<Timestamp, StoreError> {
        let time = self.run(Lane::Fast, HOME, &TIME, |_, _| {}).await?;
        Ok(Timestamp::from_millis(time))
    }

    async fn secret(&self) -> Result<Secret, StoreError> {
        Ok(self.identity().await?.secret())
    }

    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        self.bind_all(binds).await
    }

    async fn unbind(&self, urls: &[PageUrl]) -> Result<u64, StoreError> {
        self.unbind_all(urls).await
    }

    async fn urls_for(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError> {
        self.walk(target, after, limit.max(1)).await
    }

    async fn tags_for(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        self.tags_of(url).await
    }

    async fn invalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        match receipt.options.at {
            Some(at) => self.schedule(receipt, at).await,
            None => self.revalidate(receipt).await,
        }
    }

    async fn beginning(&self) -> Result<Option<Beginning>, StoreError> {
        self.began(None).await
    }

    async fn dealt_with(&self, beginning: Epoch) -> Result<(), StoreError> {
        self.began(Some(beginning)).await.map(drop)
    }

    async fn news_since(&self, after: &Position, limit: usize) -> Result<News, StoreError> {
        self.news(after, limit.max(1)).await
    }

    async fn standing(&self, page: &PageUrl, tags: &[Tag]) -> Result<Standing, StoreError> {
        self.standing_of(page, tags).await
    }

    async fn history(
        &self,
        page: &PageUrl,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        self.history_of(page, before, limit).await
    }

    async fn report(&self, report: &SenderReport) -> Result<(), StoreError> {
        self.store_report(report).await
    }

    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        self.list_senders().await
    }

    async fn dismiss(&self, sender: &SenderId) -> Result<(), StoreError> {
        self.forget_sender(sender).await
    }

    async fn statistics(&self, largest: usize) -> Result<GraphStatistics, StoreError> {
        self.count(largest.min(LARGEST_TAGS)).await
    }

    async fn collect_garbage(&self, limit: usize) -> Result<Collected, StoreError> {
        self.collect(limit.max(1)).await
    }
}
