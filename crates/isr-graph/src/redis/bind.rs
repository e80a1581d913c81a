//! Binding and unbinding.

use std::ops::Range;
use std::time::Duration;

use deadpool_redis::redis::Cmd;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use isr_core::{Bind, BindOutcome, Generation, Mode, PageUrl, Partition, StoreError};

use super::RedisStore;
use super::error::corrupt;
use super::identity::Identity;
use super::link::Lane;
use super::scripts::{BIND, UNBIND};

/// The most pages that one call binds.
const PAGES_A_CALL: usize = 64;
/// The most tags in one call, unless a single page has more.
const TAGS_A_CALL: usize = 512;
/// How many calls are under way at once.
const CALLS: usize = 8;
/// By what share of its lifetime a pair may outlive its last copy, so that binding again soon writes
/// nothing. Lifetimes below this number of seconds are kept to the second.
const LIFETIME_STEPS: u64 = 32;

/// Two names share an id, so the second cannot be told from the first.
#[derive(Debug, thiserror::Error)]
#[error("page {url}, or one of its tags, shares its id with another name")]
struct SharedId {
    url: PageUrl,
}

impl RedisStore {
    pub(super) async fn bind_all(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        if let [bind] = binds {
            return self.bind_some(self.partition_of(&bind.url), &[bind]).await;
        }
        let mut order: Vec<(Partition, usize)> = binds
            .iter()
            .enumerate()
            .map(|(index, bind)| (self.partition_of(&bind.url), index))
            .collect();
        order.sort_unstable();
        let calls = split(&order, binds).into_iter().map(|range| {
            let some = &order[range];
            let of_call: Vec<&Bind> = some.iter().map(|&(_, index)| &binds[index]).collect();
            async move { self.bind_some(some[0].0, &of_call).await }
        });
        let done: Vec<Vec<BindOutcome>> = stream::iter(calls).buffered(CALLS).try_collect().await?;
        let mut outcomes: Vec<(usize, BindOutcome)> = order
            .iter()
            .map(|&(_, index)| index)
            .zip(done.into_iter().flatten())
            .collect();
        outcomes.sort_unstable_by_key(|&(index, _)| index);
        Ok(outcomes.into_iter().map(|(_, outcome)| outcome).collect())
    }

    async fn bind_some(
        &self,
        partition: Partition,
        binds: &[&Bind],
    ) -> Result<Vec<BindOutcome>, StoreError> {
        let (epoch, (number, letters)): (_, (u64, Vec<u8>)) = self
            .run_in_epoch(Lane::Shared, partition, &BIND, |identity, command| {
                for bind in binds {
                    add_bind(command, identity, bind);
                }
            })
            .await?;
        let current = Generation { epoch, number };
        let outcome = |(letter, bind): (u8, &&Bind)| match letter {
            b'b' => Ok(BindOutcome::Bound { current }),
            b's' => Ok(BindOutcome::Superseded {
                current,
                mode: Mode::Soft,
            }),
            b'h' => Ok(BindOutcome::Superseded {
                current,
                mode: Mode::Hard,
            }),
            _ => Err(corrupt(SharedId {
                url: bind.url.clone(),
            })),
        };
        letters.into_iter().zip(binds).map(outcome).collect()
    }

    pub(super) async fn unbind_all(&self, urls: &[PageUrl]) -> Result<u64, StoreError> {
        let mut known = 0;
        for partition in self.partitions() {
            let here: Vec<&PageUrl> = urls
                .iter()
                .filter(|url| self.partition_of(url) == partition)
                .collect();
            for some in here.chunks(PAGES_A_CALL) {
                let found: u64 = self
                    .run(Lane::Shared, partition, &UNBIND, |identity, command| {
                        for url in some {
                            command.arg(&identity.id_of(url.as_str()));
                        }
                    })
                    .await?;
                known += found;
            }
        }
        Ok(known)
    }
}

/// Cuts binds, ordered by partition, into what one call takes.
fn split(order: &[(Partition, usize)], binds: &[Bind]) -> Vec<Range<usize>> {
    let mut calls = Vec::new();
    let (mut start, mut tags) = (0, 0);
    for (at, &(partition, index)) in order.iter().enumerate() {
        let more = binds[index].tags.len();
        let full = at - start == PAGES_A_CALL || tags + more > TAGS_A_CALL;
        if at > start && (full || order[start].0 != partition) {
            calls.push(start..at);
            (start, tags) = (at, 0);
        }
        tags += more;
    }
    if start < order.len() {
        calls.push(start..order.len());
    }
    calls
}

fn add_bind(command: &mut Cmd, identity: &Identity, bind: &Bind) {
    let (origin, path) = (bind.url.origin(), bind.url.path_and_query());
    let mut buffer = Vec::with_capacity(128);
    let mut with_id = |name: &str, text: &str, command: &mut Cmd| {
        buffer.clear();
        buffer.extend_from_slice(&identity.id_of(name));
        buffer.extend_from_slice(text.as_bytes());
        command.arg(&buffer[..]);
    };
    with_id(bind.url.as_str(), path, command);
    command.arg(origin);
    if bind.generation.epoch == identity.epoch {
        command.arg(bind.generation.number);
    } else {
        command.arg(-1);
    }
    let seconds = lifetime_seconds(bind.lifetime);
    command
        .arg(seconds)
        .arg((seconds / LIFETIME_STEPS).max(1))
        .arg(bind.tags.len());
    for tag in &bind.tags {
        with_id(tag.as_str(), tag.as_str(), command);
    }
}

/// Whole seconds, rounded up, and no more than the layout can hold.
fn lifetime_seconds(lifetime: Duration) -> u64 {
    let seconds = lifetime.as_secs() + u64::from(lifetime.subsec_nanos() > 0);
    seconds.min(u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use isr_core::{Epoch, TagSet, VariantKey, tag};

    use super::*;

    fn bind(path: &str, tags: usize) -> Bind {
        Bind {
            url: PageUrl::parse(&format!("https://a.example{path}")).unwrap(),
            variant: VariantKey::default(),
            tags: TagSet::try_from_iter((0..tags).map(|n| tag("t", n))).unwrap(),
            generation: Generation {
                epoch: Epoch::new(1),
                number: 0,
            },
            lifetime: Duration::from_mins(1),
        }
    }

    #[test]
    fn a_call_takes_so_many_pages_and_tags_of_one_partition() {
        let ranges = |tags: &[usize], partitions: &[u16]| {
            let binds: Vec<Bind> = tags.iter().map(|&tags| bind("/", tags)).collect();
            let order: Vec<_> = partitions.iter().map(|&p| Partition(p)).zip(0..).collect();
            split(&order, &binds)
        };
        assert_eq!(ranges(&[], &[]), []);
        assert_eq!(ranges(&[3; 65], &[0; 65]), [0..64, 64..65]);
        assert_eq!(ranges(&[3; 4], &[0, 0, 1, 1]), [0..2, 2..4]);
        assert_eq!(ranges(&[256; 5], &[0; 5]), [0..2, 2..4, 4..5]);
    }

    #[test]
    fn lifetimes_are_rounded_up_to_seconds() {
        let cases = [
            (Duration::ZERO, 0),
            (Duration::from_millis(1), 1),
            (Duration::from_secs(2), 2),
            (Duration::MAX, u64::from(u32::MAX)),
        ];
        for (lifetime, seconds) in cases {
            assert_eq!(lifetime_seconds(lifetime), seconds, "{lifetime:?}");
        }
    }
}
