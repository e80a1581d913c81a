//! What an nginx can do.

use std::num::{NonZeroU32, NonZeroUsize};

use isr_core::{Ability, Capabilities, Dialect};

use crate::options::{CachePathSettings, LocationSettings, TierSettings};

/// Pages in one call by a location: each is a request of its own, so this says only how much is repeated when
/// one of them fails.
const PAGES_PER_CALL: NonZeroUsize = NonZeroUsize::new(100).expect("it is not zero");
/// Targets in one call that removes files. Each is a look into an index, and the call begins with one look at
/// what has changed, so many at once are better than few.
const TARGETS_PER_CALL: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not zero");

/// What one machine can do with the module: purge exact URLs, one a request
/// (<https://github.com/nginx-modules/ngx_cache_purge>, read 2026-11-22).
pub(crate) fn of_location(settings: &LocationSettings) -> Capabilities {
    let requests = settings.variants.len() + 1;
    let url =
        Ability {
            items_per_call: Some(PAGES_PER_CALL.saturating_mul(
                NonZeroUsize::new(requests).expect("one more than some is not zero"),
            )),
            items_per_target: u32::try_from(requests)
                .ok()
                .and_then(NonZeroU32::new)
                .unwrap_or(NonZeroU32::MAX),
            ..Ability::UNLIMITED
        };
    Capabilities {
        url: Some(url),
        concurrency: settings.concurrency,
        ..both(&settings.tier)
    }
}

/// What can be done by removing files: there is no stale copy of a file that is gone, and nginx keeps no tags.
pub(crate) fn of_cache_path(settings: &CachePathSettings) -> Capabilities {
    let any = || Some(Ability::UNLIMITED.in_batches_of(TARGETS_PER_CALL));
    Capabilities {
        url: any(),
        prefix: any(),
        host: any().filter(|_| settings.template.tells_hosts_apart()),
        everything: any(),
        mixed_calls: true,
        ..both(&settings.tier)
    }
}

/// nginx reads `X-Accel-Expires`, `Expires` and `Cache-Control`
/// (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_cache_valid>, read 2026-11-22), and knows
/// `stale-while-revalidate`, also beside `s-maxage`, once `proxy_cache_background_update` is on (nginx 1.22.1,
/// tried).
fn both(tier: &TierSettings) -> Capabilities {
    Capabilities {
        dialect: Dialect::CacheControlOnly,
        stale_while_revalidate_beside_s_maxage: true,
        settling_time: tier.settling_time,
        distance: tier.distance,
        ..Capabilities::default()
    }
}
