//! Why something could not be started or asked for.

use isr_core::{BoxError, InvalidOption, InvalidTargets, StoreError};
use isr_edge::InvalidOrigin;
use isr_warm::CrawlerError;

/// Why a process cannot take part, whatever it waits for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store's options are of no use.
    #[error("the store cannot be used: see [store] in the configuration")]
    Store(#[source] BoxError),
    /// This build leaves the store out.
    #[error(
        "this build has no {kind} store: build it with the feature `{kind}`, or choose another store.kind"
    )]
    NotBuiltIn {
        /// The value of `store.kind`.
        kind: &'static str,
    },
    /// The crawler could not be made.
    #[error("the crawler cannot be made: see [warm] in the configuration")]
    Crawler(#[from] CrawlerError),
    /// A connector is of no use.
    #[error("the connector `{name}` cannot be used: see [[connector]] in the configuration")]
    Connector {
        /// Its name.
        name: String,
        /// Which of its options, and what is wrong with it.
        #[source]
        source: InvalidOption,
    },
    /// Two tiers have the same name, so nobody could tell them apart on receipts.
    #[error("two tiers are called `{name}`: give each connector a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// No origin is configured.
    #[error("there is no origin to fetch pages from: set site.origin")]
    NoOrigin,
    /// The origin is of no use.
    #[error(
        "the origin cannot be used: see site.origin and edge.origin_ca_file in the configuration"
    )]
    Origin(#[from] InvalidOrigin),
    /// A rule is of no use.
    #[error("the rule for {path} cannot be used: see [[rule]] in the configuration")]
    Rule {
        /// The rule's path.
        path: String,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
}

/// Why a revalidation was not accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevalidateError {
    /// There is nothing to revalidate.
    #[error(transparent)]
    Targets(#[from] InvalidTargets),
    /// The store failed; asking again is safe.
    #[error("the revalidation could not be stored")]
    Store(#[from] StoreError),
}
