//! What a receiver can do, which is what its configuration says.

use std::num::{NonZeroU32, NonZeroUsize};

use isr_core::{Ability, Capabilities, RateLimit, RateUnit, TagSupport};

use crate::options::{Kind, Settings};

/// What a body has besides its targets, about, in bytes: id, mode, and what holds them together.
const AROUND_TARGETS: usize = 128;

pub(crate) fn capabilities(name: &str, settings: &Settings) -> Capabilities {
    let rate = settings.rate.map(|rate| RateLimit {
        bucket: format!("webhook:{name}"),
        unit: RateUnit::Calls,
        burst: rate.burst,
        refill: NonZeroU32::MIN,
        period: rate.interval,
        per_account: false,
    });
    let ability = |kind| {
        settings.kinds.contains(&kind).then(|| Ability {
            items_per_call: Some(settings.batch_items),
            items_per_target: NonZeroU32::MIN,
            soft: settings.soft,
            rate: rate.clone(),
        })
    };
    Capabilities {
        url: ability(Kind::Url),
        tag: ability(Kind::Tag),
        prefix: ability(Kind::Prefix),
        host: ability(Kind::Host),
        everything: ability(Kind::Everything),
        mixed_calls: true,
        bytes_per_call: NonZeroUsize::new(settings.batch_bytes.get() - AROUND_TARGETS),
        concurrency: settings.concurrency,
        tags: settings.tags.clone().map(|tags| TagSupport {
            header: tags.header,
            limits: tags.limits,
            // Tags are in lower case, which suits either.
            case_sensitive: true,
            stripped: tags.stripped,
        }),
        dialect: settings.dialect,
        settling_time: settings.settling_time,
        ..Capabilities::default()
    }
}
