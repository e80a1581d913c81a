//! Validation: asking whether what is stored is still good (RFC 9111 §4.3).

use http::HeaderMap;
use http::header::{AGE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, VIA};

use crate::stored::StoredResponse;

/// Makes the request conditional on what is stored (RFC 9111 §4.3.1); false when that has no validator.
pub(crate) fn condition(stored: &StoredResponse, headers: &mut HeaderMap) -> bool {
    if let Some(tag) = stored.entity_tag() {
        headers.insert(IF_NONE_MATCH, tag.to_value());
        return true;
    }
    let modified = stored
        .headers
        .get(LAST_MODIFIED)
        .filter(|_| stored.last_modified().is_some());
    if let Some(modified) = modified {
        headers.insert(IF_MODIFIED_SINCE, modified.clone());
    }
    modified.is_some()
}

/// Takes over what a 304 says anew (RFC 9111 §3.2); what describes the body stays as it was stored.
pub(crate) fn freshen(stored: &mut HeaderMap, said: &HeaderMap) {
    stored.remove(AGE);
    stored.remove(VIA); // ours, which is added again
    for name in said.keys() {
        let describes_body = name.as_str().starts_with("content-")
            && name != "content-location"
            && name != "content-security-policy";
        if describes_body || (name == ETAG && stored.contains_key(ETAG)) {
            continue;
        }
        stored.remove(name);
        for value in said.get_all(name) {
            stored.append(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| {
                let name = http::HeaderName::from_static(name);
                (name, HeaderValue::from_static(value))
            })
            .collect()
    }

    #[test]
    fn a_304_renews_fields_but_not_what_describes_the_body() {
        let mut stored = map(&[
            ("etag", "\"a\""),
            ("content-length", "4"),
            ("content-type", "text/html"),
            ("x-old", "1"),
            ("x-both", "1"),
            ("age", "9"),
        ]);
        let said = map(&[
            ("etag", "W/\"a\""),
            ("content-length", "0"),
            ("content-type", "text/plain"),
            ("content-security-policy", "none"),
            ("x-both", "2"),
            ("date", "now"),
        ]);
        freshen(&mut stored, &said);
        let expected = map(&[
            ("etag", "\"a\""),
            ("content-length", "4"),
            ("content-type", "text/html"),
            ("x-old", "1"),
            ("x-both", "2"),
            ("content-security-policy", "none"),
            ("date", "now"),
        ]);
        assert_eq!(stored, expected);
    }
}
