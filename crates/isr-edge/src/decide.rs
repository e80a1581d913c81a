//! The decision table: what is done with a request, given what is stored. Pure, so that every row of
//! it can be tested without a network.

use std::time::Duration;

use isr_core::Verdict;

use crate::cache_status::Forward;

/// What matters about a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// Why the request takes no part in caching, if it does not.
    pub(crate) bypass: Option<Forward>,
    /// Whether it asks for nothing but stored responses (RFC 9111 §5.2.1.7).
    pub(crate) only_if_cached: bool,
    /// Whether it insists on an answer from the origin (§5.2.1.4), and is heard.
    pub(crate) insists: bool,
    /// Whether it is a verified warm-up request.
    pub(crate) warm_up: bool,
}

/// What is stored for a request's page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// Variants that other requests select.
    OtherVariants,
    /// The variant that this request selects.
    Response(Facts),
}

/// What matters about a stored response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Its current age (RFC 9111 §4.2.3).
    pub(crate) age: Duration,
    /// How long it has been since the origin was last asked about it.
    pub(crate) since_validated: Duration,
    /// Its freshness lifetime (§4.2.1).
    pub(crate) lifetime: Duration,
    /// How long after that it may be served while it is revalidated (RFC 5861 §3).
    pub(crate) while_revalidate: Duration,
    /// How long after that it may be served when the origin fails (RFC 5861 §4).
    pub(crate) if_error: Duration,
    /// Whether its origin forbids ever serving it stale (RFC 9111 §5.2.2.2, §5.2.2.8).
    pub(crate) must_revalidate: bool,
    /// What has become of the data it was made from.
    pub(crate) verdict: Verdict,
    /// Whether it is of the generation that a warm-up request asks for, or a later one.
    pub(crate) covers_least: bool,
}

impl Facts {
    /// Whether its age is within its freshness lifetime (RFC 9111 §4.2).
    pub(crate) fn is_young(&self) -> bool {
        self.age < self.lifetime
    }

    /// Whether it may be served while it is revalidated.
    fn may_be_stale(&self) -> bool {
        self.verdict != Verdict::Expired
            && !self.must_revalidate
            && !self.while_revalidate.is_zero()
            && self.age < self.lifetime + self.while_revalidate
    }

    /// Whether it may stand in for an origin that failed (RFC 5861 §4).
    pub(crate) fn may_stand_in(&self) -> bool {
        self.verdict != Verdict::Expired
            && !self.must_revalidate
            && !self.if_error.is_zero()
            && self.age < self.lifetime + self.if_error
    }
}

/// What matters about this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here {
    /// Whether it is too long ago that it knew itself up to date with the store.
    pub(crate) behind: bool,
    /// How old an answer of the origin may grow before it is asked again while that is so.
    pub(crate) degraded_lifetime: Duration,
}

/// What is done with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The stored response is served as fresh.
    Hit,
    /// The stored response is served as stale.
    Stale {
        /// Whether the origin is asked in the background.
        revalidate: bool,
    },
    /// The origin is asked, once for everybody who waits.
    Fetch(Forward),
    /// The request is handed to the origin as it is, and its response to the visitor.
    Bypass(Forward),
    /// Nothing may be served, and the request forbids asking the origin (RFC 9111 §5.2.1.7).
    OnlyIfCached,
}

/// Decides what is done with a request.
pub(crate) fn decide(asked: Asked, found: &Found, here: &Here) -> Decision {
    let stored = match (asked.bypass, found) {
        (Some(_), _) if asked.only_if_cached => Err(Forward::Bypass),
        (Some(reason), _) => return Decision::Bypass(reason),
        (None, Found::Nothing) => Err(Forward::UriMiss),
        (None, Found::OtherVariants) => Err(Forward::VaryMiss),
        (None, Found::Response(facts)) => serve(asked, facts, here),
    };
    match stored {
        Ok(served) => served,
        Err(_) if asked.only_if_cached => Decision::OnlyIfCached,
        Err(reason) => Decision::Fetch(reason),
    }
}

