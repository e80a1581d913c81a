//! From tags to pages, and back.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::cmd;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use isr_core::{
    BoundTag, Cursor, Generation, PageTags, PageUrl, Partition, StoreError, Tag, Target, UrlChunk,
};

use super::error::{STORE, corrupt};
use super::identity::{ALL_PAGES, Id, Identity};
use super::link::Lane;
use super::record::Record;
use super::scripts::{RESOLVE, TAGS_FOR};
use super::{ATTEMPTS, RedisStore, read_url};

/// The most pages that one call of a script looks at, which is also what a segment holds.
const PAGES_A_CALL: usize = 256;
/// The most calls for one chunk, so that a chunk comes soon even where little is found.
const CALLS_A_CHUNK: usize = 32;
/// How many segments are asked for at once, where so many pages are wanted.
const CALLS_AT_ONCE: usize = 8;

/// Where a walk goes on: in which partition, in which segment of a tag, and with how many of the
/// segment's pages left. A cursor is these three with hyphens in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    partition: u16,
    part: u64,
    /// `None` for all.
    left: Option<u64>,
}

impl Place {
    const START: Self = Self {
        partition: 0,
        part: 0,
        left: None,
    };

    fn next_partition(self) -> Self {
        Self {
            partition: self.partition + 1,
            ..Self::START
        }
    }

    /// Where a walk is once it has been through `count` more segments, if all goes as expected.
    fn segments_later(self, count: u64) -> Self {
        if count == 0 {
            self
        } else {
            Self {
                part: self.part + count,
                left: None,
                ..self
            }
        }
    }

    fn write(self) -> Cursor {
        let Self {
            partition,
            part,
            left,
        } = self;
        Cursor(match left {
            Some(left) => format!("{partition}-{part}-{left}"),
            None => format!("{partition}-{part}"),
        })
    }

    /// A cursor that no store of this kind gave begins at the start, so that nothing is missed.
    fn read(cursor: Option<&Cursor>) -> Self {
        cursor
            .and_then(|cursor| Self::parse(&cursor.0))
            .unwrap_or(Self::START)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let partition = parts.next()?.parse().ok()?;
        let part = parts.next()?.parse().ok()?;
        let left = parts.next().map(str::parse).transpose().ok()?;
        parts.next().is_none().then_some(Self {
            partition,
            part,
            left,
        })
    }
}

/// The generation of a page's newest bind, and its tags with their seconds to live.
type Bound = (u64, Vec<(String, u64)>);

/// What one call found, and where the next goes on in the same partition.
struct Step {
    urls: Vec<PageUrl>,
    next: Option<(u64, Option<u64>)>,
}

