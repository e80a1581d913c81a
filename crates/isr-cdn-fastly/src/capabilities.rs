//! What Fastly can do, as data.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use isr_core::{
    Ability, Capabilities, Dialect, Forbidden, RateLimit, RateUnit, TagHeader, TagHeaderLimits,
    TagSupport,
};

use crate::options::Settings;

/// The most keys of one call.
///
/// <https://www.fastly.com/documentation/reference/api/purging/>, read 2026-11-22.
const KEYS_OF_A_CALL: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");

/// Purges of keys and URLs, on average, of one customer.
///
/// <https://www.fastly.com/documentation/reference/api/#rate-limiting>, as third parties quote it
/// (<https://apis.io/rate-limits/fastly/fastly-rate-limits/>), read 2026-11-22. Whether a key in a
/// batch counts as a purge is not said; here it does.
const PURGES_AN_HOUR: u32 = 100_000;

/// Calls that change something, of one user; purging everything is one of them. Same page.
const WRITES_AN_HOUR: u32 = 1_000;

/// Calls that may be under way at once. Fastly names no limit; this is what one connection of HTTP/2
/// bears easily, and a URL is a call of its own.
const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not 0");

const HOUR: Duration = Duration::from_hours(1);

/// The limits are averages over an hour. So a hundredth of one may be used at once, which is more than a
/// full batch of keys, and that much less comes back: no hour has more than the limit. Of what may be used at
/// once a little is left, since calls may arrive closer together than they were sent.
pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let rate = |what: &str, unit, an_hour: u32| RateLimit {
        bucket: format!("fastly:{}:{what}", settings.account),
        unit,
        burst: whole(an_hour / 100 - (an_hour / 2_500).max(1)),
        refill: whole(an_hour - an_hour / 100),
        period: HOUR,
        per_account: true,
    };
    let purges = Ability {
        soft: settings.soft,
        ..Ability::UNLIMITED.at(rate("purges", RateUnit::Items, PURGES_AN_HOUR))
    };
    let writes = rate("writes", RateUnit::Calls, WRITES_AN_HOUR);
    Capabilities {
        url: Some(purges.clone().in_batches_of(NonZeroUsize::MIN)),
        tag: Some(purges.in_batches_of(KEYS_OF_A_CALL)),
        // Never soft, and never what a list of anything else turns into.
        everything: Some(
            Ability::UNLIMITED
                .in_batches_of(NonZeroUsize::MIN)
                .at(writes),
        ),
        concurrency: CONCURRENCY,
        tags: Some(TagSupport {
            header: TagHeader::SurrogateKey,
            limits: TAG_LIMITS,
            case_sensitive: true,
            stripped: true,
        }),
        dialect: Dialect::SurrogateControl,
        settling_time: settings.settling_time,
        ..Capabilities::default()
    }
}

/// The length of the field, and of one key in it; from the key at the limit on, all are left out. A key
/// is printable ASCII without spaces, as every tag is.
///
/// <https://www.fastly.com/documentation/reference/http/http-headers/Surrogate-Key/>, read 2026-11-22.
const TAG_LIMITS: TagHeaderLimits = TagHeaderLimits {
    bytes: 16_384,
    tags: usize::MAX,
    tag_bytes: 1_024,
    forbidden: Forbidden::NOTHING,
};

fn whole(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("the limits are hundreds")
}

#[cfg(test)]
mod tests {
    use isr_core::{Tag, Target, calls, tag};

    use super::*;
    use crate::options::Options;

    fn can(json: &str) -> Capabilities {
        let options: Options = serde_json::from_str(json).unwrap();
        capabilities(&options.check().unwrap())
    }

    #[test]
    fn keys_go_in_full_batches_within_the_burst() {
        let can = can(r#"{"service": "S", "token": "T"}"#);
        let keys = (0..257).map(|n| Target::Tag(tag("t", n)));
        let sizes: Vec<usize> = calls(keys, &can).iter().map(Vec::len).collect();
        assert_eq!(sizes, [256, 1]);
        let burst = can.tag.unwrap().rate.unwrap().burst;
        assert!(burst.get() as usize >= KEYS_OF_A_CALL.get());
    }

    #[test]
    fn no_hour_has_more_than_the_limit_and_none_wastes_much_of_it() {
        let can = can(r#"{"service": "S", "token": "T"}"#);
        for (ability, limit) in [(can.tag, 100_000), (can.everything, 1_000)] {
            let rate = ability.unwrap().rate.unwrap();
            assert!(rate.burst.get() + rate.refill.get() < limit);
            assert!(rate.refill.get() >= limit / 100 * 95);
        }
    }

    #[test]
    fn every_tag_is_a_key() {
        let can = can(r#"{"service": "S", "token": "T"}"#);
        let punctuation = "!$%&'()*+-./:;<=>?@[\\]^_`{|}~a#1";
        for text in [punctuation, &"x".repeat(Tag::MAX_LEN)] {
            assert!(can.takes(&Target::Tag(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn everything_is_never_soft_and_has_a_budget_of_its_own() {
        let can = can(r#"{"service": "S", "token": "T", "account": "acme"}"#);
        let everything = can.everything.unwrap();
        assert!(!everything.soft);
        assert_eq!(everything.rate.unwrap().bucket, "fastly:acme:writes");
        let url = can.url.unwrap();
        assert!(url.soft);
        assert_eq!(url.rate.unwrap().bucket, "fastly:acme:purges");
        assert_eq!(can.tag.unwrap().rate.unwrap().bucket, "fastly:acme:purges");
    }
}
