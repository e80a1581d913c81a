//! Pages and their tags: finding, binding, forgetting.

use std::time::Duration;

use isr_core::{Bind, Tag};
use rusqlite::{Connection, OptionalExtension};

use super::failure::Failure;
use super::record::{Merged, Record};
use super::state::micros;
use super::writer::Write;

const FIND: &str = "SELECT page.id, page.record FROM page_key JOIN page ON page.id = page_key.page \
    WHERE page_key.hash = ? AND page.url = ?";

const TAG_BY_HASH: &str = "SELECT id FROM tag WHERE hash = ?";

/// Where a page or tag is looked for: 47 bits of the BLAKE3 hash of its text, so that SQLite keeps it
/// in six bytes. Two texts of one hash are told apart by the texts themselves.
pub(super) fn hash_of(text: &str) -> i64 {
    let hash = blake3::hash(text.as_bytes());
    let (head, _) = hash
        .as_bytes()
        .split_first_chunk::<8>()
        .expect("a hash has 32 bytes");
    (u64::from_le_bytes(*head) >> 17).cast_signed()
}

/// Milliseconds since 1970, as the ends of lifetimes are kept.
pub(super) fn milliseconds(now: i64) -> i64 {
    now / 1_000
}

/// A page and its packed record.
pub(super) fn find(connection: &Connection, url: &str) -> Result<Option<(i64, Vec<u8>)>, Failure> {
    let mut select = connection.prepare_cached(FIND)?;
    let found = select.query_row((hash_of(url), url), |row| Ok((row.get(0)?, row.get(1)?)));
    Ok(found.optional()?)
}

pub(super) fn decode<'a>(record: &'a [u8], page: &str) -> Result<Record<'a>, Failure> {
    Record::decode(record)
        .ok_or_else(|| Failure::unreadable(format!("the record of {page} is damaged")))
}

/// Adds the tags of a response to those of its page. Writes nothing when there is nothing new.
pub(super) fn add_tags(write: &mut Write<'_>, bind: &Bind) -> Result<(), Failure> {
    let ends = ends(write.now, bind.lifetime, write.options.ends_unit);
    let url = bind.url.as_str();
    let generation = bind.generation.known_at(write.state.current());
    if let Some((page, stored)) = find(write.connection, url)? {
        let mut record = decode(&stored, url)?;
        let merged = record.merge(&bind.tags, generation, ends);
        if merged.changed {
            store_record(write, page, &record)?;
        }
        add_edges(write, page, &merged)
    } else {
        let mut record = Record::new(generation, ends);
        let merged = record.merge(&bind.tags, generation, ends);
        let page = insert(write, url, &record)?;
        add_edges(write, page, &merged)
    }
}

pub(super) fn store_record(
    write: &Write<'_>,
    page: i64,
    record: &Record<'_>,
) -> Result<(), Failure> {
    let mut update = write
        .connection
        .prepare_cached("UPDATE page SET record = ? WHERE id = ?")?;
    update.execute((record.encode(), page))?;
    Ok(())
}

/// The end of a copy's lifetime in milliseconds, rounded up to the unit.
fn ends(now: i64, lifetime: Duration, unit: Duration) -> i64 {
    let unit = micros(unit).max(1_000) / 1_000 * 1_000;
    let ends = now + micros(lifetime);
    milliseconds(ends + (unit - ends % unit) % unit)
}

fn insert(write: &mut Write<'_>, url: &str, record: &Record<'_>) -> Result<i64, Failure> {
    let mut page = write
        .connection
        .prepare_cached("INSERT INTO page (url, record) VALUES (?, ?)")?;
    let page = page.insert((url, record.encode()))?;
    let mut key = write
        .connection
        .prepare_cached("INSERT INTO page_key (hash, page) VALUES (?, ?)")?;
    key.execute((hash_of(url), page))?;
    write.state.pages += 1;
    Ok(page)
}

fn add_edges(write: &mut Write<'_>, page: i64, merged: &Merged<'_>) -> Result<(), Failure> {
    if merged.added.is_empty() {
        return Ok(());
    }
    // Two tags of a page may share a hash, and then share the pair.
    let mut insert = write
        .connection
        .prepare_cached("INSERT OR IGNORE INTO edge (tag, page) VALUES (?, ?)")?;
    for name in &merged.added {
        let tag = number_tag(write, name)?;
        insert.execute((tag, page))?;
        write.state.edges += 1;
    }
    Ok(())
}

/// The number of a tag. Numbers are given out in order, so that a new tag's pairs are written side by
/// side and not all over the file.
fn number_tag(write: &mut Write<'_>, name: &str) -> Result<i64, Failure> {
    let hash = hash_of(name);
    if let Some(tag) = tag_by_hash(write.connection, hash)? {
        return Ok(tag);
    }
    write.state.tag_ids += 1;
    write.state.tags += 1;
    let tag = write.state.tag_ids;
    write
        .connection
        .prepare_cached("INSERT INTO tag (hash, id) VALUES (?, ?)")?
        .execute((hash, tag))?;
    Ok(tag)
}

/// The number of the tags of a hash; `None` when no page is bound to any.
pub(super) fn tag_by_hash(connection: &Connection, hash: i64) -> Result<Option<i64>, Failure> {
    let mut select = connection.prepare_cached(TAG_BY_HASH)?;
    Ok(select.query_row([hash], |row| row.get(0)).optional()?)
}

