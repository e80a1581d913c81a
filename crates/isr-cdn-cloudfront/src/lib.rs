//! Purges Amazon CloudFront by its `CreateInvalidation` call, through the AWS SDK.
//!
//! A purge is done when `GetInvalidation` says so: every edge location has dropped its copies by then.
//! That can be observed, so whatever has to come after a purge is done after it and not before.
//! CloudFront bills every path beyond the first thousand of a month, counts a tag and a wildcard as one
//! path each, and takes a limited number of both at a time: the connector keeps account of what is in
//! progress and makes no call that CloudFront would turn away.

mod answer;
mod capabilities;
mod check;
mod connector;
mod in_progress;
mod options;
mod request;
mod service;

use std::sync::Arc;

use isr_core::{CdnConnector, InvalidOption};

pub use self::connector::CloudFrontConnector;
pub use self::options::Options;

/// The name of this kind of connector in the configuration.
pub const KIND: &str = "cloudfront";

/// The connector to one distribution, or to one distribution tenant. Nothing is read and nobody is
/// called before it is used.
///
/// # Errors
///
/// When an option cannot be used.
pub fn connect(name: &str, options: Options) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    let connector = CloudFrontConnector::new(name, options)?;
    Ok(vec![Arc::new(connector)])
}