/// Serves what is stored, or says why it may not be.
fn serve(asked: Asked, facts: &Facts, here: &Here) -> Result<Decision, Forward> {
    let current = facts.verdict == Verdict::Current && facts.is_young();
    if asked.warm_up {
        let good = current && facts.covers_least && !here.behind;
        return if good {
            Ok(Decision::Hit)
        } else {
            Err(Forward::Stale)
        };
    }
    if asked.insists {
        return Err(Forward::Request);
    }
    match (current, here.behind) {
        (true, false) => Ok(Decision::Hit),
        (true, true) => {
            // HTTP would call it fresh, so no window for stale responses is needed.
            let revalidate = facts.since_validated >= here.degraded_lifetime;
            Ok(Decision::Stale { revalidate })
        }
        (false, _) if facts.may_be_stale() => Ok(Decision::Stale { revalidate: true }),
        (false, _) => Err(Forward::Stale),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Fresh for 100 s, then 20 s while it is revalidated, or 50 s when the origin fails.
    fn aged(age: u64) -> Facts {
        Facts {
            age: secs(age),
            since_validated: secs(age),
            lifetime: secs(100),
            while_revalidate: secs(20),
            if_error: secs(50),
            must_revalidate: false,
            verdict: Verdict::Current,
            covers_least: true,
        }
    }

    fn judged(age: u64, verdict: Verdict) -> Facts {
        Facts {
            verdict,
            ..aged(age)
        }
    }

    fn strict(age: u64, verdict: Verdict) -> Facts {
        Facts {
            must_revalidate: true,
            ..judged(age, verdict)
        }
    }

    fn no_window(age: u64, verdict: Verdict) -> Facts {
        Facts {
            while_revalidate: Duration::ZERO,
            ..judged(age, verdict)
        }
    }

    const UP_TO_DATE: Here = Here {
        behind: false,
        degraded_lifetime: secs(5),
    };
    const BEHIND: Here = Here {
        behind: true,
        degraded_lifetime: secs(5),
    };
    const STALE: Decision = Decision::Stale { revalidate: true };
    const ASK: Decision = Decision::Fetch(Forward::Stale);

    #[test]
    fn an_ordinary_request_is_answered_by_age_and_verdict() {
        use Verdict::{Current, Expired, Stale};
        let rows = [
            (aged(0), Decision::Hit),
            (aged(99), Decision::Hit),
            (aged(100), STALE),
            (aged(119), STALE),
            (aged(120), ASK),
            (judged(0, Stale), STALE),
            (judged(119, Stale), STALE),
            (judged(120, Stale), ASK),
            (judged(0, Expired), ASK),
            (judged(110, Expired), ASK),
            (strict(0, Current), Decision::Hit),
            (strict(100, Current), ASK),
            (strict(0, Stale), ASK),
            (no_window(99, Current), Decision::Hit),
            (no_window(100, Current), ASK),
            (no_window(0, Stale), ASK),
        ];
        for (facts, expected) in rows {
            let decision = decide(Asked::default(), &Found::Response(facts), &UP_TO_DATE);
            assert_eq!(decision, expected, "{facts:?}");
        }
    }

    #[test]
    fn whoever_is_behind_calls_nothing_fresh() {
        use Verdict::{Expired, Stale};
        let rows = [
            (aged(0), Decision::Stale { revalidate: false }),
            (aged(4), Decision::Stale { revalidate: false }),
            (aged(5), STALE),
            (
                strict(0, Verdict::Current),
                Decision::Stale { revalidate: false },
            ),
            (no_window(50, Verdict::Current), STALE),
            (aged(110), STALE),
            (aged(120), ASK),
            (judged(0, Stale), STALE),
            (judged(0, Expired), ASK),
        ];
        for (facts, expected) in rows {
            let decision = decide(Asked::default(), &Found::Response(facts), &BEHIND);
            assert_eq!(decision, expected, "{facts:?}");
        }
    }

    #[test]
    fn a_warm_up_is_never_answered_with_anything_but_the_freshest() {
        let warm = Asked {
            warm_up: true,
            ..Asked::default()
        };
        let early = Facts {
            covers_least: false,
            ..aged(0)
        };
        let rows = [
            (aged(99), UP_TO_DATE, Decision::Hit),
            (aged(100), UP_TO_DATE, ASK),
            (early, UP_TO_DATE, ASK),
            (judged(0, Verdict::Stale), UP_TO_DATE, ASK),
            (aged(0), BEHIND, ASK),
        ];
        for (facts, here, expected) in rows {
            assert_eq!(
                decide(warm, &Found::Response(facts), &here),
                expected,
                "{facts:?}"
            );
        }
    }

    #[test]
    fn what_the_request_asks_for_comes_first() {
        let plain = Asked::default();
        let only = Asked {
            only_if_cached: true,
            ..plain
        };
        let bypass = Asked {
            bypass: Some(Forward::Bypass),
            ..plain
        };
        let insists = Asked {
            insists: true,
            ..plain
        };
        let (fresh, old) = (Found::Response(aged(0)), Found::Response(aged(200)));
        let rows = [
            (plain, Found::Nothing, Decision::Fetch(Forward::UriMiss)),
            (
                plain,
                Found::OtherVariants,
                Decision::Fetch(Forward::VaryMiss),
            ),
            (only, Found::Nothing, Decision::OnlyIfCached),
            (only, fresh, Decision::Hit),
            (only, Found::Response(aged(110)), STALE),
            (only, old, Decision::OnlyIfCached),
            (bypass, fresh, Decision::Bypass(Forward::Bypass)),
            (
                Asked {
                    only_if_cached: true,
                    ..bypass
                },
                fresh,
                Decision::OnlyIfCached,
            ),
            (insists, fresh, Decision::Fetch(Forward::Request)),
        ];
        for (asked, found, expected) in rows {
            assert_eq!(
                decide(asked, &found, &UP_TO_DATE),
                expected,
                "{asked:?} {found:?}"
            );
        }
    }

    #[test]
    fn a_response_stands_in_for_a_failed_origin_within_its_window_and_never_expired() {
        use Verdict::{Current, Expired, Stale};
        let rows = [
            (aged(149), true),
            (aged(150), false),
            (judged(0, Stale), true),
            (judged(0, Expired), false),
            (strict(110, Current), false),
            (
                Facts {
                    if_error: Duration::ZERO,
                    ..aged(10)
                },
                false,
            ),
        ];
        for (facts, expected) in rows {
            assert_eq!(facts.may_stand_in(), expected, "{facts:?}");
        }
    }
}
