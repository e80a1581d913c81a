//! The `X-Edge-ISR-Warmup` request header: proof that a request comes from our own crawler.
//!
//! The header reads `v1; exp=<seconds since 1970>; gen=<generation or "any">; mac=<signature>`. The
//! signature is HMAC-SHA-256 over the version, the expiry, the generation and the URL, in base64url,
//! so it is good for that page only, for a short time, and nobody without the key can make one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;

use crate::{Generation, PageUrl, Secret};

/// The request header that marks a warm-up.
pub const WARMUP_HEADER: HeaderName = HeaderName::from_static("x-edge-isr-warmup");

/// The request header by which an edge tells the origin which generation a render starts from. An
/// origin that binds over the HTTP API hands it back there.
pub const GENERATION_HEADER: HeaderName = HeaderName::from_static("x-edge-isr-generation");

/// The shortest signing key that is accepted, in bytes.
const SHORTEST_KEY: usize = 16;

/// Signs and verifies warm-up requests. Clones are one key: what one of them is replaced by, all are.
#[derive(Clone, Debug)]
pub struct WarmupKey {
    secret: Arc<RwLock<Secret>>,
}

/// A key that is too short to keep anybody out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the warm-up key has fewer than {SHORTEST_KEY} bytes: choose a longer one")]
pub struct WeakWarmupKey;

/// Why a warm-up header is not honoured. The request is then one like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidWarmup {
    /// The header is not of the form above.
    #[error("the warm-up header is malformed")]
    Malformed,
    /// It was good once.
    #[error("the warm-up header has expired")]
    Expired,
    /// It was signed with another key, or for another page.
    #[error("the warm-up header is signed for something else")]
    Forged,
}

/// What a verified warm-up request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmup {
    /// The least generation that the page must be rendered under.
    pub least: Option<Generation>,
}

impl WarmupKey {
    /// A key shared by whoever sends warm-up requests and whoever honours them.
    ///
    /// # Errors
    ///
    /// A key of fewer than 16 bytes is refused.
    pub fn new(secret: Secret) -> Result<Self, WeakWarmupKey> {
        Ok(Self {
            secret: Arc::new(RwLock::new(long_enough(secret)?)),
        })
    }

    /// Puts another secret in its place, as when a store that could not be reached at the start tells
    /// the one that all processes of the site share. What was signed before is not honoured any more.
    ///
    /// # Errors
    ///
    /// A key of fewer than 16 bytes is refused, and the old one stays.
    pub fn replace(&self, secret: Secret) -> Result<(), WeakWarmupKey> {
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = long_enough(secret)?;
        Ok(())
    }

    /// The header's value for one request, good until `now + valid_for`.
    #[must_use]
    pub fn sign(
        &self,
        url: &PageUrl,
        least: Option<Generation>,
        now: SystemTime,
        valid_for: Duration,
    ) -> HeaderValue {
        let expires = unix_seconds(now).saturating_add(valid_for.as_secs());
        let generation = least.map_or_else(|| "any".to_owned(), |least| least.to_string());
        let mac = self.mac(url, expires, &generation).finalize().into_bytes();
        let value = format!(
            "v1; exp={expires}; gen={generation}; mac={}",
            URL_SAFE_NO_PAD.encode(mac)
        );
        HeaderValue::try_from(value).expect("digits and base64url are visible ASCII")
    }

    /// Reads a header that came with a request for `url`.
    ///
    /// # Errors
    ///
    /// See [`InvalidWarmup`].
    pub fn verify(
        &self,
        value: &HeaderValue,
        url: &PageUrl,
        now: SystemTime,
    ) -> Result<Warmup, InvalidWarmup> {
        let (expires, generation, mac) = fields(value).ok_or(InvalidWarmup::Malformed)?;
        let mac = URL_SAFE_NO_PAD
            .decode(mac)
            .map_err(|_| InvalidWarmup::Malformed)?;
        self.mac(url, expires, generation)
            .verify_slice(&mac)
            .map_err(|_| InvalidWarmup::Forged)?;
        if unix_seconds(now) > expires {
            return Err(InvalidWarmup::Expired);
        }
        let least = match generation {
            "any" => None,
            text => Some(text.parse().map_err(|_| InvalidWarmup::Malformed)?),
        };
        Ok(Warmup { least })
    }

    fn mac(&self, url: &PageUrl, expires: u64, generation: &str) -> Hmac<Sha256> {
        let secret = self.secret.read().unwrap_or_else(PoisonError::into_inner);
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(format!("v1\n{expires}\n{generation}\n{url}").as_bytes());
        mac
    }
}

fn long_enough(secret: Secret) -> Result<Secret, WeakWarmupKey> {
    if secret.expose().len() < SHORTEST_KEY {
        Err(WeakWarmupKey)
    } else {
        Ok(secret)
    }
}

