//! Policies: for how long a page may be kept, and by whom.

use std::time::Duration;

use http::HeaderName;

use crate::lifetimes::{Lifetimes, whole_seconds};

/// For how long the pages of a route may be kept, and what selects their variants.
///
/// All lifetimes are whole seconds. Values are checked when the policy is built and never again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    s_maxage: u32,
    stale_while_revalidate: u32,
    stale_if_error: u32,
    browser_max_age: Option<u32>,
    vary: Vec<HeaderName>,
}

/// Why a [`Policy`] could not be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// A lifetime with a fraction of a second, which no header can carry (RFC 9111 §1.2.2).
    #[error("{lifetime} of {given:?} is not a whole number of seconds: round it")]
    Fraction {
        /// Which lifetime.
        lifetime: &'static str,
        /// What was asked for.
        given: Duration,
    },
    /// A lifetime outside its range.
    #[error(
        "{lifetime} of {given:?} is out of range: use {least} to {} seconds",
        Policy::LONGEST
    )]
    OutOfRange {
        /// Which lifetime.
        lifetime: &'static str,
        /// What was asked for.
        given: Duration,
        /// The least that is allowed, in seconds.
        least: u32,
    },
    /// `Vary: *`, which no request ever matches (RFC 9111 §4.1).
    #[error("a page that varies on `*` can never be served from a cache: name the header fields")]
    VaryStar,
    /// More fields than [`Policy::MOST_VARY`].
    #[error(
        "{count} header fields to vary on: a policy takes at most {}",
        Policy::MOST_VARY
    )]
    TooManyVary {
        /// How many were given.
        count: usize,
    },
}

impl Policy {
    /// The longest lifetime: 31,536,000 seconds, one year. RFC 9111 §1.2.2 would allow 2^31, but a
    /// page's tags are remembered for as long as the page may be kept, and CDNs cap it there or below.
    pub const LONGEST: u32 = 31_536_000;

    /// The most header fields that select variants.
    pub const MOST_VARY: usize = 16;

    /// A builder that begins with the defaults of [`PolicyBuilder`].
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// How long shared caches hold the page fresh (`s-maxage`, RFC 9111 §5.2.2.10).
    #[must_use]
    pub fn s_maxage(&self) -> Duration {
        seconds(self.s_maxage)
    }

    /// How long after that it may be served while it is revalidated (RFC 5861 §3).
    #[must_use]
    pub fn stale_while_revalidate(&self) -> Duration {
        seconds(self.stale_while_revalidate)
    }

    /// How long after [`Policy::s_maxage`] it may be served when the origin fails (RFC 5861 §4).
    #[must_use]
    pub fn stale_if_error(&self) -> Duration {
        seconds(self.stale_if_error)
    }

    /// How long browsers may hold it fresh (`max-age`); `None` leaves them to revalidate each time.
    #[must_use]
    pub fn browser_max_age(&self) -> Option<Duration> {
        self.browser_max_age.map(seconds)
    }

    /// The request header fields that select variants, for `Vary` (RFC 9110 §12.5.5).
    #[must_use]
    pub fn vary(&self) -> &[HeaderName] {
        &self.vary
    }

    /// The longest that a tier may keep the page, fresh or stale: what a bind states.
    #[must_use]
    pub fn shared_lifetime(&self) -> Duration {
        self.s_maxage() + self.stale_while_revalidate().max(self.stale_if_error())
    }

    /// What a response of this policy may be kept for when it leaves its origin.
    #[must_use]
    pub fn lifetimes(&self) -> Lifetimes {
        self.remaining(Duration::ZERO)
    }

    /// What is left for the next tier when a stored response of this `age` is sent to it.
    ///
    /// A tier that is told the full lifetime of a response that has spent most of it elsewhere adds
    /// its own on top, so pages grow twice as old as the policy says. The age is rounded up to whole
    /// seconds, and [`Lifetimes::unshared`] comes back once nothing is left. A response written with
    /// these lifetimes must carry no `Age`, which would be subtracted a second time.
    #[must_use]
    pub fn remaining(&self, age: Duration) -> Lifetimes {
        let spent = age
            .as_secs()
            .saturating_add(u64::from(age.subsec_nanos() > 0));
        let left = u64::from(self.s_maxage).saturating_sub(spent);
        let Ok(left @ 1..) = u32::try_from(left) else {
            return Lifetimes::unshared();
        };
        let browser = self.browser_max_age.map(|max_age| max_age.min(left));
        Lifetimes::shared(
            left,
            self.stale_while_revalidate,
            self.stale_if_error,
            browser,
        )
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::builder().build().expect("the defaults are in range")
    }
}

/// Puts a [`Policy`] together.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing by itself: call `build`"]
pub struct PolicyBuilder {
    s_maxage: Duration,
    stale_while_revalidate: Duration,
    stale_if_error: Duration,
    browser_max_age: Option<Duration>,
    vary: Vec<HeaderName>,
}

impl Default for PolicyBuilder {
    fn default() -> Self {
        Self {
            s_maxage: Duration::from_mins(5),
            stale_while_revalidate: Duration::from_mins(1),
            stale_if_error: Duration::from_hours(1),
            browser_max_age: None,
            vary: Vec::new(),
        }
    }
}

impl PolicyBuilder {
    /// How long shared caches hold the page fresh: 1 second to [`Policy::LONGEST`]. Default: 5 minutes.
    pub const fn s_maxage(mut self, lifetime: Duration) -> Self {
        self.s_maxage = lifetime;
        self
    }

