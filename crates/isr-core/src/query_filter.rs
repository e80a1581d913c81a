//! Which parameters of a query make a page.

use crate::page_url::UrlFault;
use crate::url_canonical::{Buffer, push_parameter_name, text};

/// Which parameters of a query make a page; the others are dropped from its URL.
///
/// The default drops what advertising and mail campaigns add to links to follow visitors, and keeps
/// everything else: see [`QueryFilter::TRACKING`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryFilter {
    /// Keeps the named parameters and drops every other.
    Allow(ParameterNames),
    /// Drops the named parameters and keeps every other.
    Deny(ParameterNames),
    /// Keeps every parameter.
    KeepAll,
    /// Drops the whole query.
    DropAll,
}

impl QueryFilter {
    /// The parameters that [`QueryFilter::default`] drops: those of Google Analytics and Ads
    /// (`utm_*`, `_ga`, `_gl`, `gclid`, `gclsrc`, `dclid`, `gbraid`, `wbraid`), Meta (`fbclid`,
    /// `igshid`, `igsh`), Microsoft (`msclkid`), Mailchimp (`mc_cid`, `mc_eid`), Yandex (`yclid`),
    /// `TikTok` (`ttclid`), X (`twclid`), `LinkedIn` (`li_fat_id`), Pinterest (`epik`) and `HubSpot`
    /// (`_hsenc`, `_hsmi`). Scripts in the page read them; an origin has no use for them.
    pub const TRACKING: &[&str] = &[
        "_ga",
        "_gl",
        "_hsenc",
        "_hsmi",
        "dclid",
        "epik",
        "fbclid",
        "gbraid",
        "gclid",
        "gclsrc",
        "igsh",
        "igshid",
        "li_fat_id",
        "mc_cid",
        "mc_eid",
        "msclkid",
        "ttclid",
        "twclid",
        "utm_*",
        "wbraid",
        "yclid",
    ];

    /// Keeps the named parameters only; see [`ParameterNames::new`].
    ///
    /// # Errors
    ///
    /// As [`ParameterNames::new`].
    pub fn allow<S: AsRef<str>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidParameterName> {
        ParameterNames::new(names).map(Self::Allow)
    }

    /// Drops the named parameters only; see [`ParameterNames::new`].
    ///
    /// # Errors
    ///
    /// As [`ParameterNames::new`].
    pub fn deny<S: AsRef<str>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidParameterName> {
        ParameterNames::new(names).map(Self::Deny)
    }

    /// Whether a parameter of this name, in canonical spelling, is kept.
    pub(crate) fn keeps(&self, name: &str) -> bool {
        match self {
            Self::Allow(names) => names.contain(name),
            Self::Deny(names) => !names.contain(name),
            Self::KeepAll => true,
            Self::DropAll => false,
        }
    }
}

impl Default for QueryFilter {
    fn default() -> Self {
        Self::deny(Self::TRACKING).expect("the list above is well formed")
    }
}

/// A list of parameter names, each whole or, with a trailing `*`, a beginning: `utm_*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterNames {
    /// Whole names, sorted.
    whole: Vec<String>,
    beginnings: Vec<String>,
}

/// An entry of a list of parameter names that cannot match what its writer meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "query parameter `{name}` cannot be matched: write a name, without & and =, or the beginning of \
     one with a single * after it"
)]
pub struct InvalidParameterName {
    name: String,
}

impl ParameterNames {
    /// A list of names. They are compared byte by byte with percent-encoding in normal form, so
    /// `filter[x]` also matches `filter%5Bx%5D`; upper and lower case differ.
    ///
    /// # Errors
    ///
    /// Refused are empty names, a `*` elsewhere than at the end, `&`, `=`, control characters and
    /// broken percent-encoding.
    pub fn new<S: AsRef<str>>(
        names: impl IntoIterator<Item = S>,
    ) -> Result<Self, InvalidParameterName> {
        let mut list = Self::default();
        for entry in names {
            let entry = entry.as_ref();
            let invalid = || InvalidParameterName {
                name: crate::excerpt::excerpt(entry),
            };
            if entry.is_empty() || entry.contains(['&', '=']) {
                return Err(invalid());
            }
            let text = entry.strip_suffix('*').unwrap_or(entry);
            if text.contains('*') {
                return Err(invalid());
            }
            let into = if text.len() < entry.len() {
                &mut list.beginnings
            } else {
                &mut list.whole
            };
            into.push(canonical(text).map_err(|_| invalid())?);
        }
        list.whole.sort_unstable();
        list.whole.dedup();
        Ok(list)
    }

    fn contain(&self, name: &str) -> bool {
        self.whole
            .binary_search_by(|whole| whole.as_str().cmp(name))
            .is_ok()
            || self
                .beginnings
                .iter()
                .any(|beginning| name.starts_with(beginning.as_str()))
    }
}

fn canonical(name: &str) -> Result<String, UrlFault> {
    let mut out = Buffer::new();
    push_parameter_name(&mut out, name)?;
    Ok(text(&out).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_whole_or_by_their_beginning() {
        let names = ParameterNames::new(["page", "utm_*", "filter[x]", "caf\u{e9}"]).unwrap();
        for name in ["page", "utm_", "utm_source", "filter%5Bx%5D", "caf%C3%A9"] {
            assert!(names.contain(name), "{name}");
        }
        for name in ["pages", "pag", "Page", "utm", "xutm_", "", "filter"] {
            assert!(!names.contain(name), "{name}");
        }
    }

    #[test]
    fn a_star_alone_matches_every_name() {
        assert!(ParameterNames::new(["*"]).unwrap().contain("anything"));
    }

    #[test]
    fn entries_that_cannot_match_are_refused() {
        for entry in [
            "",
            "a*b",
            "**",
            "a&b",
            "a=1",
            "%zz",
            "a\nb",
            "\u{e9}*\u{e9}",
        ] {
            assert!(ParameterNames::new([entry]).is_err(), "{entry:?}");
        }
    }

    #[test]
    fn the_default_drops_what_follows_visitors() {
        let filter = QueryFilter::default();
        assert!(!filter.keeps("utm_campaign") && !filter.keeps("gclid"));
        assert!(filter.keeps("page") && filter.keeps("q") && filter.keeps("utmost"));
    }
}
