//! One request for one page.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use isr_core::{Clock, PageUrl, SiteOrigin, WARMUP_HEADER, WarmFailure, WarmRequest, WarmupKey};
use reqwest::{Client, Response, Url};

use crate::options::CrawlerOptions;
use crate::verdict::Answer;

/// What the requests are sent as.
const USER_AGENT: &str = concat!("edge-isr-warm/", env!("CARGO_PKG_VERSION"));

/// What browsers ask for when a page is opened; where responses vary on it, theirs is warmed.
const ACCEPT: HeaderValue =
    HeaderValue::from_static("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

/// By which whoever is in front of a plain-text server tells it what the visitor speaks.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// How long a signature is good for: longer than any request waits on its way, and shorter than
/// anything that would be worth a replay.
const SIGNATURE_LASTS: Duration = Duration::from_mins(5);

/// Whoever is asked for pages: a [`Fetcher`], and in simulations a script.
#[async_trait]
pub(crate) trait Fetch: fmt::Debug + Send + Sync {
    /// Asks once. Dropping the future closes the connection.
    async fn fetch(&self, address: &Address, page: &WarmRequest) -> Answer;
}

/// Sends requests and drains responses.
#[derive(Debug)]
pub(crate) struct Fetcher {
    client: Client,
    key: WarmupKey,
    clock: Arc<dyn Clock>,
    largest_body: u64,
}

/// Where a request goes, and for what.
#[derive(Debug)]
pub(crate) struct Address {
    /// Scheme, host and port that are contacted.
    pub(crate) origin: String,
    url: Url,
    /// The page's host and scheme, when somebody else than that host is contacted.
    on_behalf_of: Option<(HeaderValue, HeaderValue)>,
}

impl Fetcher {
    /// A client that follows no redirect, keeps no cookie, decodes nothing, uses no proxy, and
    /// leaves every retry to the crawler.
    pub(crate) fn new(
        options: &CrawlerOptions,
        key: WarmupKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let accept_encoding = HeaderValue::from_str(&options.accept_encoding)
            .expect("checked options hold a valid field value");
        let fields = [
            (header::ACCEPT, ACCEPT),
            (header::ACCEPT_ENCODING, accept_encoding),
        ];
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .default_headers(HeaderMap::from_iter(fields))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(options.connect_timeout)
            .timeout(options.page_timeout)
            .pool_max_idle_per_host(options.concurrency)
            .build()?;
        Ok(Self {
            client,
            key,
            clock,
            largest_body: options.largest_body,
        })
    }

    /// Reads a body to its end and keeps none of it.
    async fn drain(&self, mut response: Response) -> Result<(), Answer> {
        let mut read = 0_u64;
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            read += chunk.len() as u64;
            if read > self.largest_body {
                return Err(Answer::TooLarge {
                    limit: self.largest_body,
                });
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Fetch for Fetcher {
    async fn fetch(&self, address: &Address, page: &WarmRequest) -> Answer {
        let now = self.clock.time_of_day();
        let signature = self.key.sign(&page.url, page.least, now, SIGNATURE_LASTS);
        let mut request = self
            .client
            .get(address.url.clone())
            .header(WARMUP_HEADER, signature);
        if let Some((host, scheme)) = &address.on_behalf_of {
            request = request
                .header(header::HOST, host)
                .header(FORWARDED_PROTO, scheme);
        }
        let began = self.clock.now();
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return broken(error),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let drained = self.drain(response).await;
        // An error's body is drained for the connection's sake; its status says all there is to know.
        match drained {
            Err(answer) if status.is_success() => answer,
            _ => Answer::Response {
                status,
                headers,
                took: self.clock.now().saturating_sub(began),
            },
        }
    }
}

impl Address {
    /// Where to ask for a page. The error says, in words, why it may not be asked for.
    pub(crate) fn of(page: &WarmRequest, allowed: &[SiteOrigin]) -> Result<Self, String> {
        let url = &page.url;
        if !allowed.iter().any(|site| site.as_str() == url.origin()) {
            return Err(format!(
                "{} is not one of the configured sites",
                url.origin()
            ));
        }
        let Some(via) = &page.via else {
            return Self::new(url.origin().to_owned(), url, None);
        };
        let edge = SiteOrigin::parse(via)
            .ok()
            .filter(|edge| edge.scheme() == "http");
        let edge = edge.ok_or_else(|| format!("`{via}` is no address: use http://host:port"))?;
        let field = |text| HeaderValue::from_str(text).expect("a canonical URL is visible ASCII");
        let on_behalf_of = (field(url.host()), field(url.scheme()));
        Self::new(edge.as_str().to_owned(), url, Some(on_behalf_of))
    }

    fn new(
        origin: String,
        page: &PageUrl,
        on_behalf_of: Option<(HeaderValue, HeaderValue)>,
    ) -> Result<Self, String> {
        let text = format!("{origin}{}", page.path_and_query());
        match Url::parse(&text) {
            Ok(url) if url.as_str() == text => Ok(Self {
                origin,
                url,
                on_behalf_of,
            }),
            // The client would ask for another page than the one that the signature is for.
            _ => Err(format!("{page} cannot be requested as it is spelled")),
        }
    }
}

fn broken(error: reqwest::Error) -> Answer {
    let reason = if error.is_connect() {
        WarmFailure::Connect
    } else if error.is_timeout() {
        WarmFailure::Timeout
    } else {
        WarmFailure::Body
    };
    // The page is named next to the outcome already.
    Answer::Broken {
        reason,
        detail: in_words(&error.without_url()),
    }
}

/// An error and everything beneath it.
fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(": ");
        words.push_str(&cause.to_string());
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(url: &str, via: Option<&str>) -> Result<Address, String> {
        let allowed = ["https://example.com", "http://example.com:8080"];
        let allowed = allowed.map(|origin| SiteOrigin::parse(origin).unwrap());
        let url = PageUrl::parse(url).unwrap();
        Address::of(
            &WarmRequest {
                url,
                via: via.map(str::to_owned),
                least: None,
            },
            &allowed,
        )
    }

    #[test]
    fn a_page_is_asked_for_where_its_host_is_or_where_it_is_said_to_be() {
        let cases = [
            (
                "https://example.com/a?b=1",
                None,
                "https://example.com",
                "https://example.com/a?b=1",
            ),
            (
                "http://example.com:8080/",
                None,
                "http://example.com:8080",
                "http://example.com:8080/",
            ),
            (
                "https://example.com/a",
                Some("http://127.0.0.1:80"),
                "http://127.0.0.1",
                "http://127.0.0.1/a",
            ),
            (
                "https://example.com/",
                Some("http://[::1]:1/"),
                "http://[::1]:1",
                "http://[::1]:1/",
            ),
        ];
        for (url, via, origin, asked) in cases {
            let address = address(url, via).unwrap();
            assert_eq!(
                (address.origin.as_str(), address.url.as_str()),
                (origin, asked)
            );
            assert_eq!(address.on_behalf_of.is_some(), via.is_some());
        }
    }

    #[test]
    fn what_is_not_configured_is_not_asked_for() {
        let others = [
            "http://example.com/",
            "https://example.com:8443/",
            "https://www.example.com/",
            "https://example.com.evil.test/",
            "https://example.co/",
        ];
        for url in others {
            assert!(
                address(url, None)
                    .unwrap_err()
                    .ends_with("configured sites"),
                "{url}"
            );
        }
    }

    #[test]
    fn a_place_that_is_no_address_is_refused() {
        let places = [
            "",
            "127.0.0.1:1",
            "https://127.0.0.1:1",
            "http://127.0.0.1/path",
            "http://a@b",
        ];
        for via in places {
            let refusal = address("https://example.com/", Some(via)).unwrap_err();
            assert!(refusal.ends_with("use http://host:port"), "{refusal}");
        }
    }

    #[test]
    fn an_apostrophe_is_sent_as_browsers_send_it() {
        let address = address("https://example.com/it's?q=it's", None).unwrap();
        assert_eq!(address.url.as_str(), "https://example.com/it's?q=it%27s");
    }

    proptest! {
        /// The signature is bound to the page's URL, so that another spelling would be nobody's.
        #[test]
        fn every_page_is_asked_for_as_it_is_spelled(rest in "[ -~\u{e9}\u{4e2d}]{0,40}") {
            let text = format!("https://example.com/{rest}");
            if let Ok(page) = PageUrl::parse(&text) {
                let asked = address(&text, None).map(|address| String::from(address.url));
                prop_assert_eq!(asked, Ok(page.to_string()));
            }
        }
    }
}
