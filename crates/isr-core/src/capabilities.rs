//! What a tier can do, as data.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use crate::{Dialect, Tag, TagHeader, TagHeaderLimits, Target};

/// What a connector can do, so that the planner never has to guess.
///
/// Numbers are the service's own, as its documentation states them; a connector writes the page and the
/// day it was read beside each.
// Not `#[non_exhaustive]`: connectors outside this workspace write `..Capabilities::default()`.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Capabilities {
    /// Purging exact URLs, in all their variants.
    pub url: Option<Ability>,
    /// Purging by tag, so that the tag need not be resolved to its pages.
    pub tag: Option<Ability>,
    /// Purging a path and what is beneath it.
    pub prefix: Option<Ability>,
    /// Purging a host.
    pub host: Option<Ability>,
    /// Purging everything.
    pub everything: Option<Ability>,
    /// Whether one call may hold targets of different kinds.
    pub mixed_calls: bool,
    /// The most bytes that the items of one call may have together, as they are written in it.
    pub bytes_per_call: Option<NonZeroUsize>,
    /// Calls that may be under way at once.
    pub concurrency: NonZeroUsize,
    /// Whether purging a prefix leaves out the page at the path itself: it is purged by URL then.
    pub prefix_is_beneath_only: bool,
    /// Whether [`CdnConnector::poll`](crate::CdnConnector::poll) can tell when a purge has been
    /// carried out.
    pub observes_completion: bool,
    /// What purging costs, where it costs anything.
    pub cost: Option<Cost>,
    /// How responses name their tags to it, where it purges by tag and looks for them in a field.
    pub tags: Option<TagSupport>,
    /// How responses name their lifetimes to it.
    pub dialect: Dialect,
    /// Whether `stale-while-revalidate` still counts there when `s-maxage` stands beside it.
    pub stale_while_revalidate_beside_s_maxage: bool,
    /// Whether it keeps copies that this system did not hand it under a generation it can compare:
    /// every cache but the built-in edge. What is in flight to such a tier is tracked.
    pub foreign: bool,
    /// How long after its last byte a response may still be stored.
    pub settling_time: Duration,
    /// Tiers are purged in ascending order: 0 is nearest the origin.
    pub distance: u8,
}

impl Default for Capabilities {
    /// A foreign tier that can do nothing, takes one call at a time, settles within two seconds, and is
    /// far from the origin.
    fn default() -> Self {
        Self {
            url: None,
            tag: None,
            prefix: None,
            host: None,
            everything: None,
            mixed_calls: false,
            bytes_per_call: None,
            concurrency: NonZeroUsize::MIN,
            prefix_is_beneath_only: false,
            observes_completion: false,
            cost: None,
            tags: None,
            dialect: Dialect::Standard,
            stale_while_revalidate_beside_s_maxage: true,
            foreign: true,
            settling_time: Duration::from_secs(2),
            distance: 10,
        }
    }
}

impl Capabilities {
    /// How a target can be purged as it is, without resolving it to its pages; `None` where it cannot. A
    /// tag that the tier cannot be told by a header is none that it can be purged by.
    #[must_use]
    pub fn ability(&self, target: &Target) -> Option<&Ability> {
        match target {
            Target::Tag(tag) => self.tag.as_ref().filter(|_| self.knows(tag)),
            Target::Url(_) => self.url.as_ref(),
            Target::Prefix(_) => self.prefix.as_ref(),
            Target::Host(_) => self.host.as_ref(),
            Target::Everything => self.everything.as_ref(),
        }
    }

    /// Whether a target can be purged as it is, without resolving it to its pages.
    #[must_use]
    pub fn takes(&self, target: &Target) -> bool {
        self.ability(target).is_some()
    }

    /// All that it can do.
    pub fn abilities(&self) -> impl Iterator<Item = &Ability> + Send {
        let all = [
            &self.url,
            &self.tag,
            &self.prefix,
            &self.host,
            &self.everything,
        ];
        all.into_iter().flatten()
    }

    /// The rate limits of all that it can do, each bucket once.
    #[must_use]
    pub fn rates(&self) -> Vec<&RateLimit> {
        let mut rates: Vec<&RateLimit> = Vec::new();
        for limit in self.abilities().filter_map(|can| can.rate.as_ref()) {
            if rates.iter().all(|known| known.bucket != limit.bucket) {
                rates.push(limit);
            }
        }
        rates
    }

    /// Whether responses can tell the tier of a tag at all.
    fn knows(&self, tag: &Tag) -> bool {
        let support = self.tags.as_ref();
        support.is_none_or(|tags| tags.limits.admit(&tags.header.encode(tag)))
    }
}

