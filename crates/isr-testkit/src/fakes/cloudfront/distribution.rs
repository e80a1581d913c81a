//! What CloudFront takes and what it turns away.

use super::xml::Batch;
use crate::fakes::TokenBucket;

/// Paths without a wildcard, and tags, that may be in progress at once.
const PATHS_IN_PROGRESS: usize = 3_000;
/// Paths with a wildcard that may be.
const WILDCARDS_IN_PROGRESS: usize = 15;
/// The longest path, and the longest tag behind its `#`.
const LONGEST_PATH: usize = 4_000;
const LONGEST_TAG: usize = 256;

/// What RFC 1738 §2.2 calls unsafe, the percent sign aside, which has to stand before two digits.
const UNSAFE: &[u8] = b" <>\"#{}|\\^~[]`";

/// A distribution, who may call it, and its invalidations.
#[derive(Debug)]
pub struct Distribution {
    /// Its ID.
    pub id: String,
    /// The ID of its one tenant, if it has tenants.
    pub tenant: Option<String>,
    /// The field in which it looks for tags.
    pub tag_header: Option<String>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// The ID of the access key that calls have to be signed with.
    pub access_key_id: String,
    /// What that key is not allowed, as actions without `cloudfront:`.
    pub denied: Vec<&'static str>,
    /// How often an invalidation is looked at before it is complete.
    pub looks_until_complete: u32,
    /// How many invalidations may be created at a time, where that is limited.
    pub rate: Option<TokenBucket>,
    invalidations: Vec<Invalidation>,
}

/// One invalidation.
#[derive(Clone, Debug)]
pub(super) struct Invalidation {
    pub(super) id: String,
    pub(super) batch: Batch,
    looks_left: u32,
}

impl Invalidation {
    pub(super) const fn is_complete(&self) -> bool {
        self.looks_left == 0
    }
}

/// How CloudFront says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: &'static str,
}

impl Refusal {
    const fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message,
        }
    }

    pub(super) const NO_SUCH_ADDRESS: Self = Self::new(
        404,
        "UnknownOperationException",
        "There is no such operation.",
    );
    const NOT_SIGNED: Self = Self::new(
        403,
        "MissingAuthenticationToken",
        "Request is missing Authentication Token",
    );
    const UNKNOWN_KEY: Self = Self::new(
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    );
    const DENIED: Self = Self::new(403, "AccessDenied", "Access denied.");
    const NO_DISTRIBUTION: Self = Self::new(
        404,
        "NoSuchDistribution",
        "The specified distribution does not exist.",
    );
    const NO_TENANT: Self = Self::new(
        404,
        "EntityNotFound",
        "The specified entity does not exist.",
    );
    const NO_INVALIDATION: Self = Self::new(
        404,
        "NoSuchInvalidation",
        "The specified invalidation does not exist.",
    );
    pub(super) const NO_BODY: Self = Self::new(400, "MissingBody", "The body is missing.");
    pub(super) const MALFORMED: Self = Self::new(
        400,
        "MalformedInput",
        "The XML is not as the schema has it.",
    );
    const QUANTITIES: Self = Self::new(
        400,
        "InconsistentQuantities",
        "The value of Quantity and the size of Items don't match.",
    );
    const PATHS: Self = Self::new(
        400,
        "InvalidArgument",
        "Your request contains one or more invalid invalidation paths.",
    );
    const REFERENCE: Self = Self::new(
        400,
        "InvalidArgument",
        "Your request contains a caller reference that was used for a previous invalidation batch for the \
         same distribution.",
    );
    const TOO_LARGE: Self = Self::new(413, "BatchTooLarge", "The batch is too large.");
    const BUSY: Self = Self::new(
        400,
        "TooManyInvalidationsInProgress",
        "Processing your request will cause you to exceed the maximum number of in-progress invalidations.",
    );
    const BUSY_WITH_WILDCARDS: Self = Self::new(
        400,
        "TooManyInvalidationsInProgress",
        "Processing your request will cause you to exceed the maximum number of in-progress wildcard \
         invalidations.",
    );
    const THROTTLED: Self = Self::new(400, "Throttling", "Rate exceeded");
}

