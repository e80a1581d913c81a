//! A stored response, and what can be said of it at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, LAST_MODIFIED};
use http::{HeaderMap, HeaderValue, StatusCode};
use isr_core::{
    EntityTag, Footprint, Generation, Memo, Policy, Sender, VariantKey, VaryRule, Verdict,
};

use crate::decide::Facts;

/// A response as it was stored. What changes about it is only what is known of it.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    pub(crate) status: StatusCode,
    /// The fields as they leave, but for those that depend on the moment.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) terms: Terms,
    /// Which variant it is, under its own `Vary`.
    pub(crate) variant: VariantKey,
    /// Taken before its data was read; `None` when nothing was known of the store.
    pub(crate) generation: Option<Generation>,
    pub(crate) footprint: Arc<Footprint>,
    memo: Memo,
    /// When the origin answered, by the clock.
    answered: Duration,
    /// How old it was then (RFC 9111 §4.2.3).
    initial_age: Duration,
    /// Before this moment, in microseconds, no background request is made: the last one failed.
    not_before: AtomicU64,
}

/// On what terms a response may be kept.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Terms {
    /// Its lifetimes: its origin's, else its rule's.
    pub(crate) policy: Policy,
    /// Whether the origin's own fields say so, which then leave as they came, with an `Age`.
    pub(crate) verbatim: bool,
    /// Whether the origin forbids serving it stale.
    pub(crate) must_revalidate: bool,
    /// What selects it.
    pub(crate) vary: VaryRule,
    /// Whether the tiers in front may keep it: they can be purged of it.
    pub(crate) for_tiers: bool,
    /// Whether it could be bound; when not, it is asked for again soon.
    pub(crate) bound: bool,
}

/// When a response came, and how old it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) answered: Duration,
    pub(crate) initial_age: Duration,
}

/// The parts of a response that are known before its body is.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) terms: Terms,
    pub(crate) variant: VariantKey,
    pub(crate) generation: Option<Generation>,
    pub(crate) footprint: Arc<Footprint>,
    pub(crate) arrival: Arrival,
}

impl StoredResponse {
    /// A response whose body has come whole. Its length is stated, and that parts of it are served
    /// (RFC 9110 §8.6, §14.3).
    pub(crate) fn new(mut head: Head, body: Bytes) -> Self {
        head.headers
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        if head.status == StatusCode::OK {
            head.headers
                .insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        }
        Self {
            status: head.status,
            headers: head.headers,
            body,
            terms: head.terms,
            variant: head.variant,
            generation: head.generation,
            footprint: head.footprint,
            memo: Memo::default(),
            answered: head.arrival.answered,
            initial_age: head.arrival.initial_age,
            not_before: AtomicU64::new(0),
        }
    }

    /// What decides whether it may be served at the moment `now`.
    pub(crate) fn facts(&self, sender: &Sender, now: Duration, least: Option<Generation>) -> Facts {
        Facts {
            age: self.age(now),
            since_validated: now.saturating_sub(self.answered),
            lifetime: self.lifetime(),
            while_revalidate: self.terms.policy.stale_while_revalidate(),
            if_error: self.terms.policy.stale_if_error(),
            must_revalidate: self.terms.must_revalidate,
            verdict: self.verdict(sender),
            covers_least: match (self.generation, least) {
                (_, None) => true,
                (Some(generation), Some(least)) => generation.covers(least),
                (None, Some(_)) => false,
            },
        }
    }

    /// Its current age (RFC 9111 §4.2.3).
    pub(crate) fn age(&self, now: Duration) -> Duration {
        self.initial_age + now.saturating_sub(self.answered)
    }

    /// Its freshness lifetime.
    pub(crate) fn lifetime(&self) -> Duration {
        self.terms.policy.s_maxage()
    }

    fn verdict(&self, sender: &Sender) -> Verdict {
        match self.generation {
            Some(generation) => sender.verdict(&self.footprint, generation, &self.memo),
            // Nobody can tell what was revalidated since, once there is somebody to ask.
            None if sender.known().is_some() => Verdict::Expired,
            None => Verdict::Current,
        }
    }

    /// Whether a background request may be made now; see [`StoredResponse::put_off`].
    pub(crate) fn may_revalidate(&self, now: Duration) -> bool {
        micros(now) >= self.not_before.load(Ordering::Relaxed)
    }

    /// Makes no background request before `moment`: a failing origin is not asked at every hit.
    pub(crate) fn put_off(&self, moment: Duration) {
        self.not_before.store(micros(moment), Ordering::Relaxed);
    }

    /// Its entity tag, when it has a well-formed one.
    pub(crate) fn entity_tag(&self) -> Option<EntityTag> {
        EntityTag::of(&self.headers)
    }

    /// When it was last changed, when it says so (RFC 9110 §8.8.2).
    pub(crate) fn last_modified(&self) -> Option<SystemTime> {
        let value = self.headers.get(LAST_MODIFIED)?.to_str().ok()?;
        httpdate::parse_http_date(value).ok()
    }

    /// Roughly how many bytes it takes up.
    pub(crate) fn weight(&self) -> u64 {
        /// What a field costs beside its text.
        const FIELD: usize = 80;
        /// What a response costs beside its fields and its body.
        const RESPONSE: usize = 640;
        let fields: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
            .sum();
        let tags: usize = self
            .footprint
            .tags
            .iter()
            .map(|tag| tag.as_str().len() + 32)
            .sum();
        (RESPONSE + fields + tags + self.body.len()) as u64
    }
}

fn micros(moment: Duration) -> u64 {
    u64::try_from(moment.as_micros()).unwrap_or(u64::MAX)
}
