//! What one response may be kept for, as its headers will say.

use std::time::Duration;

/// What one response may be kept for: a policy's lifetimes less the time already spent, or none.
///
/// Written into headers by a [`Dialect`](crate::Dialect).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetimes(Scope);

/// Who may keep a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Scope {
    /// Shared caches, for so many seconds; `s_maxage` is not 0.
    Shared {
        s_maxage: u32,
        stale_while_revalidate: u32,
        stale_if_error: u32,
        browser_max_age: Option<u32>,
    },
    /// No shared cache; browsers, if they validate it before each use.
    Unshared,
    /// Nobody.
    NoStore,
}

impl Lifetimes {
    /// For a response made from data that has been invalidated since it was read: it leaves as
    /// `no-store`, so that no tier keeps it.
    #[must_use]
    pub const fn superseded() -> Self {
        Self(Scope::NoStore)
    }

    /// For a response that this visitor may see but no shared cache may keep, such as one served
    /// stale: browsers may store it and validate it before each use.
    #[must_use]
    pub const fn unshared() -> Self {
        Self(Scope::Unshared)
    }

    pub(crate) const fn shared(
        s_maxage: u32,
        stale_while_revalidate: u32,
        stale_if_error: u32,
        browser_max_age: Option<u32>,
    ) -> Self {
        let scope = Scope::Shared {
            s_maxage,
            stale_while_revalidate,
            stale_if_error,
            browser_max_age,
        };
        Self(scope)
    }

    pub(crate) const fn scope(&self) -> Scope {
        self.0
    }

    /// Whether a shared cache may keep the response.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        matches!(self.0, Scope::Shared { .. })
    }

    /// How long shared caches hold it fresh, if they may keep it.
    #[must_use]
    pub fn s_maxage(&self) -> Option<Duration> {
        match self.0 {
            Scope::Shared { s_maxage, .. } => Some(Duration::from_secs(s_maxage.into())),
            Scope::Unshared | Scope::NoStore => None,
        }
    }

    /// The longest that a shared cache may keep it, fresh or stale; zero when it may not.
    #[must_use]
    pub fn shared_lifetime(&self) -> Duration {
        match self.0 {
            Scope::Shared {
                s_maxage,
                stale_while_revalidate,
                stale_if_error,
                ..
            } => {
                let stale = stale_while_revalidate.max(stale_if_error);
                Duration::from_secs(u64::from(s_maxage) + u64::from(stale))
            }
            Scope::Unshared | Scope::NoStore => Duration::ZERO,
        }
    }

    /// These lifetimes, none of them longer than `limit`, cut to whole seconds: what a page is sent
    /// with while the graph cannot be asked. A limit below one second makes it unshared.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> Self {
        let limit = whole_seconds(limit).unwrap_or(u32::MAX);
        match self.0 {
            Scope::Shared { .. } if limit == 0 => Self::unshared(),
            Scope::Shared {
                s_maxage,
                stale_while_revalidate,
                stale_if_error,
                browser_max_age,
            } => Self::shared(
                s_maxage.min(limit),
                stale_while_revalidate.min(limit),
                stale_if_error.min(limit),
                browser_max_age.map(|max_age| max_age.min(limit)),
            ),
            Scope::Unshared | Scope::NoStore => *self,
        }
    }
}

/// The whole seconds of a duration, when a header can carry them.
pub(crate) fn whole_seconds(duration: Duration) -> Option<u32> {
    u32::try_from(duration.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_lifetimes_let_a_tier_keep_a_response() {
        let shared = Lifetimes::shared(10, 5, 20, None);
        assert_eq!(shared.s_maxage(), Some(Duration::from_secs(10)));
        assert_eq!(shared.shared_lifetime(), Duration::from_secs(30));
        for none in [Lifetimes::superseded(), Lifetimes::unshared()] {
            assert!(!none.is_shared());
            assert_eq!(
                (none.s_maxage(), none.shared_lifetime()),
                (None, Duration::ZERO)
            );
        }
    }

    #[test]
    fn a_limit_shortens_and_never_lengthens() {
        let shared = Lifetimes::shared(10, 5, 20, Some(8));
        assert_eq!(
            shared.at_most(Duration::from_secs(7)),
            Lifetimes::shared(7, 5, 7, Some(7))
        );
        assert_eq!(shared.at_most(Duration::MAX), shared);
        assert_eq!(
            shared.at_most(Duration::from_millis(999)),
            Lifetimes::unshared()
        );
        assert_eq!(
            Lifetimes::superseded().at_most(Duration::MAX),
            Lifetimes::superseded()
        );
    }
}