impl Distribution {
    /// A distribution that looks for no tags, called as often as one likes by the access key `AKIDTEST`,
    /// whose invalidations are complete at the second look.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            tenant: None,
            tag_header: None,
            enabled: true,
            access_key_id: "AKIDTEST".to_owned(),
            denied: Vec::new(),
            looks_until_complete: 2,
            rate: None,
            invalidations: Vec::new(),
        }
    }

    /// The caller references of all invalidations, in order.
    #[must_use]
    pub fn references(&self) -> Vec<String> {
        let references = self.invalidations.iter().map(|one| &one.batch.reference);
        references.cloned().collect()
    }

    /// The form of a signature and whose it is; whether it is right is not looked at.
    pub(super) fn signed(
        &self,
        authorization: Option<&str>,
        date: Option<&str>,
    ) -> Result<(), Refusal> {
        let (Some(authorization), Some(date)) = (authorization, date) else {
            return Err(Refusal::NOT_SIGNED);
        };
        let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=");
        let parts: Vec<&str> = parts.ok_or(Refusal::NOT_SIGNED)?.split(", ").collect();
        let [credential, fields, signature] = parts.as_slice() else {
            return Err(Refusal::NOT_SIGNED);
        };
        let day = date.get(..8).ok_or(Refusal::NOT_SIGNED)?;
        let signs = fields.strip_prefix("SignedHeaders=").is_some_and(|fields| {
            ["host", "x-amz-date"]
                .iter()
                .all(|one| fields.contains(one))
        });
        let signature = signature.strip_prefix("Signature=").unwrap_or_default();
        let is_digest = signature.len() == 64 && signature.bytes().all(|b| b.is_ascii_hexdigit());
        let (key, scope) = credential.split_once('/').unwrap_or_default();
        if !signs || !is_digest || scope != format!("{day}/us-east-1/cloudfront/aws4_request") {
            return Err(Refusal::NOT_SIGNED);
        }
        ensure(key == self.access_key_id, Refusal::UNKNOWN_KEY)
    }

    pub(super) fn allows(&self, action: &str) -> Result<(), Refusal> {
        ensure(!self.denied.contains(&action), Refusal::DENIED)
    }

    pub(super) fn has(&self, kind: &str, id: &str) -> Result<(), Refusal> {
        match kind {
            "distribution" => ensure(id == self.id, Refusal::NO_DISTRIBUTION),
            "distribution-tenant" => ensure(self.tenant.as_deref() == Some(id), Refusal::NO_TENANT),
            _ => Err(Refusal::NO_SUCH_ADDRESS),
        }
    }

    pub(super) fn invalidate(&mut self, batch: Batch) -> Result<Invalidation, Refusal> {
        let throttled = self.rate.as_ref().is_some_and(|rate| rate.take(1).is_err());
        ensure(!throttled, Refusal::THROTTLED)?;
        ensure(batch.quantity == batch.items.len(), Refusal::QUANTITIES)?;
        let well_formed = !batch.items.is_empty() && batch.items.iter().all(|item| is_item(item));
        ensure(well_formed, Refusal::PATHS)?;
        ensure(batch.items.len() <= PATHS_IN_PROGRESS, Refusal::TOO_LARGE)?;
        if let Some(before) = self.of_reference(&batch.reference) {
            let same = before.batch.items == batch.items;
            return same.then(|| before.clone()).ok_or(Refusal::REFERENCE);
        }
        let (paths, wildcards) = self.in_progress();
        let new_wildcards = wildcards_of(&batch);
        let all_wildcards = wildcards + new_wildcards;
        ensure(
            all_wildcards <= WILDCARDS_IN_PROGRESS,
            Refusal::BUSY_WITH_WILDCARDS,
        )?;
        let all_paths = paths + batch.items.len() - new_wildcards;
        ensure(all_paths <= PATHS_IN_PROGRESS, Refusal::BUSY)?;
        let invalidation = Invalidation {
            id: format!("I{:013}", self.invalidations.len() + 1),
            batch,
            looks_left: self.looks_until_complete,
        };
        self.invalidations.push(invalidation.clone());
        Ok(invalidation)
    }

    /// An invalidation as it is, which it is for one look less from then on.
    pub(super) fn look_at(&mut self, id: &str) -> Result<Invalidation, Refusal> {
        let mut all = self.invalidations.iter_mut();
        let found = all
            .find(|one| one.id == id)
            .ok_or(Refusal::NO_INVALIDATION)?;
        found.looks_left = found.looks_left.saturating_sub(1);
        Ok(found.clone())
    }

    fn of_reference(&self, reference: &str) -> Option<&Invalidation> {
        let mut all = self.invalidations.iter();
        all.find(|one| one.batch.reference == reference)
    }

    fn in_progress(&self) -> (usize, usize) {
        let open = self.invalidations.iter().filter(|one| !one.is_complete());
        open.fold((0, 0), |(paths, wildcards), one| {
            let more = wildcards_of(&one.batch);
            (paths + one.batch.items.len() - more, wildcards + more)
        })
    }
}