fn fields(value: &HeaderValue) -> Option<(u64, &str, &str)> {
    let mut parts = value.to_str().ok()?.split("; ");
    let version = parts.next()?;
    let expires = parts.next()?.strip_prefix("exp=")?.parse().ok()?;
    let generation = parts.next()?.strip_prefix("gen=")?;
    let mac = parts.next()?.strip_prefix("mac=")?;
    (version == "v1" && parts.next().is_none()).then_some((expires, generation, mac))
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Epoch;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const MINUTE: Duration = Duration::from_mins(1);

    fn key(secret: &str) -> WarmupKey {
        WarmupKey::new(Secret::new(secret)).unwrap()
    }

    fn page(path: &str) -> PageUrl {
        PageUrl::parse(&format!("https://example.com{path}")).unwrap()
    }

    fn generation() -> Generation {
        Generation {
            epoch: Epoch::new(7),
            number: 3,
        }
    }

    #[test]
    fn a_signed_header_is_honoured_until_it_expires() {
        let key = key("0123456789abcdef");
        for least in [None, Some(generation())] {
            let header = key.sign(&page("/a"), least, NOW, MINUTE);
            assert_eq!(
                key.verify(&header, &page("/a"), NOW + MINUTE),
                Ok(Warmup { least })
            );
            let late = NOW + MINUTE + Duration::from_secs(1);
            assert_eq!(
                key.verify(&header, &page("/a"), late),
                Err(InvalidWarmup::Expired)
            );
        }
    }

    #[test]
    fn a_header_for_another_page_or_by_another_key_is_forged() {
        let header = key("0123456789abcdef").sign(&page("/a"), None, NOW, MINUTE);
        let forged = Err(InvalidWarmup::Forged);
        assert_eq!(
            key("0123456789abcdef").verify(&header, &page("/b"), NOW),
            forged
        );
        assert_eq!(
            key("another key, as long").verify(&header, &page("/a"), NOW),
            forged
        );
    }

    #[test]
    fn a_header_cannot_be_given_more_time_or_another_generation() {
        let key = key("0123456789abcdef");
        let header = key.sign(&page("/a"), None, NOW, MINUTE);
        let text = header.to_str().unwrap();
        for changed in [
            text.replace("exp=60", "exp=61"),
            text.replace("gen=any", &format!("gen={}", generation())),
        ] {
            let changed = HeaderValue::try_from(changed).unwrap();
            assert_eq!(
                key.verify(&changed, &page("/a"), NOW),
                Err(InvalidWarmup::Forged)
            );
        }
    }

    #[test]
    fn rubbish_is_malformed() {
        let key = key("0123456789abcdef");
        for text in [
            "",
            "1",
            "v1",
            "v2; exp=1; gen=any; mac=",
            "v1; exp=x; gen=any; mac=AA",
            "v1; exp=1; gen=any; mac=!!",
        ] {
            let header = HeaderValue::from_str(text).unwrap();
            assert_eq!(
                key.verify(&header, &page("/a"), NOW),
                Err(InvalidWarmup::Malformed),
                "{text:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_are_honoured_and_none_panics(bytes in proptest::collection::vec(32_u8..=255, 0..120)) {
            if let Ok(header) = HeaderValue::from_bytes(&bytes) {
                assert!(key("0123456789abcdef").verify(&header, &page("/a"), NOW).is_err());
            }
        }

        #[test]
        fn what_is_cut_off_or_changed_is_not_honoured(at in 0_usize..400, byte in 33_u8..127) {
            let key = key("0123456789abcdef");
            let header = key.sign(&page("/a"), Some(generation()), NOW, MINUTE);
            let mut text = header.as_bytes().to_vec();
            let at = at % text.len();
            let cut = HeaderValue::from_bytes(&text[..at]).unwrap();
            assert!(key.verify(&cut, &page("/a"), NOW).is_err());
            text[at] = byte;
            let changed = HeaderValue::from_bytes(&text).unwrap();
            if changed != header {
                assert!(key.verify(&changed, &page("/a"), NOW).is_err());
            }
        }
    }

    #[test]
    fn a_short_key_is_refused() {
        assert!(WarmupKey::new(Secret::new("short")).is_err());
        let key = key("0123456789abcdef");
        let header = key.sign(&page("/a"), None, NOW, MINUTE);
        assert!(key.replace(Secret::new("short")).is_err());
        assert!(
            key.verify(&header, &page("/a"), NOW).is_ok(),
            "the old one stays"
        );
    }

    #[test]
    fn a_key_is_replaced_for_everybody_who_holds_it() {
        let (mine, theirs) = (key("0123456789abcdef"), key("another key, as long"));
        let held = mine.clone();
        mine.replace(Secret::new("another key, as long")).unwrap();
        let header = held.sign(&page("/a"), None, NOW, MINUTE);
        assert!(theirs.verify(&header, &page("/a"), NOW).is_ok());
    }
}
