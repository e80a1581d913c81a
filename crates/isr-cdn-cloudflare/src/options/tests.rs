use serde_json::{Value, json};

use super::*;

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// The required options, and one more.
fn with(key: &str, value: Value) -> Result<Settings, InvalidOption> {
    let mut options = json!({"zone": ZONE, "token": "t0ken"});
    options[key] = value;
    let options: Options = serde_json::from_value(options).expect("it is read");
    options.check()
}

#[test]
fn a_zone_and_a_token_are_enough() {
    let settings = with("soft", json!(true)).unwrap();
    assert_eq!(settings.zone, ZONE);
    assert_eq!(settings.batch_urls.get(), 30);
    assert_eq!(settings.batch_items.get(), 100);
    assert_eq!(settings.api_base.as_str(), API);
}

#[test]
fn what_cannot_be_used_is_refused_with_advice() {
    let many: Vec<Value> = (0..30).map(|n| json!({"accept": n.to_string()})).collect();
    let rows = [
        ("zone", json!(""), "zone is missing: set the 32 hexadecimal"),
        (
            "zone",
            json!("example.com"),
            "zone is `example.com`, which is the zone's name",
        ),
        (
            "zone",
            json!("023e105f"),
            "zone is `023e105f`, which is no ID",
        ),
        ("token", json!(""), "token is missing: create an API token"),
        ("token", json!("a b"), "token holds spaces"),
        ("batch_urls", json!(0), "batch_urls is 0"),
        (
            "batch_urls",
            json!(101),
            "batch_urls is 101, and Cloudflare takes 1 to 100",
        ),
        ("batch_items", json!(101), "batch_items is 101"),
        ("account", json!(""), "account has to be"),
        ("account", json!("a:b"), "account has to be"),
        ("dialect", json!("standard"), "dialect is `standard`"),
        (
            "variant_headers",
            json!([{"a b": "c"}]),
            "variant_headers has `a b`",
        ),
        (
            "variant_headers",
            json!(many),
            "variant_headers makes 31 items",
        ),
        ("api_base", json!("api"), "api_base is no URL"),
        (
            "api_base",
            json!("ftp://a/"),
            "api_base is no URL of the web",
        ),
        (
            "api_base",
            json!("http://a.example/"),
            "api_base would send the token unencrypted",
        ),
        (
            "api_base",
            json!("https://u:p@a.example/"),
            "api_base holds a user name",
        ),
        (
            "api_base",
            json!("https://a.example/?x"),
            "api_base has a query",
        ),
        ("timeout", json!("0s"), "timeout is zero"),
    ];
    for (key, value, expected) in rows {
        let error = with(key, value).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_enterprise_zone_takes_more_urls() {
    let options = json!({
        "zone": ZONE, "token": "t", "plan": "enterprise", "batch_urls": 500,
    });
    let options: Options = serde_json::from_value(options).unwrap();
    assert_eq!(options.check().unwrap().batch_urls.get(), 500);
}

#[test]
fn an_unknown_key_is_refused() {
    let options = serde_json::from_value::<Options>(json!({"zones": ZONE}));
    assert!(options.unwrap_err().to_string().contains("`zones`"));
}

#[test]
fn one_token_is_one_account_and_is_not_told_by_it() {
    let account = |token: &str| with("token", json!(token)).unwrap().account;
    assert_eq!(account("one"), account("one"));
    assert_ne!(account("one"), account("other"));
    assert_eq!(account("one").len(), 16);
    assert_eq!(with("account", json!("acme")).unwrap().account, "acme");
}
