//! What a Varnish can do with the VCL it has.

use isr_core::{Ability, Capabilities, Dialect, Forbidden, TagHeader, TagHeaderLimits, TagSupport};

use crate::options::Settings;

/// What one machine can do.
///
/// Varnish sets no rate, and no number of items. Header lines have 8 KiB at most, those with tags in
/// responses too (`http_req_hdr_len`, `http_resp_hdr_len`:
/// <https://varnish-cache.org/docs/7.1/reference/varnishd.html>, read 2026-11-22). `vmod_xkey` takes tags
/// separated by spaces or commas, tells upper from lower case and leaves the field in responses
/// (<https://github.com/varnish/varnish-modules/blob/master/src/vmod_xkey.vcc>, read 2026-11-22); the
/// VCL removes it. `stale-while-revalidate` becomes the object's grace, also beside `s-maxage`, and no
/// field but `Cache-Control` and `Expires` is looked at (Varnish 7.1.1, tried).
pub(crate) fn capabilities(settings: &Settings) -> Capabilities {
    let stale = |ability: Ability| {
        if settings.soft {
            ability.soft()
        } else {
            ability
        }
    };
    let ban = || settings.ban.then_some(Ability::UNLIMITED);
    Capabilities {
        url: Some(stale(Ability::UNLIMITED)),
        tag: settings.xkey.then(|| stale(Ability::UNLIMITED)),
        prefix: ban(),
        host: ban(),
        everything: ban(),
        bytes_per_call: Some(settings.key_bytes),
        concurrency: settings.concurrency,
        tags: settings.xkey.then(|| TagSupport {
            header: TagHeader::XKey,
            limits: TagHeaderLimits {
                bytes: 7_500,
                tags: usize::MAX,
                tag_bytes: 7_500,
                forbidden: Forbidden::NOTHING,
            },
            case_sensitive: true,
            stripped: true,
        }),
        dialect: Dialect::CacheControlOnly,
        stale_while_revalidate_beside_s_maxage: true,
        settling_time: settings.settling_time,
        distance: settings.distance,
        ..Capabilities::default()
    }
}
