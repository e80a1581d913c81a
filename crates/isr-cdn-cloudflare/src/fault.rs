//! What Cloudflare says was wrong with a request.
//!
//! The codes of the API as a whole are in no list of Cloudflare's. Unless a page is named, users report
//! them with the meanings that they have here, read on 2026-11-22. A code that is not known is final.

use std::fmt;

use serde::Deserialize;

/// One thing that was wrong with a request.
#[derive(Debug, Deserialize)]
pub(crate) struct Fault {
    code: i64,
    #[serde(default)]
    message: String,
}

/// Why the same request may succeed later, although it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// There were too many requests.
    TooMany,
    /// Cloudflare itself failed.
    Failed,
}

impl Fault {
    /// Why it may be over later; `None` where it will not be.
    pub(crate) fn passing(&self) -> Option<Passing> {
        match self.code {
            // "Please wait and consider throttling your request speed", mostly with the status 429.
            971 | 10_429 => Some(Passing::TooMany),
            // Also "Method not allowed for token", which is final.
            10_001 if self.says("internal error") => Some(Passing::Failed),
            // "Rate limit enforced for cache purge", under a code that nobody tells.
            _ => self.says("rate limit enforced").then_some(Passing::TooMany),
        }
    }

    fn says(&self, words: &str) -> bool {
        self.message.to_ascii_lowercase().contains(words)
    }

    /// What to do about it.
    pub(crate) const fn advice(&self) -> Option<&'static str> {
        Some(match self.code {
            // Authentication error; unauthorised, or no valid token; no valid `Authorization`.
            10_000 | 9_109 | 6_003 => {
                "check that the token is whole and current, and has the permission \"Zone, Cache Purge, \
                 Purge\" for this zone"
            }
            // No route, the object's identifier is not valid; no such route.
            7_003 | 7_000 => "check the zone's ID, and that the token is one of its account",
            // Stated for purging by URL in Cloudflare's own client, version 5.9.0.
            1_136 => "this zone picks its environment by the visitor: purge by tag, prefix or host",
            _ => return None,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}
