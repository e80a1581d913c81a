//! Reading the graph: a target's pages, a page's tags, how large it all is.

use std::time::Duration;

use isr_core::{BoundTag, Cursor, GraphStatistics, PageTags, PageUrl, Tag, Target, UrlChunk};
use rusqlite::{Connection, Rows};

use super::failure::Failure;
use super::pages::{decode, find, hash_of, milliseconds, tag_by_hash, tag_name};
use super::readers::Read;
use super::record::Record;
use super::state::at_most;

/// Some of a target's pages. The cursor is the number of the last page looked at.
pub(super) fn urls_for(
    read: &Read<'_>,
    target: &Target,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<UrlChunk, Failure> {
    let after: i64 = after.map_or(0, |cursor| cursor.0.parse().unwrap_or(0));
    let (connection, now) = (read.connection, milliseconds(read.now));
    match target {
        Target::Url(url) => Ok(UrlChunk {
            urls: vec![url.clone()],
            next: None,
        }),
        Target::Tag(tag) => {
            let Some(number) = tag_by_hash(connection, hash_of(tag.as_str()))? else {
                return Ok(UrlChunk::default());
            };
            let mut select = connection.prepare_cached(
                "SELECT page.id, page.url, page.record FROM edge JOIN page ON page.id = edge.page \
                 WHERE edge.tag = ? AND edge.page > ? ORDER BY edge.page LIMIT ?",
            )?;
            let rows = select.query((number, after, at_most(limit)))?;
            chunk(rows, limit, |_, record| {
                ends_of(record, tag).is_some_and(|ends| ends > now)
            })
        }
        Target::Prefix(_) | Target::Host(_) | Target::Everything => {
            let mut select = connection.prepare_cached(
                "SELECT id, url, record FROM page WHERE id > ? ORDER BY id LIMIT ?",
            )?;
            let rows = select.query((after, at_most(limit)))?;
            let mut chunk = chunk(rows, limit, |url, record| {
                record.ends > now && may_concern(target, url)
            })?;
            chunk
                .urls
                .retain(|url| target.concerns(url, std::iter::empty()));
            Ok(chunk)
        }
        _ => Ok(UrlChunk::default()),
    }
}

/// Looks at every row and keeps the pages that pass. One whose record is damaged passes: better
/// purged once too often.
fn chunk(
    mut rows: Rows<'_>,
    limit: usize,
    passes: impl Fn(&str, &Record<'_>) -> bool,
) -> Result<UrlChunk, Failure> {
    let (mut urls, mut looked_at, mut last) = (Vec::new(), 0, 0_i64);
    while let Some(row) = rows.next()? {
        looked_at += 1;
        last = row.get(0)?;
        let url = row.get_ref(1)?.as_str().map_err(Failure::unreadable)?;
        let record = row.get_ref(2)?.as_blob().map_err(Failure::unreadable)?;
        if Record::decode(record).is_none_or(|record| passes(url, &record)) {
            urls.push(PageUrl::from_stored(url)?);
        }
    }
    Ok(UrlChunk {
        urls,
        next: (looked_at == limit).then(|| Cursor(last.to_string())),
    })
}

/// When the last copy with this tag has ended; `None` for a page that only shares the tag's hash.
fn ends_of(record: &Record<'_>, tag: &Tag) -> Option<i64> {
    let at = record
        .tags
        .binary_search_by(|(name, _)| (*name).cmp(tag.as_str()))
        .ok()?;
    Some(record.tags[at].1)
}

/// Sorts out most pages without taking their URL apart.
fn may_concern(target: &Target, url: &str) -> bool {
    match target {
        Target::Prefix(prefix) => url.starts_with(prefix.as_str()),
        Target::Host(host) => url
            .split("://")
            .nth(1)
            .is_some_and(|rest| rest.starts_with(host.as_str())),
        _ => true,
    }
}

/// What a page is bound to; `None` when it is not known.
pub(super) fn tags_for(read: &Read<'_>, url: &PageUrl) -> Result<Option<PageTags>, Failure> {
    let Some((_, stored)) = find(read.connection, url.as_str())? else {
        return Ok(None);
    };
    let record = decode(&stored, url.as_str())?;
    let now = milliseconds(read.now);
    let mut tags = Vec::with_capacity(record.tags.len());
    for (name, ends) in &record.tags {
        if let Ok(left @ 1..) = u64::try_from(ends - now) {
            tags.push(BoundTag {
                tag: Tag::new(name)?,
                expires_in: Duration::from_millis(left),
            });
        }
    }
    Ok(Some(PageTags {
        tags,
        generation: record.generation.known_at(read.state.current()),
    }))
}

/// How large the graph is. Counts the pages of every tag, which takes its time on a large one.
pub(super) fn statistics(read: &Read<'_>, largest: usize) -> Result<GraphStatistics, Failure> {
    let (connection, state) = (read.connection, &read.state);
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    let pragma = |name: &str| {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0))
    };
    Ok(GraphStatistics {
        pages: count(state.pages),
        tags: count(state.tags),
        edges: count(state.edges),
        bytes: Some(count(
            pragma("page_count")?.saturating_mul(pragma("page_size")?),
        )),
        generations: vec![state.number.cast_unsigned()],
        largest_tags: match largest {
            0 => Vec::new(),
            _ => largest_tags(connection, largest)?,
        },
    })
}

fn largest_tags(connection: &Connection, most: usize) -> Result<Vec<(Tag, u64)>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT tag, count(*) AS pages FROM edge GROUP BY tag ORDER BY pages DESC LIMIT ?",
    )?;
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let largest = select.query_map([most], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let largest: Vec<(i64, i64)> = largest.collect::<Result<_, _>>()?;
    let mut named = Vec::with_capacity(largest.len());
    for (number, pages) in largest {
        if let Some(tag) = tag_name(connection, number)? {
            named.push((tag, pages.cast_unsigned()));
        }
    }
    named.sort_by(|(a, pages), (b, more)| more.cmp(pages).then_with(|| a.cmp(b)));
    Ok(named)
}