    /// How long a stale page may be served while it is revalidated: 0 seconds, which is never, to
    /// [`Policy::LONGEST`]. Default: 1 minute.
    pub const fn stale_while_revalidate(mut self, lifetime: Duration) -> Self {
        self.stale_while_revalidate = lifetime;
        self
    }

    /// How long a stale page may be served when the origin fails: 0 seconds, which is never, to
    /// [`Policy::LONGEST`]. Default: 1 hour.
    pub const fn stale_if_error(mut self, lifetime: Duration) -> Self {
        self.stale_if_error = lifetime;
        self
    }

    /// How long browsers hold the page fresh: 0 seconds to [`Policy::LONGEST`]. No purge reaches a
    /// browser. Default: not at all.
    pub const fn browser_max_age(mut self, lifetime: Duration) -> Self {
        self.browser_max_age = Some(lifetime);
        self
    }

    /// Adds request header fields that select variants, each once. Default: none.
    pub fn vary(mut self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        for field in fields {
            if !self.vary.contains(&field) {
                self.vary.push(field);
            }
        }
        self
    }

    /// Checks the values.
    ///
    /// # Errors
    ///
    /// Refused are lifetimes with a fraction of a second or outside their range, `*` among the
    /// fields to vary on, and more than [`Policy::MOST_VARY`] fields.
    pub fn build(self) -> Result<Policy, InvalidPolicy> {
        if self.vary.iter().any(|field| field == "*") {
            return Err(InvalidPolicy::VaryStar);
        }
        if self.vary.len() > Policy::MOST_VARY {
            return Err(InvalidPolicy::TooManyVary {
                count: self.vary.len(),
            });
        }
        let browser = self
            .browser_max_age
            .map(|given| checked("browser max-age", given, 0));
        Ok(Policy {
            s_maxage: checked("s-maxage", self.s_maxage, 1)?,
            stale_while_revalidate: checked(
                "stale-while-revalidate",
                self.stale_while_revalidate,
                0,
            )?,
            stale_if_error: checked("stale-if-error", self.stale_if_error, 0)?,
            browser_max_age: browser.transpose()?,
            vary: self.vary,
        })
    }
}

fn checked(lifetime: &'static str, given: Duration, least: u32) -> Result<u32, InvalidPolicy> {
    if given.subsec_nanos() > 0 {
        return Err(InvalidPolicy::Fraction { lifetime, given });
    }
    whole_seconds(given)
        .filter(|seconds| (least..=Policy::LONGEST).contains(seconds))
        .ok_or(InvalidPolicy::OutOfRange {
            lifetime,
            given,
            least,
        })
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE};

    use super::*;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn lifetimes_are_checked_when_the_policy_is_built() {
        let year = secs(Policy::LONGEST.into());
        let rows: &[(PolicyBuilder, bool)] = &[
            (Policy::builder(), true),
            (Policy::builder().s_maxage(secs(1)), true),
            (Policy::builder().s_maxage(year), true),
            (Policy::builder().s_maxage(secs(0)), false),
            (Policy::builder().s_maxage(year + secs(1)), false),
            (
                Policy::builder().s_maxage(Duration::from_millis(1500)),
                false,
            ),
            (Policy::builder().stale_while_revalidate(secs(0)), true),
            (
                Policy::builder().stale_while_revalidate(Duration::MAX),
                false,
            ),
            (Policy::builder().stale_if_error(secs(0)), true),
            (Policy::builder().stale_if_error(year + secs(1)), false),
            (Policy::builder().browser_max_age(secs(0)), true),
            (
                Policy::builder().browser_max_age(Duration::from_nanos(1)),
                false,
            ),
            (
                Policy::builder().vary([HeaderName::from_static("*")]),
                false,
            ),
        ];
        for (builder, good) in rows {
            assert_eq!(builder.clone().build().is_ok(), *good, "{builder:?}");
        }
    }

    #[test]
    fn the_fields_to_vary_on_are_kept_once_and_bounded() {
        let twice = Policy::builder().vary([ACCEPT_LANGUAGE, ACCEPT_ENCODING, ACCEPT_LANGUAGE]);
        assert_eq!(
            twice.build().unwrap().vary(),
            [ACCEPT_LANGUAGE, ACCEPT_ENCODING]
        );
        let many = (0..17).map(|n| HeaderName::try_from(format!("x-{n}")).unwrap());
        let refused = Policy::builder().vary(many).build();
        assert_eq!(refused, Err(InvalidPolicy::TooManyVary { count: 17 }));
    }

    #[test]
    fn a_bind_states_the_longest_a_tier_may_keep_the_page() {
        let policy = Policy::builder()
            .s_maxage(secs(100))
            .stale_while_revalidate(secs(20))
            .stale_if_error(secs(30));
        assert_eq!(policy.build().unwrap().shared_lifetime(), secs(130));
    }

    #[test]
    fn the_next_tier_is_told_what_remains() {
        let policy = Policy::builder()
            .s_maxage(secs(100))
            .stale_while_revalidate(secs(20))
            .stale_if_error(secs(0))
            .browser_max_age(secs(60))
            .build()
            .unwrap();
        let rows = [
            (secs(0), Lifetimes::shared(100, 20, 0, Some(60))),
            (
                Duration::from_millis(1),
                Lifetimes::shared(99, 20, 0, Some(60)),
            ),
            (secs(70), Lifetimes::shared(30, 20, 0, Some(30))),
            (secs(99), Lifetimes::shared(1, 20, 0, Some(1))),
            (Duration::from_millis(99_001), Lifetimes::unshared()),
            (secs(100), Lifetimes::unshared()),
            (Duration::MAX, Lifetimes::unshared()),
        ];
        for (age, expected) in rows {
            assert_eq!(policy.remaining(age), expected, "at {age:?}");
        }
    }
}
