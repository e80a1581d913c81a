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
    let connection = Connection::open(path).unwrap();
    let text = |sql: &str| -> String { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    let number = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(text("PRAGMA integrity_check"), "ok");
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
        (
            "page_jobs",
            "SELECT count(*) FROM job WHERE kind = 1 AND error IS NULL",
        ),
        ("dead", "SELECT count(*) FROM job WHERE error IS NOT NULL"),
    ];
    for (counter, truth) in counters {
        assert_eq!(
            number(&format!("SELECT {counter} FROM state")),
            number(truth),
            "{counter}: {truth}"
        );
    }
}
