use http::HeaderName;
use serde_json::{Value, json};

use super::*;

/// The required options, and some more.
fn with(more: &Value) -> Result<Settings, InvalidOption> {
    let mut options = json!({"url": "https://hooks.example/s3cr3t", "secret": "0123456789abcdef"});
    for (key, value) in more.as_object().expect("it is a table") {
        options[key] = value.clone();
    }
    let options: Options = serde_json::from_value(options).expect("it is read");
    options.check()
}

#[test]
fn a_url_and_a_secret_are_enough() {
    let settings = with(&json!({})).unwrap();
    assert_eq!(settings.kinds, [Kind::Tag, Kind::Url]);
    assert!(settings.rate.is_none() && settings.tags.is_none());
}

#[test]
fn what_cannot_be_used_is_refused_with_advice() {
    let rows = [
        (json!({"url": null}), "url is missing"),
        (json!({"url": "hooks"}), "url is no URL: begin"),
        (
            json!({"url": "ftp://hooks.example/"}),
            "url is no URL of the web",
        ),
        (
            json!({"url": "http://hooks.example/"}),
            "url would be called unencrypted",
        ),
        (
            json!({"secret": null}),
            "secret is missing: make one at random",
        ),
        (json!({"secret": "0123456789abcde"}), "secret is too short"),
        (json!({"kinds": []}), "kinds is empty"),
        (
            json!({"batch_items": 0}),
            "batch_items is 0: use a number from 1 to 10000",
        ),
        (json!({"batch_bytes": 1023}), "batch_bytes is 1023"),
        (json!({"concurrency": 101}), "concurrency is 101"),
        (json!({"calls_per_second": 0}), "calls_per_second is 0"),
        (
            json!({"calls_per_second": 1e9}),
            "calls_per_second is 1000000000",
        ),
        (
            json!({"calls_per_second": 1, "burst": 0}),
            "burst has to be",
        ),
        (json!({"burst": 5}), "burst says how far a rate"),
        (json!({"tag_header": "a b"}), "tag_header names `a b`"),
        (
            json!({"tag_header": "Tags", "kinds": ["url"]}),
            "tag_header names tags to",
        ),
        (
            json!({"tag_header": "Tags", "tag_header_bytes": 0}),
            "tag_header_bytes is zero",
        ),
        (
            json!({"tag_separator": "space"}),
            "tag_separator is about a header field",
        ),
        (json!({"connect_timeout": "0s"}), "connect_timeout is zero"),
    ];
    for (more, expected) in rows {
        let error = with(&more).expect_err("it is refused").to_string();
        assert!(error.starts_with(expected), "{more}: {error}");
        assert!(
            !error.contains("s3cr3t") && !error.contains("0123456789"),
            "{error}"
        );
    }
}

#[test]
fn unencrypted_calls_stay_on_the_machine_unless_told_otherwise() {
    for url in [
        "http://127.0.0.1:8080/a",
        "http://[::1]/a",
        "http://localhost/a",
    ] {
        assert!(with(&json!({"url": url})).is_ok(), "{url}");
    }
    let url = "http://hooks.example/a";
    assert!(with(&json!({"url": url, "insecure": true})).is_ok());
    assert!(with(&json!({"url": "http://localhost.example/a"})).is_err());
}

#[test]
fn a_known_field_has_its_own_grammar() {
    let tags = |more: Value| with(&more).unwrap().tags.expect("there is a field");
    let known = tags(json!({"tag_header": "surrogate-key"}));
    assert_eq!(known.header, TagHeader::SurrogateKey);
    assert_eq!(known.limits, TagHeader::SurrogateKey.limits());

    let other = tags(json!({"tag_header": "Cache-Tag", "tag_separator": "space"}));
    let separator = TagSeparator::Space;
    let name = HeaderName::from_static("cache-tag");
    assert_eq!(other.header, TagHeader::Custom { name, separator });
    let limited = json!({"tag_header": "X-Tags", "tag_header_bytes": 100, "tags_per_response": 3});
    let limits = tags(limited).limits;
    assert_eq!((limits.bytes, limits.tags), (100, 3));
}

#[test]
fn what_a_url_may_hold_is_not_shown() {
    let options = Options {
        url: Some(Secret::new("https://u:p4ss@hooks.example:81/s3cr3t?t0ken")),
        secret: Some(Secret::new("0123456789abcdef")),
        ..Options::default()
    };
    let shown = format!("{options:?} {:?}", options.clone().check().unwrap());
    assert!(shown.contains("https://hooks.example:81/…"), "{shown}");
    for secret in ["p4ss", "s3cr3t", "t0ken", "0123456789abcdef"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn an_unknown_key_is_refused() {
    let options = serde_json::from_value::<Options>(json!({"uri": "a"}));
    assert!(options.unwrap_err().to_string().contains("`uri`"));
}