impl RedisStore {
    pub(super) async fn walk(
        &self,
        target: &Target,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<UrlChunk, StoreError> {
        if let Target::Url(url) = target {
            return Ok(UrlChunk {
                urls: vec![url.clone()],
                next: None,
            });
        }
        let mut place = Place::read(after);
        let mut urls: Vec<PageUrl> = Vec::new();
        let mut calls = 0;
        while place.partition < self.options.partitions
            && urls.len() < limit
            && calls < CALLS_A_CHUNK
        {
            let (start, wanted) = (place, limit - urls.len());
            let ahead = match target {
                Target::Tag(_) => wanted.div_ceil(PAGES_A_CALL).min(CALLS_A_CHUNK - calls),
                _ => 1,
            };
            let places = (0..ahead as u64).map(|count| start.segments_later(count));
            let asked = places.map(|place| self.step(target, place, wanted.min(PAGES_A_CALL)));
            let mut steps = stream::iter(asked).buffered(CALLS_AT_ONCE);
            while let Some(step) = steps.try_next().await? {
                calls += 1;
                urls.extend(step.urls);
                let next = place.segments_later(1);
                place = match step.next {
                    Some((part, left)) => Place {
                        part,
                        left,
                        ..place
                    },
                    None => place.next_partition(),
                };
                // What was asked for ahead is of use only when the walk really went on there.
                if place != next {
                    break;
                }
            }
        }
        let more = place.partition < self.options.partitions;
        Ok(UrlChunk {
            urls,
            next: more.then(|| place.write()),
        })
    }

    /// Looks at some pages of a tag, or of all: they are those of the tag that has no name.
    async fn step(&self, target: &Target, place: Place, limit: usize) -> Result<Step, StoreError> {
        let tag = match target {
            Target::Tag(tag) => Some(tag.as_str()),
            _ => None,
        };
        let partition = Partition(place.partition);
        let left = place
            .left
            .map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX));
        let mut attempt = 1;
        loop {
            let identity = self.identity().await?;
            let (part, left, now, ids): (i64, i64, u32, Vec<u8>) = self
                .run(Lane::Bulk, partition, &RESOLVE, |identity, command| {
                    let id = tag.map_or(ALL_PAGES, |tag| identity.id_of(tag));
                    command.arg(&id).arg(tag.unwrap_or_default());
                    command.arg(place.part).arg(left).arg(limit);
                })
                .await?;
            let id = tag.map_or(ALL_PAGES, |tag| identity.id_of(tag));
            let next = u64::try_from(part)
                .ok()
                .map(|part| (part, u64::try_from(left).ok()));
            if let Some(urls) = self
                .living_pages(&identity, partition, id, now, &ids)
                .await?
            {
                let concerned =
                    |url: &PageUrl| tag.is_some() || target.concerns(url, std::iter::empty());
                return Ok(Step {
                    urls: urls.into_iter().filter(concerned).collect(),
                    next,
                });
            }
            self.forget(&identity);
            if attempt == ATTEMPTS {
                let source = "the store was replaced during a walk".into();
                return Err(StoreError::Unavailable {
                    store: STORE.to_owned(),
                    source,
                });
            }
            attempt += 1;
        }
    }

    /// Those of some pages whose pair with a tag has not ended. `None` when the store is another one
    /// than `identity` says.
    async fn living_pages(
        &self,
        identity: &Identity,
        partition: Partition,
        tag: Id,
        now: u32,
        ids: &[u8],
    ) -> Result<Option<Vec<PageUrl>>, StoreError> {
        if ids.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let numbers = &self.keys[partition.index()];
        let mut command = cmd("MGET");
        command.arg(numbers);
        let mut key = numbers.as_bytes()[..numbers.len() - 1].to_vec();
        key.push(b'p');
        let prefix = key.len();
        for id in ids.chunks_exact(size_of::<Id>()) {
            key.truncate(prefix);
            key.extend_from_slice(id);
            command.arg(&key);
        }
        let records: Vec<Option<Vec<u8>>> = self.link.query(Lane::Bulk, &command).await?;
        let (numbers, records) = records
            .split_first()
            .ok_or_else(|| corrupt("no answer to MGET"))?;
        if !numbers
            .as_deref()
            .is_some_and(|numbers| identity.owns(partition, numbers))
        {
            return Ok(None);
        }
        let mut urls = Vec::with_capacity(records.len());
        let mut text = String::new();
        for bytes in records.iter().flatten() {
            let record =
                Record::read(bytes).ok_or_else(|| corrupt("a page has a malformed record"))?;
            if record.end_of(tag).is_some_and(|end| end > now) {
                text.clear();
                text.push_str(&self.origin(identity, partition, record.origin).await?);
                text.push_str(record.path);
                urls.push(read_url(&text)?);
            }
        }
        Ok(Some(urls))
    }

    /// An origin by its number. They never change, so each is asked for once.
    async fn origin(
        &self,
        identity: &Identity,
        partition: Partition,
        number: u16,
    ) -> Result<Arc<str>, StoreError> {
        if let Some(known) = identity.origins.read().get(&(partition, number)) {
            return Ok(Arc::clone(known));
        }
        let numbers = &self.keys[partition.index()];
        let key = format!("{}o", &numbers[..numbers.len() - 1]);
        let found: Option<String> = self
            .link
            .query(Lane::Bulk, cmd("HGET").arg(key).arg(format!("#{number}")))
            .await?;
        let origin: Arc<str> = found
            .ok_or_else(|| corrupt(format!("origin {number} is not known")))?
            .into();
        identity
            .origins
            .write()
            .insert((partition, number), Arc::clone(&origin));
        Ok(origin)
    }

    pub(super) async fn tags_of(&self, url: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        let partition = self.partition_of(url);
        let (epoch, found): (_, Option<Bound>) = self
            .run_in_epoch(Lane::Bulk, partition, &TAGS_FOR, |identity, command| {
                command.arg(&identity.id_of(url.as_str()));
            })
            .await?;
        let Some((number, bound)) = found else {
            return Ok(None);
        };
        let read = |(name, seconds): (String, u64)| {
            let tag = name.parse::<Tag>().map_err(corrupt)?;
            Ok(BoundTag {
                tag,
                expires_in: Duration::from_secs(seconds),
            })
        };
        let tags = bound
            .into_iter()
            .map(read)
            .collect::<Result<_, StoreError>>()?;
        Ok(Some(PageTags {
            tags,
            generation: Generation { epoch, number },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let places = [
            Place::START,
            Place {
                partition: 3,
                part: 17,
                left: Some(0),
            },
            Place {
                partition: 1023,
                part: u64::MAX,
                left: None,
            },
        ];
        for place in places {
            assert_eq!(Place::read(Some(&place.write())), place);
        }
    }

    #[test]
    fn a_foreign_cursor_begins_at_the_start() {
        for text in ["", "1", "a-b", "1-2-3-4", "https://a.example/", "-1-2"] {
            assert_eq!(
                Place::read(Some(&Cursor(text.to_owned()))),
                Place::START,
                "{text}"
            );
        }
    }
}
