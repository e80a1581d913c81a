//! The seam to the crawler that refills caches.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::{Generation, PageUrl};

/// One page to be warmed in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmRequest {
    /// The page.
    pub url: PageUrl,
    /// Where the request goes, as `http://host:port`; `None` means where the URL's host resolves to.
    pub via: Option<String>,
    /// The least generation that the page must be rendered under; `None` when any copy will do.
    pub least: Option<Generation>,
}

/// How a warm-up request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WarmOutcome {
    /// A whole response came, and no error.
    Warmed {
        /// Its status code.
        status: u16,
        /// Whether it was seen to be no older than asked for.
        verified: bool,
        /// From the first byte sent to the last byte received.
        took: Duration,
    },
    /// The page is gone (404 or 410), which is an answer and no failure.
    Gone {
        /// Its status code.
        status: u16,
    },
    /// The page moved elsewhere; where to is not followed.
    Redirected {
        /// Its status code.
        status: u16,
    },
    /// Given up on after all attempts.
    Failed {
        /// What went wrong the last time.
        reason: WarmFailure,
        /// The same in words, for receipts and logs.
        detail: String,
    },
}

/// Why a warm-up request was given up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WarmFailure {
    /// Nothing could be reached at the address.
    Connect,
    /// The response took too long.
    Timeout,
    /// An error status came.
    Status,
    /// The response broke off.
    Body,
    /// The URL is not one that may be warmed: its host is not among the configured ones.
    Forbidden,
    /// The crawler was told to stop.
    Cancelled,
}

impl WarmFailure {
    /// Every reason, for whoever declares a metric by it.
    pub const ALL: [Self; 6] = [
        Self::Connect,
        Self::Timeout,
        Self::Status,
        Self::Body,
        Self::Forbidden,
        Self::Cancelled,
    ];

    /// The word for it, as a metric label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Body => "body",
            Self::Forbidden => "forbidden",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Requests pages so that caches hold them, politely.
#[async_trait]
pub trait Warmer: fmt::Debug + Send + Sync + 'static {
    /// Warms pages and says how each ended, in the order given. How many run at once, and how fast,
    /// is the crawler's to decide, over all calls together. Dropping the future stops its requests.
    async fn warm(&self, requests: &[WarmRequest]) -> Vec<WarmOutcome>;
}