fn ensure(holds: bool, refusal: Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal) }
}

fn wildcards_of(batch: &Batch) -> usize {
    let is_wildcard = |item: &&String| item.starts_with('/') && item.ends_with('*');
    batch.items.iter().filter(is_wildcard).count()
}

fn is_item(item: &str) -> bool {
    if let Some(tag) = item.strip_prefix('#') {
        let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'*');
        return (1..=LONGEST_TAG).contains(&tag.len()) && tag.bytes().all(visible);
    }
    let path = item.strip_suffix('*').unwrap_or(item);
    item.starts_with('/')
        && item.len() <= LONGEST_PATH
        && !path.contains('*')
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !UNSAFE.contains(&byte))
        && path.split('%').skip(1).all(|rest| {
            let digits = rest.as_bytes().get(..2);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(reference: &str, items: &[&str]) -> Batch {
        Batch {
            reference: reference.to_owned(),
            quantity: items.len(),
            items: items.iter().map(|&item| item.to_owned()).collect(),
        }
    }

    #[test]
    fn paths_and_tags_have_a_form() {
        for item in ["/", "/*", "/a*", "/a?b=c", "/%2A", "#a", "#a:%2A", "/a'b"] {
            assert!(is_item(item), "{item}");
        }
        for item in [
            "", "a", "#", "#a,b", "#*", "#a*", "/a*b", "/~", "/a b", "/a%2", "/a#b", "*", "/\u{e9}",
        ] {
            assert!(!is_item(item), "{item}");
        }
    }

    #[test]
    fn a_reference_is_for_one_content() {
        let mut distribution = Distribution::new("E1");
        let first = distribution.invalidate(batch("r", &["/a"])).unwrap();
        let again = distribution.invalidate(batch("r", &["/a"])).unwrap();
        assert_eq!(first.id, again.id);
        let other = distribution.invalidate(batch("r", &["/b"])).unwrap_err();
        assert_eq!(other, Refusal::REFERENCE);
    }

    #[test]
    fn the_sixteenth_wildcard_has_to_wait_for_the_first() {
        let mut distribution = Distribution::new("E1");
        let first = distribution.invalidate(batch("0", &["/0*"])).unwrap();
        for n in 1..15 {
            let item = format!("/{n}*");
            distribution.invalidate(batch(&item, &[&item])).unwrap();
        }
        let refused = distribution.invalidate(batch("x", &["/x*"])).unwrap_err();
        assert_eq!(refused, Refusal::BUSY_WITH_WILDCARDS);
        assert!(!distribution.look_at(&first.id).unwrap().is_complete());
        assert!(distribution.look_at(&first.id).unwrap().is_complete());
        assert!(distribution.invalidate(batch("x", &["/x*"])).is_ok());
    }

    #[test]
    fn what_is_not_signed_is_not_done() {
        let distribution = Distribution::new("E1");
        let good = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDTEST/20261122/us-east-1/cloudfront/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={}",
            "0".repeat(64)
        );
        let date = Some("20261122T000000Z");
        assert_eq!(distribution.signed(Some(&good), date), Ok(()));
        for (bad, refusal) in [
            (good.replace("AKIDTEST", "AKIDOTHER"), Refusal::UNKNOWN_KEY),
            (good.replace("us-east-1", "eu-west-1"), Refusal::NOT_SIGNED),
            (good.replace("cloudfront", "s3"), Refusal::NOT_SIGNED),
            (good.replace("host;", ""), Refusal::NOT_SIGNED),
            ("Bearer x".to_owned(), Refusal::NOT_SIGNED),
        ] {
            assert_eq!(distribution.signed(Some(&bad), date), Err(refusal), "{bad}");
        }
        assert_eq!(distribution.signed(None, date), Err(Refusal::NOT_SIGNED));
    }
}
