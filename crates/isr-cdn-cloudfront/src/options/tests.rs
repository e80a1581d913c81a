use super::*;

fn options(json: &str) -> Options {
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_least_that_is_needed_is_a_distribution_or_a_tenant() {
    let settings = options(r#"{"distribution": "EDFDVBD6EXAMPLE"}"#)
        .check()
        .unwrap();
    assert_eq!(
        settings.scope,
        Scope::Distribution("EDFDVBD6EXAMPLE".into())
    );
    assert_eq!(settings.tag_header, None);
    let settings = options(r#"{"tenant": "dt_2wjM"}"#).check().unwrap();
    assert_eq!(settings.scope, Scope::Tenant("dt_2wjM".into()));
}

#[test]
fn what_cannot_be_used_is_named() {
    let rows = [
        ("{}", "distribution"),
        (r#"{"distribution": ""}"#, "distribution"),
        (r#"{"distribution": "E1/../E2"}"#, "distribution"),
        (r#"{"distribution": "E1", "tenant": "dt_1"}"#, "tenant"),
        (r#"{"tenant": "dt 1"}"#, "tenant"),
        (
            r#"{"distribution": "E1", "tag_header": "x y"}"#,
            "tag_header",
        ),
        (r#"{"distribution": "E1", "tag_header": ""}"#, "tag_header"),
        (r#"{"distribution": "E1", "timeout": "0s"}"#, "timeout"),
        (
            r#"{"distribution": "E1", "connect_timeout": "6m"}"#,
            "connect_timeout",
        ),
        (
            r#"{"distribution": "E1", "poll_interval": "1ms"}"#,
            "poll_interval",
        ),
        (
            r#"{"distribution": "E1", "settling_time": "1h"}"#,
            "settling_time",
        ),
        (
            r#"{"distribution": "E1", "endpoint_url": "localhost:5000"}"#,
            "endpoint_url",
        ),
        (
            r#"{"distribution": "E1", "access_key_id": "AK"}"#,
            "secret_access_key",
        ),
        (
            r#"{"distribution": "E1", "secret_access_key": "SK"}"#,
            "access_key_id",
        ),
        (
            r#"{"distribution": "E1", "session_token": "ST"}"#,
            "access_key_id",
        ),
        (
            r#"{"distribution": "E1", "access_key_id": "AK", "secret_access_key": "SK", "profile": "p"}"#,
            "profile",
        ),
    ];
    for (json, key) in rows {
        let fault = options(json).check().unwrap_err();
        assert_eq!(fault.key, key, "{json}");
        assert!(!fault.to_string().contains("SK"), "{fault}");
    }
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(serde_json::from_str::<Options>(r#"{"distribution_id": "E1"}"#).is_err());
}
