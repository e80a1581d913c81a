use http::HeaderValue;
use proptest::prelude::*;

use super::NotShareable::*;
use super::*;
use crate::cache_control::CDN_CACHE_CONTROL;

/// Headers from lines such as `cookie: a=1`.
fn headers(lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        headers.append(
            HeaderName::try_from(name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    headers
}

fn rules() -> ShareRules {
    let ignored_cookies = CookieNames::new(["_ga*", "consent"]).unwrap();
    ShareRules {
        ignored_cookies,
        ..ShareRules::default()
    }
}

#[test]
fn requests_are_judged_row_by_row() {
    let rows: &[(&str, &[&str], Result<(), NotShareable>)] = &[
        ("GET", &[], Ok(())),
        ("HEAD", &[], Ok(())),
        ("POST", &[], Err(Method)),
        ("PUT", &[], Err(Method)),
        ("DELETE", &[], Err(Method)),
        ("OPTIONS", &[], Err(Method)),
        ("PURGE", &[], Err(Method)),
        ("get", &[], Err(Method)),
        ("GET", &["authorization: Basic eA=="], Err(Authorization)),
        ("GET", &["authorization: "], Err(Authorization)),
        ("GET", &["cookie: session=1"], Err(Cookie)),
        ("GET", &["cookie: _ga=1; session=1"], Err(Cookie)),
        ("GET", &["cookie: _ga=1", "cookie: session=1"], Err(Cookie)),
        ("GET", &["cookie: nameless"], Err(Cookie)),
        ("GET", &["cookie: =x"], Err(Cookie)),
        ("GET", &["cookie: Consent=1"], Err(Cookie)),
        ("GET", &["cookie: consent2=1"], Err(Cookie)),
        ("GET", &["cookie: _ga=1; _ga_X=2;consent=y"], Ok(())),
        ("GET", &["cookie: "], Ok(())),
        ("GET", &["cookie: ; ;"], Ok(())),
        ("GET", &["cache-control: no-store"], Err(RequestNoStore)),
        ("GET", &["cache-control: no-cache, max-age=0"], Ok(())),
    ];
    for (method, lines, expected) in rows {
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let found = shareable_request(&method, &headers(lines), &rules());
        assert_eq!(found, *expected, "for {method} {lines:?}");
    }
}

#[test]
fn statuses_are_judged_row_by_row() {
    let (good, bad, bare) = (Ok(()), Err(Status), Err(NoLifetime));
    let rows = [
        (&[200, 203, 301, 308, 404, 410][..], good),
        (&[302, 307], bare),
        (
            &[100, 101, 103, 201, 202, 204, 205, 206, 300, 303, 304],
            bad,
        ),
        (
            &[400, 401, 403, 405, 429, 451, 500, 501, 502, 503, 504, 599],
            bad,
        ),
    ];
    for (statuses, expected) in rows {
        for status in statuses {
            let status = StatusCode::from_u16(*status).unwrap();
            let found = shareable_response(status, &HeaderMap::new(), &rules());
            assert_eq!(found, expected, "for {status}");
        }
    }
}

#[test]
fn temporary_redirects_need_a_lifetime() {
    let found = |lines: &[&str], rules: &ShareRules| {
        shareable_response(StatusCode::FOUND, &headers(lines), rules)
    };
    assert_eq!(found(&["cache-control: public"], &rules()), Err(NoLifetime));
    assert_eq!(found(&["cache-control: max-age=5"], &rules()), Ok(()));
    assert_eq!(
        found(&["expires: Thu, 01 Dec 2022 16:00:00 GMT"], &rules()),
        Ok(())
    );
    assert_eq!(
        found(
            &[],
            &ShareRules {
                has_policy: true,
                ..rules()
            }
        ),
        Ok(())
    );
}

#[test]
fn responses_are_judged_row_by_row() {
    let rows: &[(&[&str], Result<(), NotShareable>)] = &[
        (&[], Ok(())),
        (&["cache-control: public, max-age=60"], Ok(())),
        (
            &["cache-control: max-age=60", "vary: accept-encoding"],
            Ok(()),
        ),
        (&["set-cookie: a=1"], Err(SetCookie)),
        (
            &["set-cookie: a=1", "cache-control: public, s-maxage=60"],
            Err(SetCookie),
        ),
        (&["cache-control: no-store"], Err(NoStore)),
        (&["cache-control: public, no-store"], Err(NoStore)),
        (&["cache-control: no-store, must-understand"], Err(NoStore)),
        (
            &["cache-control: max-age=60", "cache-control: Private"],
            Err(Private),
        ),
        (&["cache-control: private=\"x-user\""], Err(Private)),
        (
            &["cache-control: public, private, s-maxage=60"],
            Err(Private),
        ),
        (&["cache-control: no-cache"], Err(NoCache)),
        (&["cache-control: no-cache=\"set-cookie\""], Err(NoCache)),
        (&["vary: *"], Err(VaryStar)),
        (&["vary: accept, *"], Err(VaryStar)),
        (&["vary: \"x\""], Err(VaryStar)),
        (&["cdn-cache-control: no-store"], Err(NoStore)),
        (
            &[
                "cloudflare-cdn-cache-control: private",
                "cache-control: public",
            ],
            Err(Private),
        ),
        (&["surrogate-control: no-store"], Err(NoStore)),
        (
            &["cdn-cache-control: max-age=60", "cache-control: private"],
            Err(Private),
        ),
    ];
    for (lines, expected) in rows {
        let found = shareable_response(StatusCode::OK, &headers(lines), &rules());
        assert_eq!(found, *expected, "for {lines:?}");
    }
}

#[test]
fn a_targeted_field_speaks_in_place_of_cache_control() {
    let rules = ShareRules {
        targets: vec![CDN_CACHE_CONTROL],
        ..rules()
    };
    let rows: &[(&[&str], Result<(), NotShareable>)] = &[
        (
            &[
                "cdn-cache-control: max-age=60",
                "cache-control: private, no-store",
            ],
            Ok(()),
        ),
        (
            &["cdn-cache-control: no-store", "cache-control: public"],
            Err(NoStore),
        ),
        (
            &["cdn-cache-control: broken broken", "cache-control: private"],
            Err(Private),
        ),
        (
            &["cdn-cache-control: ", "cache-control: private"],
            Err(Private),
        ),
        (
            &[
                "cdn-cache-control: max-age=60",
                "surrogate-control: no-store",
            ],
            Err(NoStore),
        ),
    ];
    for (lines, expected) in rows {
        let found = shareable_response(StatusCode::OK, &headers(lines), &rules);
        assert_eq!(found, *expected, "for {lines:?}");
    }
}

#[test]
fn the_whole_judgement_is_both_halves() {
    let judge = |request: &[&str], response: &[&str]| {
        let (request, response) = (headers(request), headers(response));
        shareable(
            &http::Method::GET,
            &request,
            StatusCode::OK,
            &response,
            &rules(),
        )
    };
    assert_eq!(judge(&[], &[]), Ok(()));
    assert_eq!(
        judge(&["cookie: session=1"], &["set-cookie: a=1"]),
        Err(Cookie)
    );
    assert_eq!(
        judge(&["cookie: consent=1"], &["set-cookie: a=1"]),
        Err(SetCookie)
    );
}

#[test]
fn every_reason_has_a_label_of_its_own() {
    let labels: std::collections::HashSet<&str> =
        NotShareable::ALL.map(NotShareable::as_str).into();
    assert_eq!(labels.len(), NotShareable::ALL.len());
}

#[test]
fn cookie_names_that_cannot_match_are_refused() {
    for name in ["", "a*b", "**", "a=b", "a;", "a b", "\u{e9}"] {
        assert!(CookieNames::new([name]).is_err(), "{name}");
    }
    let every = CookieNames::new(["*"]).unwrap();
    assert!(every.contain_all(&headers(&["cookie: a=1; nameless"])));
}

proptest! {
    #[test]
    fn no_bytes_panic(
        name in "(cookie|vary|cache-control|cdn-cache-control|surrogate-control|set-cookie)",
        bytes in prop::collection::vec(any::<u8>(), 0..60),
        status in 100_u16..1000,
    ) {
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            let headers = HeaderMap::from_iter([(HeaderName::try_from(name).unwrap(), value)]);
            let status = StatusCode::from_u16(status).unwrap();
            let _ = shareable(&http::Method::GET, &headers, status, &headers, &rules());
        }
    }

    #[test]
    fn no_further_directive_makes_a_private_response_shareable(more in "[a-z0-9=\", -]{0,30}") {
        let line = format!("cache-control: private, {more}");
        let found = shareable_response(StatusCode::OK, &headers(&[&line]), &rules());
        prop_assert!(found.is_err());
    }
}
