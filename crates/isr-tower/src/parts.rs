//! What the layer is put together from.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use isr_core::cache_control::{CDN_CACHE_CONTROL, CLOUDFLARE_CDN_CACHE_CONTROL, SURROGATE_CONTROL};
use isr_core::{
    CookieNames, Fronting, Recorder, RevalidateOptions, Revalidator, Sender, ShareRules, Tag,
    TagGraph, UrlRules, WarmupKey,
};

use crate::Site;

/// What an [`IsrLayer`](crate::IsrLayer) is put together from.
///
/// Somebody else has to feed the sender: ask the store for news, queue what the sender owes, and
/// store its reports. Until it has been heard from the store once, no page can be bound.
#[derive(Clone, Debug)]
pub struct IsrParts {
    /// Where pages are bound to their tags.
    pub graph: Arc<dyn TagGraph>,
    /// What this process knows of revalidations, and what it has on its way. Its clock is the
    /// layer's too.
    pub sender: Arc<Sender>,
    /// Takes note of binds.
    pub recorder: Arc<dyn Recorder>,
    /// Whom the [`Revalidate`](crate::Revalidate) extractor asks, if this service asks anybody.
    pub revalidator: Option<Arc<dyn Revalidator>>,
    /// Verifies warm-up requests; without it, each is a request like any other.
    pub warmup: Option<WarmupKey>,
    /// The public origins of the service.
    pub site: Site,
    /// How the site's URLs are brought into their canonical spelling.
    pub url_rules: UrlRules,
    /// The tiers in front of the service: how they are told lifetimes ([`isr_core::Dialect::Standard`] when none
    /// says) and tags. A page is kept out of shared caches when not all its tags fit for a tier that is
    /// purged by nothing else.
    pub fronting: Fronting,
    /// A tag for every page, by which a deployment can revalidate what the build before it made.
    pub build_tag: Option<Tag>,
    /// How the layer behaves at its limits.
    pub options: IsrOptions,
}

/// How the layer behaves at its limits.
#[derive(Clone, Debug)]
pub struct IsrOptions {
    /// The longest that redirects and pages that do not exist (404, 410) are held fresh, and again
    /// stale. They are pages too, because CDNs keep them even when nothing says so. Default: 60 seconds.
    pub negative_lifetime: Duration,
    /// The longest that a response which could not be bound is held fresh, and again stale. 0 seconds
    /// keeps it out of shared caches. Default: 10 seconds.
    pub degraded_lifetime: Duration,
    /// How long a bind may take before the response leaves without it. Default: 1 second.
    pub bind_timeout: Duration,
    /// How long a warm-up request waits for this process to hear of the revalidation that it comes
    /// from. Default: 250 milliseconds.
    pub warmup_wait: Duration,
    /// The largest body that is held to be hashed into an entity tag, in bytes. Larger ones, and ones
    /// whose length is not known before they end, stream through without. Default: 1 MiB.
    pub largest_hashed_body: u64,
    /// Whether requests come through the built-in edge, so that the `X-Edge-ISR-Generation` they carry
    /// counts. The older of it and the process's own is taken, so that a forged one can only have a
    /// page rendered again. Default: no.
    pub trust_edge: bool,
    /// Whether every tier in front stores a page under its canonical URL, however the visitor wrote
    /// it. Unless they do, only a request in that spelling gets a response that they may keep,
    /// because a purge would miss the others. Default: no.
    pub tiers_normalise_urls: bool,
    /// Cookies that have no effect on any page. A request with any other gets a response that no
    /// shared cache may keep. Default: none.
    pub ignored_cookies: CookieNames,
    /// What revalidations do that the [`Revalidate`](crate::Revalidate) extractor asks for, unless the
    /// handler says otherwise. Default: [`RevalidateOptions::default`].
    pub revalidate: RevalidateOptions,
}

impl Default for IsrOptions {
    fn default() -> Self {
        Self {
            negative_lifetime: Duration::from_mins(1),
            degraded_lifetime: Duration::from_secs(10),
            bind_timeout: Duration::from_secs(1),
            warmup_wait: Duration::from_millis(250),
            largest_hashed_body: 1024 * 1024,
            trust_edge: false,
            tiers_normalise_urls: false,
            ignored_cookies: CookieNames::default(),
            revalidate: RevalidateOptions::default(),
        }
    }
}

/// The fields by which a response speaks to CDNs apart from `Cache-Control`.
pub(crate) const TARGETED_FIELDS: [HeaderName; 3] = [
    CLOUDFLARE_CDN_CACHE_CONTROL,
    CDN_CACHE_CONTROL,
    SURROGATE_CONTROL,
];

/// The parts, and what follows from them.
#[derive(Debug)]
pub(crate) struct Setup {
    parts: IsrParts,
    /// By which rules responses of opted-in routes may be shared.
    pub(crate) share_rules: ShareRules,
}

impl From<IsrParts> for Setup {
    fn from(parts: IsrParts) -> Self {
        let share_rules = ShareRules {
            ignored_cookies: parts.options.ignored_cookies.clone(),
            targets: TARGETED_FIELDS.into(),
            has_policy: true,
        };
        Self { parts, share_rules }
    }
}

impl Deref for Setup {
    type Target = IsrParts;

    fn deref(&self) -> &IsrParts {
        &self.parts
    }
}
