//! A process without a TLS provider is told so. Nothing else may be tested here: the provider is
//! the whole process's.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;

use isr_core::NoRecorder;
use isr_warm::{Crawler, CrawlerError};
use support::clock::SkippingClock;
use support::{key, options};

#[test]
fn without_a_tls_provider_there_is_no_crawler() {
    let clock = Arc::new(SkippingClock::default());
    let refusal = Crawler::new(options(), key(), clock, Arc::new(NoRecorder)).unwrap_err();
    assert!(matches!(refusal, CrawlerError::NoTlsProvider), "{refusal}");
}
