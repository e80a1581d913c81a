//! What can be chosen about the crawler.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderValue;
use isr_core::SiteOrigin;

/// What can be chosen about a [`Crawler`](crate::Crawler). What is out of range is refused when the
/// crawler is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrawlerOptions {
    /// The sites whose pages may be warmed. Nothing else is ever asked for. Default: none.
    pub allowed: Vec<SiteOrigin>,
    /// Requests to one origin that run at once, at most. 1 to 256. Default: 8.
    pub concurrency: usize,
    /// Whether how an origin fares decides how many of those it gets: as few as one when more would
    /// slow it down or it refuses, and, while it is out of order, one now and then, at least every
    /// `longest_backoff`. Default: true.
    pub adaptive: bool,
    /// Requests to one origin that begin in a second, after the burst; `None` for as many as there
    /// are. 1 to 10 000. Default: 50.
    pub rate: Option<u32>,
    /// Requests to one origin that may begin at once after a rest. 1 to 1000. Default: 10.
    pub burst: u32,
    /// Time for a connection to be made. 10 ms to 1 min. Default: 3 s.
    pub connect_timeout: Duration,
    /// Time for one attempt at a page, from connecting to the last byte. 10 ms to 10 min. Default: 10 s.
    pub page_timeout: Duration,
    /// Requests for a page before it is given up on, the first one included. 1 to 10. Default: 3.
    pub attempts: u32,
    /// The longest delay before the second attempt; it doubles for each one after that. The delay
    /// itself is random, from zero up. 1 ms to 1 min. Default: 250 ms.
    pub backoff: Duration,
    /// What the delay before an attempt never exceeds, nor the time between two probes of an origin
    /// that is out of order. 1 ms to 10 min. Default: 10 s.
    pub longest_backoff: Duration,
    /// What a `Retry-After` is cut to. 0 to 1 h. Default: 30 s.
    pub longest_retry_after: Duration,
    /// Bytes of a response's body, as they are sent, beyond which the page is given up on. 1 KiB to
    /// 1 TiB. Default: 64 MiB.
    pub largest_body: u64,
    /// The `Accept-Encoding` field of the requests. Where responses vary on it, it decides which
    /// variant is warmed. Visible ASCII. Default: `gzip, deflate, br, zstd`, as browsers send it.
    pub accept_encoding: String,
}

impl Default for CrawlerOptions {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            concurrency: 8,
            adaptive: true,
            rate: Some(50),
            burst: 10,
            connect_timeout: Duration::from_secs(3),
            page_timeout: Duration::from_secs(10),
            attempts: 3,
            backoff: Duration::from_millis(250),
            longest_backoff: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(30),
            largest_body: 64 << 20,
            accept_encoding: "gzip, deflate, br, zstd".to_owned(),
        }
    }
}

/// An option that the crawler cannot work with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("crawler option `{option}` is {given}: use {expected}")]
pub struct InvalidOption {
    /// The field of [`CrawlerOptions`].
    pub option: &'static str,
    given: String,
    expected: String,
}

impl CrawlerOptions {
    /// Whether every option is in its range.
    ///
    /// # Errors
    ///
    /// Names the first one that is not.
    pub fn check(&self) -> Result<(), InvalidOption> {
        const MINUTE: Duration = Duration::from_mins(1);
        const MS: Duration = Duration::from_millis(1);
        within("concurrency", &self.concurrency, 1..=256)?;
        within("rate", &self.rate.unwrap_or(1), 1..=10_000)?;
        within("burst", &self.burst, 1..=1000)?;
        within("connect_timeout", &self.connect_timeout, 10 * MS..=MINUTE)?;
        within("page_timeout", &self.page_timeout, 10 * MS..=10 * MINUTE)?;
        within("attempts", &self.attempts, 1..=10)?;
        within("backoff", &self.backoff, MS..=MINUTE)?;
        within("longest_backoff", &self.longest_backoff, MS..=10 * MINUTE)?;
        within(
            "longest_retry_after",
            &self.longest_retry_after,
            Duration::ZERO..=60 * MINUTE,
        )?;
        within("largest_body", &self.largest_body, 1 << 10..=1 << 40)?;
        match HeaderValue::from_str(&self.accept_encoding) {
            Ok(_) => Ok(()),
            Err(_) => Err(InvalidOption {
                option: "accept_encoding",
                given: format!("{:?}", self.accept_encoding),
                expected: "visible ASCII".to_owned(),
            }),
        }
    }
}

fn within<T: PartialOrd + fmt::Debug>(
    option: &'static str,
    value: &T,
    range: RangeInclusive<T>,
) -> Result<(), InvalidOption> {
    if range.contains(value) {
        return Ok(());
    }
    let expected = format!("{:?} to {:?}", range.start(), range.end());
    Err(InvalidOption {
        option,
        given: format!("{value:?}"),
        expected,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_in_range() {
        assert_eq!(CrawlerOptions::default().check(), Ok(()));
    }

    #[test]
    fn an_unlimited_rate_is_in_range() {
        assert_eq!(
            CrawlerOptions {
                rate: None,
                ..CrawlerOptions::default()
            }
            .check(),
            Ok(())
        );
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        type Spoil = fn(&mut CrawlerOptions);
        let hour = Duration::from_secs(3601);
        let cases: [(&str, Spoil, Spoil); 10] = [
            (
                "concurrency",
                |o| o.concurrency = 0,
                |o| o.concurrency = 257,
            ),
            ("rate", |o| o.rate = Some(0), |o| o.rate = Some(10_001)),
            ("burst", |o| o.burst = 0, |o| o.burst = 1001),
            (
                "connect_timeout",
                |o| o.connect_timeout = Duration::ZERO,
                |o| o.connect_timeout *= 21,
            ),
            (
                "page_timeout",
                |o| o.page_timeout = Duration::ZERO,
                |o| o.page_timeout *= 61,
            ),
            ("attempts", |o| o.attempts = 0, |o| o.attempts = 11),
            (
                "backoff",
                |o| o.backoff = Duration::ZERO,
                |o| o.backoff *= 241,
            ),
            (
                "longest_backoff",
                |o| o.longest_backoff = Duration::ZERO,
                |o| o.longest_backoff *= 61,
            ),
            (
                "largest_body",
                |o| o.largest_body = 1023,
                |o| o.largest_body = (1 << 40) + 1,
            ),
            (
                "accept_encoding",
                |o| o.accept_encoding.push('\n'),
                |o| o.accept_encoding.push('\0'),
            ),
        ];
        for (name, too_little, too_much) in cases {
            for spoil in [too_little, too_much] {
                let mut options = CrawlerOptions::default();
                spoil(&mut options);
                assert_eq!(options.check().unwrap_err().option, name);
            }
        }
        let options = CrawlerOptions {
            longest_retry_after: hour,
            ..CrawlerOptions::default()
        };
        let refusal = options.check().unwrap_err().to_string();
        assert_eq!(
            refusal,
            "crawler option `longest_retry_after` is 3601s: use 0ns to 3600s"
        );
    }
}