/// How a tier purges targets of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Ability {
    /// The most items in one call; `None` means no limit is known.
    pub items_per_call: Option<NonZeroUsize>,
    /// What one target counts as, towards the limit, the rate and the cost.
    pub items_per_target: NonZeroU32,
    /// Whether copies can be marked stale instead of being removed.
    pub soft: bool,
    /// How often it may be asked; `None` means no limit is known.
    pub rate: Option<RateLimit>,
}

impl Ability {
    /// An ability to remove copies, without any limits.
    pub const UNLIMITED: Self = Self {
        items_per_call: None,
        items_per_target: NonZeroU32::MIN,
        soft: false,
        rate: None,
    };

    /// The same with a limit of items in one call.
    #[must_use]
    pub fn in_batches_of(self, items: NonZeroUsize) -> Self {
        Self {
            items_per_call: Some(items),
            ..self
        }
    }

    /// The same for a tier that can mark copies stale too.
    #[must_use]
    pub fn soft(self) -> Self {
        Self { soft: true, ..self }
    }

    /// The same within a rate.
    #[must_use]
    pub fn at(self, rate: RateLimit) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }
}

/// How often a service lets itself be asked: a token bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The bucket's name. Whatever has the same name, in any process that shares the store, takes from
    /// the same bucket; so it names the account where the limit is the account's. Never a secret.
    pub bucket: String,
    /// What takes a token.
    pub unit: RateUnit,
    /// Tokens in a full bucket.
    pub burst: NonZeroU32,
    /// Tokens that come back in each `period`.
    pub refill: NonZeroU32,
    /// See `refill`.
    pub period: Duration,
    /// Whether the limit is that of the whole account, whoever else uses it.
    pub per_account: bool,
}

impl RateLimit {
    /// How long one token takes to come back.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.period / self.refill.get()
    }
}

/// What takes a token from a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Each call.
    Calls,
    /// Each item of a call.
    Items,
}

/// What purging costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Millionths of a US dollar for each item.
    pub microdollars_per_item: u64,
    /// Items that cost nothing, each month and for the whole account.
    pub free_items_a_month: u64,
}

impl Cost {
    /// What some items cost once nothing is free any more, in US dollars.
    #[must_use]
    pub fn dollars(&self, items: u64) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "beyond 2^53 millionths of a dollar nobody counts them"
        )]
        let microdollars = self.microdollars_per_item.saturating_mul(items) as f64;
        microdollars / 1e6
    }
}

/// How responses name their tags to a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagSupport {
    /// The field, with its separator.
    pub header: TagHeader,
    /// How much of it the tier takes. What goes beyond is not purged by tag there, so it is not listed.
    pub limits: TagHeaderLimits,
    /// Whether the tier tells upper from lower case. Tags are in lower case either way.
    pub case_sensitive: bool,
    /// Whether the tier removes the field, so that visitors do not see it.
    pub stripped: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Forbidden;

    fn told_in(header: TagHeader, forbidden: &str) -> Capabilities {
        let limits = TagHeaderLimits {
            forbidden: Forbidden::characters(forbidden),
            ..header.limits()
        };
        Capabilities {
            tag: Some(Ability::UNLIMITED),
            tags: Some(TagSupport {
                header,
                limits,
                case_sensitive: false,
                stripped: false,
            }),
            ..Capabilities::default()
        }
    }

    #[test]
    fn each_bucket_is_listed_once() {
        let limited = |bucket: &str| {
            Some(Ability::UNLIMITED.at(RateLimit {
                bucket: bucket.to_owned(),
                unit: RateUnit::Calls,
                burst: NonZeroU32::MIN,
                refill: NonZeroU32::MIN,
                period: Duration::from_secs(1),
                per_account: false,
            }))
        };
        let can = Capabilities {
            url: limited("a"),
            tag: limited("b"),
            host: Some(Ability::UNLIMITED),
            everything: limited("a"),
            ..Capabilities::default()
        };
        let buckets: Vec<&str> = can
            .rates()
            .iter()
            .map(|limit| limit.bucket.as_str())
            .collect();
        assert_eq!(buckets, ["a", "b"]);
        assert_eq!(Capabilities::default().rates().len(), 0);
    }

    #[test]
    fn a_tag_that_a_tier_cannot_be_told_is_not_taken() {
        let takes = |can: &Capabilities, text: &str| can.takes(&Target::Tag(text.parse().unwrap()));
        let plain = told_in(TagHeader::CacheTag, "*");
        assert!(takes(&plain, "a") && !takes(&plain, "a*") && !takes(&plain, "*"));
        // As it is written, each of these takes three bytes of the 128.
        let tokens = told_in(TagHeader::EdgeCacheTag, "");
        assert!(takes(&tokens, &":".repeat(42)) && !takes(&tokens, &":".repeat(43)));
        let untold = Capabilities {
            tags: None,
            ..plain
        };
        assert!(takes(&untold, "*"));
    }
}
