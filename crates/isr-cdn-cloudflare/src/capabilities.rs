//! What Cloudflare lets itself be asked for, and how often.
//!
//! Numbers are those of <https://developers.cloudflare.com/cache/how-to/purge-cache/> (the page of
//! 2026-07-29), read on 2026-11-22, unless another page is named.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use isr_core::{Ability, Capabilities, RateLimit, RateUnit, TagHeader, TagSupport};

use crate::options::{Plan, Settings};

/// Calls under way at once. Cloudflare names no limit; this many keep a zone's rate of URLs busy at 300
/// milliseconds a call, without a crowd of connections.
const CONCURRENCY: usize = 8;

/// How often an account on a plan may purge.
struct Limits {
    /// Requests by tag, prefix, host or for everything: a bucket of this size,
    bucket: u32,
    /// which gets back this many
    requests: u32,
    /// in this time.
    per: Duration,
    /// URLs in a second, on average.
    urls_a_second: u32,
}

const fn limits(plan: Plan) -> Limits {
    const fn limits(bucket: u32, requests: u32, per: Duration, urls_a_second: u32) -> Limits {
        Limits {
            bucket,
            requests,
            per,
            urls_a_second,
        }
    }
    match plan {
        Plan::Free => limits(25, 5, Duration::from_mins(1), 800),
        Plan::Pro => limits(25, 5, Duration::from_secs(1), 1_500),
        Plan::Business => limits(50, 10, Duration::from_secs(1), 1_500),
        Plan::Enterprise => limits(500, 50, Duration::from_secs(1), 3_000),
    }
}

pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let requests = requests(settings);
    let ability = |items: NonZeroU32, rate: &RateLimit| Ability {
        items_per_call: Some(NonZeroUsize::try_from(items).unwrap_or(NonZeroUsize::MAX)),
        items_per_target: NonZeroU32::MIN,
        // Since 2026-09-28, with the same bodies and limits as the hard purge:
        // https://developers.cloudflare.com/cache/guides/invalidate-cache/ (2026-11-22).
        soft: settings.soft,
        rate: Some(rate.clone()),
    };
    let of_a_kind = ability(settings.batch_items, &requests);
    let variants = u32::try_from(settings.variant_headers.len()).unwrap_or(u32::MAX);
    Capabilities {
        url: Some(Ability {
            items_per_target: NonZeroU32::MIN.saturating_add(variants),
            ..ability(settings.batch_urls, &urls(settings))
        }),
        tag: Some(of_a_kind.clone()),
        prefix: Some(of_a_kind.clone()),
        host: Some(of_a_kind),
        everything: Some(ability(NonZeroU32::MIN, &requests)),
        mixed_calls: false,
        bytes_per_call: None,
        concurrency: NonZeroUsize::new(CONCURRENCY).expect("it is not zero"),
        // A prefix ends with a slash when it is sent: see `request.rs`.
        prefix_is_beneath_only: true,
        observes_completion: false,
        cost: None,
        // https://developers.cloudflare.com/cache/how-to/purge-cache/purge-by-tags/ (2026-11-22):
        // 16 KB of tags in a response, told apart without regard to case, and removed. A tag is printable
        // ASCII without spaces, as ours are all.
        tags: Some(TagSupport {
            header: TagHeader::CacheTag,
            limits: TagHeader::CacheTag.limits(),
            case_sensitive: false,
            stripped: true,
        }),
        dialect: settings.dialect,
        // `s-maxage` switches it off where Origin Cache Control is on, which it always is below
        // Enterprise: https://developers.cloudflare.com/cache/concepts/revalidation/ (2026-11-22).
        stale_while_revalidate_beside_s_maxage: false,
        settling_time: settings.settling_time,
        ..Capabilities::default()
    }
}

/// The bucket of requests, which both endpoints and all zones of the account share.
fn requests(settings: &Settings) -> RateLimit {
    let Limits {
        bucket,
        requests,
        per,
        ..
    } = limits(settings.plan);
    RateLimit {
        bucket: format!("cloudflare:{}:requests", settings.account),
        unit: RateUnit::Calls,
        burst: whole(bucket - margin(bucket)),
        refill: whole(requests),
        period: per,
        per_account: true,
    }
}

/// The bucket of URLs. Cloudflare speaks of an average over a second, and not of how it is taken: so no
/// second has more than the number, the first after a pause included. What a pause adds is therefore
/// small, and taken off what comes back.
fn urls(settings: &Settings) -> RateLimit {
    let each_second = limits(settings.plan).urls_a_second;
    let burst = margin(each_second);
    RateLimit {
        bucket: format!("cloudflare:{}:urls", settings.account),
        unit: RateUnit::Items,
        burst: whole(burst),
        refill: whole(each_second - burst),
        period: Duration::from_secs(1),
        per_account: true,
    }
}

/// What is left of a limit for calls that arrive closer together than they were sent, because one took
/// longer on its way than the next: 4 %, and one at least.
const fn margin(limit: u32) -> u32 {
    let margin = limit / 25;
    if margin == 0 { 1 } else { margin }
}

fn whole(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("every plan lets some purges through")
}

#[cfg(test)]
mod tests {
    use isr_core::{Tag, Target};
    use serde_json::json;

    use super::*;
    use crate::Options;

    fn can(plan: &str) -> Capabilities {
        let options = json!({"zone": "0".repeat(32), "token": "t", "plan": plan});
        let options: Options = serde_json::from_value(options).unwrap();
        capabilities(&options.check().unwrap())
    }

    #[test]
    fn a_plans_limits_are_kept_with_a_margin() {
        let rows = [
            ("free", 24, 12_000, 800),
            ("pro", 24, 200, 1_500),
            ("business", 48, 100, 1_500),
            ("enterprise", 480, 20, 3_000),
        ];
        for (plan, burst, millis, urls) in rows {
            let can = can(plan);
            let rate = can.tag.unwrap().rate.unwrap();
            assert_eq!(rate.burst.get(), burst, "{plan}");
            assert_eq!(rate.interval(), Duration::from_millis(millis), "{plan}");
            assert_eq!(rate.unit, RateUnit::Calls);
            let rate = can.url.unwrap().rate.unwrap();
            assert_eq!(rate.burst.get() + rate.refill.get(), urls, "{plan}");
            assert_eq!(rate.unit, RateUnit::Items);
        }
    }

    #[test]
    fn every_tag_is_one_of_cloudflares() {
        let can = can("free");
        let punctuation = "!$%&'()*+-./:;<=>?@[\\]^_`{|}~a#1";
        for text in [punctuation, &"x".repeat(Tag::MAX_LEN)] {
            assert!(can.takes(&Target::Tag(text.parse().unwrap())), "{text}");
        }
    }

    #[test]
    fn everything_but_urls_takes_from_one_bucket() {
        let can = can("free");
        let bucket = |ability: Option<Ability>| ability.unwrap().rate.unwrap().bucket;
        let requests = bucket(can.tag);
        for other in [can.prefix, can.host, can.everything] {
            assert_eq!(bucket(other), requests);
        }
        assert_ne!(bucket(can.url), requests);
    }
}