/// Takes out the pairs of a page with tags that `record` no longer has.
pub(super) fn remove_edges(
    write: &mut Write<'_>,
    page: i64,
    gone: &[&str],
    record: &Record<'_>,
) -> Result<(), Failure> {
    let connection = write.connection;
    let mut delete = connection.prepare_cached("DELETE FROM edge WHERE tag = ? AND page = ?")?;
    let mut has_pages = connection.prepare_cached("SELECT 1 FROM edge WHERE tag = ? LIMIT 1")?;
    for name in gone {
        write.state.edges -= 1;
        let hash = hash_of(name);
        if record.tags.iter().any(|(kept, _)| hash_of(kept) == hash) {
            continue;
        }
        let Some(tag) = tag_by_hash(connection, hash)? else {
            continue;
        };
        delete.execute((tag, page))?;
        if !has_pages.exists([tag])? {
            connection
                .prepare_cached("DELETE FROM tag WHERE hash = ?")?
                .execute([hash])?;
            write.state.tags -= 1;
        }
    }
    Ok(())
}

/// Forgets a page; `false` when it is not known.
pub(super) fn forget(write: &mut Write<'_>, url: &str) -> Result<bool, Failure> {
    let Some((page, stored)) = find(write.connection, url)? else {
        return Ok(false);
    };
    let record = decode(&stored, url)?;
    remove(write, page, url, &record)?;
    Ok(true)
}

pub(super) fn remove(
    write: &mut Write<'_>,
    page: i64,
    url: &str,
    record: &Record<'_>,
) -> Result<(), Failure> {
    let tags: Vec<&str> = record.tags.iter().map(|(name, _)| *name).collect();
    remove_edges(
        write,
        page,
        &tags,
        &Record::new(record.generation, record.ends),
    )?;
    write
        .connection
        .prepare_cached("DELETE FROM page_key WHERE hash = ? AND page = ?")?
        .execute((hash_of(url), page))?;
    write
        .connection
        .prepare_cached("DELETE FROM page WHERE id = ?")?
        .execute([page])?;
    write.state.pages -= 1;
    Ok(())
}

/// The name of a tag by its number.
pub(super) fn tag_name(connection: &Connection, tag: i64) -> Result<Option<Tag>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT page.record FROM edge JOIN page ON page.id = edge.page WHERE edge.tag = ? LIMIT 1",
    )?;
    let stored: Option<Vec<u8>> = select.query_row([tag], |row| row.get(0)).optional()?;
    let Some(stored) = stored else {
        return Ok(None);
    };
    for (name, _) in &decode(&stored, "a tagged page")?.tags {
        if tag_by_hash(connection, hash_of(name))? == Some(tag) {
            return Ok(Some(Tag::new(name)?));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use isr_testkit::store_suite::make;
    use rusqlite::StatementStatus;

    use super::*;
    use crate::sqlite::connection::open_writer;
    use crate::sqlite::layout;
    use crate::sqlite::options::SqliteOptions;
    use crate::sqlite::state::State;

    #[test]
    fn ends_are_rounded_up_to_the_unit() {
        let minute = Duration::from_mins(1);
        let cases = [
            (0, 60, 60_000),
            (1, 60, 120_000),
            (0, 61, 120_000),
            (59_999_999, 0, 60_000),
            (0, 0, 0),
        ];
        for (now, lifetime, expected) in cases {
            assert_eq!(
                ends(now, Duration::from_secs(lifetime), minute),
                expected,
                "{now} + {lifetime} s"
            );
        }
        assert_eq!(ends(5_400, Duration::ZERO, Duration::from_millis(1)), 6);
        assert_eq!(ends(5_400, Duration::ZERO, Duration::ZERO), 6);
        assert!(ends(1_800_000_000_000_000, Duration::MAX, minute) > 1_800_000_000_000);
    }

    #[test]
    fn statements_stay_prepared() {
        let directory = tempfile::tempdir().unwrap();
        let options = SqliteOptions::default();
        let path = directory.path().join("graph.sqlite");
        let connection = open_writer(&path, &options).unwrap();
        layout::prepare(&connection, &options.site).unwrap();
        let state = State::load(&connection).unwrap();
        let now = state.at(options.machine_time());
        let mut write = Write {
            connection: &connection,
            state,
            now,
            options: &options,
        };
        for n in 0..10 {
            let bind = make::bind(&format!("/{n}"), &["a", "b"], write.state.current());
            add_tags(&mut write, &bind).unwrap();
            assert!(find(&connection, bind.url.as_str()).unwrap().is_some());
        }
        for sql in [FIND, TAG_BY_HASH] {
            let statement = connection.prepare_cached(sql).unwrap();
            assert!(
                statement.get_status(StatementStatus::Run) > 0,
                "{sql} is another statement"
            );
            assert_eq!(statement.get_status(StatementStatus::RePrepare), 0, "{sql}");
        }
    }

    #[test]
    fn a_hash_fits_six_bytes_and_stays_what_it_is() {
        assert_eq!(hash_of("post:1"), hash_of("post:1"));
        assert_ne!(hash_of("post:1"), hash_of("post:2"));
        for n in 0..1_000 {
            let hash = hash_of(&format!("https://example.com/{n}"));
            assert!((0..1 << 47).contains(&hash), "{hash}");
        }
    }
}
