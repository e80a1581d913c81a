//! Binding and unbinding.

use std::ops::Range;
use std::time::Duration;

use deadpool_redis::redis::Cmd;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use isr_core::{Bind, BindOutcome, Generation, Mode, PageUrl, Partition, StoreError, Tag};

use super::RedisStore;
use super::error::corrupt;
use super::identity::{ALL_PAGES, Id, Identity};
use super::link::Lane;
use super::scripts::{BIND, UNBIND};

/// The most pages that one call binds.
pub(super) const PAGES_A_CALL: usize = 64;
/// The most tags in one call, unless a single page has more.
pub(super) const TAGS_A_CALL: usize = 512;
/// How many calls are under way at once.
const CALLS: usize = 8;
/// By what share of its lifetime a pair may outlive its last copy, so that binding again soon writes
/// nothing. Lifetimes below this number of seconds are kept to the second.
const LIFETIME_STEPS: u32 = 32;
/// Stands for the number of a generation of another history.
const OTHER_HISTORY: u64 = (1 << 48) - 1;

/// The most tags of one page, so that the scripts can pass them on in one call.
const TAGS_A_PAGE: usize = 4096;

/// A page has more tags than the layout takes.
#[derive(Debug, thiserror::Error)]
#[error("page {url} has {count} tags, and {TAGS_A_PAGE} at most can be kept: bind it to fewer")]
struct TooManyTags {
    url: PageUrl,
    count: usize,
}

/// Two names share an id, so the second cannot be told from the first.
#[derive(Debug, thiserror::Error)]
#[error("page {url}, or one of its tags, shares its id with another name")]
struct SharedId {
    url: PageUrl,
}

impl RedisStore {
    pub(super) async fn bind_all(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        if let Some(bind) = binds.iter().find(|bind| bind.tags.len() > TAGS_A_PAGE) {
            let (url, count) = (bind.url.clone(), bind.tags.len());
            return Err(corrupt(TooManyTags { url, count }));
        }
        if let [bind] = binds {
            let outcome = self
                .bind_together(self.partition_of(&bind.url), bind)
                .await?;
            return Ok(vec![outcome]);
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
        let done: Vec<Vec<_>> = stream::iter(calls).buffered(CALLS).try_collect().await?;
        let mut outcomes = vec![None; binds.len()];
        for (&(_, index), outcome) in order.iter().zip(done.into_iter().flatten()) {
            outcomes[index] = Some(outcome?);
        }
        let answered =
            |outcome: Option<_>| outcome.ok_or_else(|| corrupt("a bind was not answered"));
        outcomes.into_iter().map(answered).collect()
    }

    /// Binds what one call takes. A page whose id is another's fails alone.
    pub(super) async fn bind_some(
        &self,
        partition: Partition,
        binds: &[&Bind],
    ) -> Result<Vec<Result<BindOutcome, StoreError>>, StoreError> {
        let (epoch, (number, letters)): (_, (u64, Vec<u8>)) = self
            .run_in_epoch(Lane::Fast, partition, &BIND, |identity, command| {
                let mut before = "";
                for bind in binds {
                    let origin = bind.url.origin();
                    add_bind(
                        command,
                        identity,
                        bind,
                        if origin == before { "" } else { origin },
                    );
                    before = origin;
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
        Ok(letters.into_iter().zip(binds).map(outcome).collect())
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
                    .run(Lane::Fast, partition, &UNBIND, |identity, command| {
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

/// Adds a page as `bind.lua` reads it. `origin` is empty when it is that of the page before.
fn add_bind(command: &mut Cmd, identity: &Identity, bind: &Bind, origin: &str) {
    let path = bind.url.path_and_query();
    let number = if bind.generation.epoch == identity.epoch {
        bind.generation.number.min(OTHER_HISTORY)
    } else {
        OTHER_HISTORY
    };
    let lifetime = lifetime_seconds(bind.lifetime);
    let with_id = |tag| (identity.id_of(Tag::as_str(tag)), tag.as_str());
    let tags: Vec<(Id, &str)> = bind
        .tags
        .iter()
        .map(with_id)
        .chain([(ALL_PAGES, "")])
        .collect();
    let mut buffer = Vec::with_capacity(256);
    buffer.extend_from_slice(&number.to_le_bytes()[..6]);
    buffer.extend_from_slice(&lifetime.to_le_bytes());
    buffer.extend_from_slice(&(lifetime / LIFETIME_STEPS).max(1).to_le_bytes());
    for length in [origin.len(), path.len(), tags.len(), bind.tags.len()] {
        buffer.extend_from_slice(&two_bytes(length));
    }
    buffer.extend_from_slice(&identity.id_of(bind.url.as_str()));
    buffer.extend_from_slice(origin.as_bytes());
    buffer.extend_from_slice(path.as_bytes());
    for (id, _) in &tags {
        buffer.extend_from_slice(id);
    }
    for (id, name) in &tags {
        buffer.extend_from_slice(&two_bytes(name.len()));
        buffer.extend_from_slice(id);
        buffer.extend_from_slice(name.as_bytes());
    }
    command.arg(&buffer[..]);
}

fn two_bytes(length: usize) -> [u8; 2] {
    let length = u16::try_from(length).expect("URLs, tags and their numbers are limited to less");
    length.to_le_bytes()
}

/// Whole seconds, rounded up, and no more than the layout can hold.
fn lifetime_seconds(lifetime: Duration) -> u32 {
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    seconds.saturating_add(u32::from(lifetime.subsec_nanos() > 0))
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
        assert!(ranges(&[], &[]).is_empty());
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
            (Duration::MAX, u32::MAX),
        ];
        for (lifetime, seconds) in cases {
            assert_eq!(lifetime_seconds(lifetime), seconds, "{lifetime:?}");
        }
    }
}
