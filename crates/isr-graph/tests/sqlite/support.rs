//! What the tests of the embedded store share.

use std::path::{Path, PathBuf};

use isr_core::{Bind, BindOutcome, StoreError, TagGraph};
use isr_graph::{SqliteOptions, SqliteStore};
use isr_testkit::store_suite::make::{bind, generation};
use rusqlite::Connection;

pub(crate) fn file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("graph.sqlite")
}

pub(crate) async fn open(directory: &tempfile::TempDir, options: SqliteOptions) -> SqliteStore {
    SqliteStore::open(file(directory), options).await.unwrap()
}

/// Binds pages `from..to` to `post:N` and `posts` in one call, under the current generation.
pub(crate) async fn bind_posts(
    store: &SqliteStore,
    from: u64,
    to: u64,
) -> Result<Vec<BindOutcome>, StoreError> {
    let now = generation(store, "/").await;
    let posts = from..to;
    let binds: Vec<Bind> = posts
        .map(|n| bind(&format!("/post/{n}"), &[&format!("post:{n}"), "posts"], now))
        .collect();
    store.bind(&binds).await
}

/// Everything in the file agrees with everything else.
pub(crate) fn assert_whole(path: &Path) {
    assert_eq!(trouble(path), None);
}

/// What in the file does not agree with the rest of it.
pub(crate) fn trouble(path: &Path) -> Option<String> {
    let connection = Connection::open(path).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let integrity =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    if !matches!(integrity.as_deref(), Ok("ok")) {
        return Some(format!("the file is corrupt: {integrity:?}"));
    }
    let counters = [
        ("pages", "SELECT count(*) FROM page"),
        (
            "pages",
            "SELECT count(*) FROM page_key JOIN page ON page.id = page_key.page",
        ),
        (
            "edges",
            "SELECT count(*) FROM edge JOIN page ON page.id = edge.page",
        ),
        ("edges", "SELECT count(*) FROM edge"),
        ("tags", "SELECT count(DISTINCT tag) FROM edge"),
        (
            "tags",
            "SELECT count(*) FROM tag WHERE id IN (SELECT tag FROM edge)",
        ),
        ("tags", "SELECT count(*) FROM tag"),
        ("targets", "SELECT count(*) FROM generation"),
        ("number", "SELECT coalesce(max(number), 0) FROM history"),
        (
            "revalidations",
            "SELECT count(*) FROM job WHERE kind = 0 AND error IS NULL",
        ),
        (
            "revalidations",
            "SELECT count(*) FROM job JOIN receipt ON receipt.id = job.key",
        ),
        ("scheduled", "SELECT count(*) FROM scheduled"),
        (
            "scheduled",
            "SELECT count(*) FROM scheduled JOIN receipt ON receipt.id = scheduled.receipt",
        ),
        ("held", "SELECT count(*) FROM held"),
        (
            "held",
            "SELECT count(*) FROM held JOIN receipt ON receipt.id = held.receipt",
        ),
        (
            "page_jobs",
            "SELECT count(*) FROM job WHERE kind = 1 AND error IS NULL",
        ),
        ("dead", "SELECT count(*) FROM job WHERE error IS NOT NULL"),
    ];
    counters.into_iter().find_map(|(counter, truth)| {
        let counted = number(&format!("SELECT {counter} FROM state"));
        let there = number(truth);
        (counted != there).then(|| format!("{counter} is {counted:?}, and {truth} gives {there:?}"))
    })
}
