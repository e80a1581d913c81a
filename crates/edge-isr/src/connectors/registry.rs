//! Which kinds of connector there are, and how each is made.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use isr_core::{CdnConnector, InvalidOption};
use serde::de::DeserializeOwned;

use super::Section;

/// Makes the connectors of one `[[connector]]`: one, or one for each machine that it names.
type Connect = dyn Fn(&Section) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> + Send + Sync;

/// A kind of connector, as `kind = "…"` names it in the configuration.
#[derive(Clone)]
pub struct ConnectorKind {
    kind: &'static str,
    secrets: &'static [&'static str],
    connect: Arc<Connect>,
}

impl ConnectorKind {
    /// A kind, and what makes its connectors of their name and their options: one, or one for each
    /// machine that the options name. It opens no connection: whether a service can be reached is not
    /// known, and not needed, when a process starts.
    #[must_use]
    pub fn new<O: DeserializeOwned>(
        kind: &'static str,
        connect: impl Fn(&str, O) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        Self {
            kind,
            secrets: &[],
            connect: Arc::new(move |section| connect(section.name(), section.options()?)),
        }
    }

    /// Names the options that must not be shown when somebody looks at the configuration.
    #[must_use]
    pub const fn with_secrets(mut self, options: &'static [&'static str]) -> Self {
        self.secrets = options;
        self
    }
}

impl fmt::Debug for ConnectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

/// The kinds of connector that a process knows.
#[derive(Clone, Debug)]
pub struct Registry(BTreeMap<&'static str, ConnectorKind>);

impl Default for Registry {
    /// See [`Registry::built_in`].
    fn default() -> Self {
        Self::built_in()
    }
}

/// Every kind that this crate can have, and the Cargo feature that has it.
const KINDS: &[(&str, &str)] = &[
    ("cloudflare", "cdn-cloudflare"),
    ("cloudfront", "cdn-cloudfront"),
    ("fastly", "cdn-fastly"),
    ("nginx", "cdn-nginx"),
    ("varnish", "cdn-varnish"),
    ("webhook", "cdn-webhook"),
];

impl Registry {
    /// No kinds at all.
    #[must_use]
    pub const fn empty() -> Self {
        Self(BTreeMap::new())
    }

    /// The kinds of this crate, as far as their Cargo features are switched on.
    #[must_use]
    pub fn built_in() -> Self {
        let registry = Self::empty();
        #[cfg(feature = "cdn-cloudflare")]
        let registry = registry.and(
            ConnectorKind::new(isr_cdn_cloudflare::KIND, isr_cdn_cloudflare::connect)
                .with_secrets(&["token"]),
        );
        #[cfg(feature = "cdn-cloudfront")]
        let registry = registry.and(
            ConnectorKind::new(isr_cdn_cloudfront::KIND, isr_cdn_cloudfront::connect)
                .with_secrets(&["access_key_id", "secret_access_key", "session_token"]),
        );
        #[cfg(feature = "cdn-fastly")]
        let registry = registry.and(
            ConnectorKind::new(isr_cdn_fastly::KIND, isr_cdn_fastly::connect)
                .with_secrets(&["token"]),
        );
        #[cfg(feature = "cdn-nginx")]
        let registry = registry.and(ConnectorKind::new(
            isr_cdn_nginx::KIND,
            isr_cdn_nginx::connect,
        ));
        #[cfg(feature = "cdn-varnish")]
        let registry = registry.and(
            ConnectorKind::new(isr_cdn_varnish::KIND, isr_cdn_varnish::connect)
                .with_secrets(&["secret"]),
        );
        #[cfg(feature = "cdn-webhook")]
        let registry = registry.and(
            ConnectorKind::new(isr_cdn_webhook::KIND, isr_cdn_webhook::connect)
                .with_secrets(&["secret", "url"]),
        );
        registry
    }

    /// The same with one kind more, or another one of its name.
    #[must_use]
    pub fn and(mut self, kind: ConnectorKind) -> Self {
        self.0.insert(kind.kind, kind);
        self
    }

    /// The names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.keys().copied()
    }

    /// Makes the connectors of one section.
    pub(crate) fn connect(
        &self,
        kind: &str,
        section: &Section,
    ) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
        match self.0.get(kind) {
            Some(known) => (known.connect)(section),
            None => Err(InvalidOption::new("kind", self.unknown(kind))),
        }
    }

    /// Whether an option must not be shown. Of a kind that is not known, none is.
    pub(crate) fn is_secret(&self, kind: &str, option: &str) -> bool {
        self.0
            .get(kind)
            .is_none_or(|kind| kind.secrets.contains(&option))
    }

    fn unknown(&self, kind: &str) -> String {
        let known: Vec<&str> = self.kinds().collect();
        if let Some((_, feature)) = KINDS.iter().find(|(left_out, _)| *left_out == kind) {
            return format!(
                "is `{kind}`, which this build leaves out: build it with the feature `{feature}`, or \
                 use one of those it has: {}",
                known.join(", ")
            );
        }
        match known.as_slice() {
            [] => format!("is `{kind}`, and this build knows no kinds of connector at all"),
            known => format!("is `{kind}`: this build knows {}", known.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use figment::value::Dict;

    use super::*;

    /// A kind without options, and of nothing.
    #[expect(clippy::unnecessary_wraps, reason = "it is what a kind has")]
    fn nothing(_: &str, _: Dict) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
        Ok(Vec::new())
    }

    #[test]
    fn every_kind_is_known_or_says_its_feature() {
        let registry = Registry::built_in();
        for (kind, feature) in KINDS {
            let known = registry.kinds().any(|known| known == *kind);
            let refused = registry.connect(kind, &section()).map(|_| ()).unwrap_err();
            let names_feature = refused.to_string().contains(feature);
            assert_ne!(known, names_feature, "{refused}");
        }
        assert!(
            registry
                .kinds()
                .all(|kind| KINDS.iter().any(|(known, _)| *known == kind))
        );
    }

    fn section() -> Section {
        Section::new("cdn".into(), Dict::new())
    }

    #[test]
    fn an_unknown_kind_is_told_what_is_known() {
        let registry = Registry::empty();
        let error = registry.connect("other", &section()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kind is `other`, and this build knows no kinds of connector at all"
        );
        let registry = registry
            .and(ConnectorKind::new("one", nothing))
            .and(ConnectorKind::new("another", nothing));
        let error = registry.connect("other", &section()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "kind is `other`: this build knows another, one"
        );
        assert!(registry.connect("one", &section()).unwrap().is_empty());
    }

    #[test]
    fn options_of_unknown_kinds_are_secret() {
        let kind = ConnectorKind::new("one", nothing).with_secrets(&["token"]);
        let registry = Registry::empty().and(kind);
        assert!(registry.is_secret("one", "token") && !registry.is_secret("one", "zone"));
        assert!(registry.is_secret("other", "zone"));
    }
}
