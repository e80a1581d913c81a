//! What was seen of each page.

use std::time::Duration;

use serde::Serialize;

/// How a visit was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// From the cache, fresh.
    Hit,
    /// From the cache, stale while it is revalidated.
    Stale,
    /// From the site.
    Miss,
    /// Anything else.
    Other,
}

impl Outcome {
    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Other => "?",
        }
    }
}

/// One visit to a page.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Visit {
    /// How it was answered.
    pub(super) outcome: Outcome,
    /// The status code.
    pub(super) status: u16,
    /// From the request to the last byte.
    pub(super) took: Duration,
    /// The `Cache-Status` field (RFC 9211).
    pub(super) cache_status: String,
    /// The page.
    #[serde(skip)]
    pub(super) body: String,
}

/// A page through the whole demo.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Page {
    /// Its path.
    pub(super) path: String,
    /// Whether it shows something of the post that is edited.
    pub(super) shows_the_post: bool,
    /// The first visit, with nothing cached.
    pub(super) cold: Visit,
    /// The second visit.
    pub(super) warm: Visit,
    /// Right after the edit, before anything was rendered again.
    pub(super) after_edit: Visit,
    /// Once the revalidation was done.
    pub(super) after_warm_up: Visit,
    /// Once another post was added.
    pub(super) after_new_post: Visit,
    /// How often the site rendered it until the edit was dealt with.
    pub(super) renders_by_edit: u64,
    /// And until the new post was.
    pub(super) renders_in_all: u64,
}

/// Everything that was seen.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// Every page.
    pub(super) pages: Vec<Page>,
    /// The title of the post before the edit.
    pub(super) old_title: String,
    /// And after it.
    pub(super) new_title: String,
    /// The title of the post that was added.
    pub(super) added_title: String,
    /// Pages that list the added post.
    pub(super) lists: Vec<String>,
    /// The revalidations, as the admin API told of them once they were done.
    pub(super) edit: crate::admin::ReceiptView,
    /// The one of the added post.
    pub(super) addition: crate::admin::ReceiptView,
}
