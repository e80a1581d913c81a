use http::HeaderName;
use proptest::prelude::*;

use super::targeted::{CDN_CACHE_CONTROL, CLOUDFLARE_CDN_CACHE_CONTROL, SURROGATE_CONTROL};
use super::*;

fn printed(lines: &[&str]) -> String {
    CacheControl::parse(lines.iter().map(|line| line.as_bytes())).to_string()
}

#[test]
fn what_is_read_is_the_most_restrictive_reading() {
    let rows: &[(&[&str], &str)] = &[
        (&[], ""),
        (&["", " , ,"], ""),
        (&["public, max-age=60"], "public, max-age=60"),
        (&["Public , MAX-AGE=60"], "public, max-age=60"),
        (&["max-age=\"60\""], "max-age=60"),
        (&["max-age=60, max-age=30", "max-age=90"], "max-age=30"),
        (&["max-age"], "max-age=0"),
        (&["max-age="], "max-age=0"),
        (&["max-age=x, max-age=60"], "max-age=0"),
        (&["max-age=-1"], "max-age=0"),
        (&["max-age=+1"], "max-age=0"),
        (&["max-age=1.5"], "max-age=0"),
        (&["max-age= 60"], "max-age=0"),
        (&["s-maxage=2147483648"], "s-maxage=2147483648"),
        (&["s-maxage=99999999999999999999999"], "s-maxage=2147483648"),
        (&["public, private"], "private"),
        (&["public, no-store"], "no-store"),
        (
            &["private=\"set-cookie, x\", max-age=1"],
            "private, max-age=1",
        ),
        (&["no-cache=\"a\\\", no-store\""], "no-cache"),
        (&["foo=\"unclosed, private"], "private"),
        (&["a=\"b\"c\", no-store"], "no-store"),
        (&["foo=bar, baz, max-age=5"], "max-age=5"),
        (&["stale-while-revalidate"], "stale-while-revalidate=0"),
        (
            &["stale-if-error=2, stale-while-revalidate=1, s-maxage=3"],
            "s-maxage=3, stale-while-revalidate=1, stale-if-error=2",
        ),
        (
            &["immutable, no-transform, must-understand, proxy-revalidate, must-revalidate"],
            "must-revalidate, proxy-revalidate, must-understand, no-transform, immutable",
        ),
        (
            &["only-if-cached, min-fresh=5, min-fresh=9"],
            "min-fresh=9, only-if-cached",
        ),
        (&["min-fresh=x"], ""),
        (&["max-stale"], "max-stale"),
        (&["max-stale, max-stale=5, max-stale=9"], "max-stale=5"),
        (&["max-stale=5, max-stale"], "max-stale=5"),
        (&["max-stale=x"], "max-stale=0"),
    ];
    for (lines, expected) in rows {
        assert_eq!(printed(lines), *expected, "for {lines:?}");
    }
}

#[test]
fn shared_caches_prefer_s_maxage() {
    let freshness = |text: &str| CacheControl::parse([text.as_bytes()]).shared_freshness();
    assert_eq!(freshness("max-age=1, s-maxage=2"), Some(2));
    assert_eq!(freshness("max-age=1"), Some(1));
    assert_eq!(freshness("public"), None);
}

#[test]
fn nothing_to_say_is_no_field() {
    assert_eq!(CacheControl::default().to_value(), None);
    let no_store = CacheControl {
        no_store: true,
        ..CacheControl::default()
    };
    assert_eq!(no_store.to_value().unwrap(), "no-store");
}

fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn targeted_fields_are_structured_or_ignored() {
    let rows: &[(&[&str], Option<&str>)] = &[
        (&["max-age=60"], Some("max-age=60")),
        (
            &["max-age=60", "no-transform"],
            Some("max-age=60, no-transform"),
        ),
        (&["max-age=60;x=1, unknown"], Some("max-age=60")),
        (&["max-age=60, max-age=90"], Some("max-age=90")),
        (&["max-age=60.5"], Some("max-age=0")),
        (&["max-age=\"60\""], Some("max-age=0")),
        (&["max-age=-5"], Some("max-age=0")),
        (&["max-age=(1 2)"], Some("max-age=0")),
        (&["max-age=99999999999"], Some("max-age=2147483648")),
        (&["no-store, private=?0"], Some("no-store")),
        (&["unknown"], Some("")),
        (&[], None),
        (&[""], None),
        (&["max-age=60,"], None),
        (&["Max-Age=60"], None),
        (&["max-age=60 no-store"], None),
        (&["max-age="], None),
    ];
    for (lines, expected) in rows {
        let lines: Vec<_> = lines
            .iter()
            .map(|line| (CDN_CACHE_CONTROL, *line))
            .collect();
        let read = CacheControl::targeted(&headers(&lines), &CDN_CACHE_CONTROL);
        assert_eq!(
            read.map(|read| read.to_string()).as_deref(),
            *expected,
            "for {lines:?}"
        );
    }
}

#[test]
fn surrogate_control_has_its_own_grammar() {
    let rows = [
        ("max-age=3600", Some("max-age=3600")),
        ("max-age=3600+600", Some("max-age=3600")),
        ("max-age=60;other, max-age=30", Some("max-age=30")),
        ("max-age=60;other", None),
        ("no-store;other", Some("no-store")),
        ("content=\"ESI/1.0\"", None),
        (
            "max-age=9, stale-while-revalidate=5",
            Some("max-age=9, stale-while-revalidate=5"),
        ),
        ("", None),
    ];
    for (value, expected) in rows {
        let read =
            CacheControl::targeted(&headers(&[(SURROGATE_CONTROL, value)]), &SURROGATE_CONTROL);
        assert_eq!(
            read.map(|read| read.to_string()).as_deref(),
            expected,
            "for {value}"
        );
    }
}

#[test]
fn the_first_valid_target_governs_alone() {
    let targets = [CLOUDFLARE_CDN_CACHE_CONTROL, CDN_CACHE_CONTROL];
    let all = headers(&[
        (CLOUDFLARE_CDN_CACHE_CONTROL, "not a dictionary"),
        (CDN_CACHE_CONTROL, "max-age=60"),
        (CACHE_CONTROL, "private"),
    ]);
    assert_eq!(
        CacheControl::governing(&all, &targets).to_string(),
        "max-age=60"
    );
    assert_eq!(
        CacheControl::governing(&all, &targets[..1]).to_string(),
        "private"
    );
    assert_eq!(CacheControl::governing(&all, &[]).to_string(), "private");
}

/// Text made of what directives are made of.
const DIRECTIVES: &str = "((public|private|no-store|no-cache|max-age|s-maxage|stale-if-error|\
    max-stale|min-fresh|immutable|must-revalidate|x|\"|\\\\|=|,|;| |[0-9]{1,11}){0,12})";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn printing_and_reading_are_inverse(text in DIRECTIVES) {
        let read = CacheControl::parse([text.as_bytes()]);
        let printed = read.to_string();
        prop_assert_eq!(CacheControl::parse([printed.as_bytes()]), read);
        prop_assert_eq!(read.to_value().is_none(), read.is_empty());
    }

    #[test]
    fn what_is_printed_is_a_dictionary_too(text in DIRECTIVES) {
        let read = CacheControl::parse([text.as_bytes()]);
        if let Some(value) = read.to_value() {
            let headers = HeaderMap::from_iter([(CDN_CACHE_CONTROL, value)]);
            prop_assert_eq!(CacheControl::targeted(&headers, &CDN_CACHE_CONTROL), Some(read));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = CacheControl::parse([bytes.as_slice()]);
        if let Ok(value) = HeaderValue::from_bytes(&bytes) {
            for field in [CDN_CACHE_CONTROL, SURROGATE_CONTROL] {
                let headers = HeaderMap::from_iter([(field.clone(), value.clone())]);
                let _ = CacheControl::targeted(&headers, &field);
            }
        }
    }

    #[test]
    fn a_prohibition_is_never_lost(before in "[a-z\"=,\\\\ ]{0,12}", after in "[a-z\"=,\\\\ ]{0,12}") {
        // Only a string that is closed after the directive can hide it.
        if !(before.contains('"') && after.contains('"')) {
            let text = format!("{before},private,{after}");
            prop_assert!(CacheControl::parse([text.as_bytes()]).private, "{}", text);
        }
    }
}
