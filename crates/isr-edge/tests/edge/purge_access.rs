//! Who may purge.

use http::{Method, StatusCode};
use isr_edge::PurgeAccess;

use crate::support::origin::{Script, ScriptedOrigin};
use crate::support::{Answer, Setup, Site};

async fn site(purgers: &str, trusted: &[&str]) -> Site {
    let origin = ScriptedOrigin::start(|_| Script::ok(&[], "")).await;
    let setup = Setup::new().rule("/**", &[]).with(|setup| {
        setup.options.purge_from = PurgeAccess::From(vec![purgers.parse().unwrap()]);
        setup.options.trusted_proxies = trusted.iter().map(|net| net.parse().unwrap()).collect();
    });
    setup.start(origin).await
}

async fn send(site: &Site, method: &str, fields: &[(&str, &str)]) -> Answer {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let ask = site.request(method, "/");
    let ask = fields
        .iter()
        .fold(ask, |ask, (name, value)| ask.header(name, value));
    ask.send().await
}

const LOOPBACK: &str = "127.0.0.0/8";
const OFFICE: &str = "10.0.0.0/8";

#[tokio::test]
async fn whoever_comes_through_an_unknown_proxy_may_not_purge() {
    let site = site(LOOPBACK, &[]).await;
    let rows = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 nginx"),
        ("x-real-ip", "203.0.113.9"),
        ("x-forwarded-proto", "https"),
        ("cf-connecting-ip", "203.0.113.9"),
    ];
    for field in rows {
        site.get("/").await;
        let answer = send(&site, "PURGE", &[field]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{field:?}");
        assert!(answer.text.contains("edge.trusted_proxies"), "{answer:?}");
        site.get("/").await.assert_hit();
    }
    let hidden = [
        ("connection", "x-forwarded-for"),
        ("x-forwarded-for", "203.0.113.9"),
    ];
    let answer = send(&site, "PURGE", &hidden).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(send(&site, "PURGE", &[]).await.status, StatusCode::OK);
}

/// Who may purge, what the proxy says, and whether the request is taken.
type Row = (&'static str, &'static [(&'static str, &'static str)], bool);

#[tokio::test]
async fn behind_a_trusted_proxy_the_visitor_is_judged_and_not_the_proxy() {
    let direct: &[(&str, &str)] = &[];
    let rows: &[Row] = &[
        // The proxy itself, or another program on its machine.
        (LOOPBACK, direct, true),
        (OFFICE, direct, false),
        (LOOPBACK, &[("x-forwarded-for", "203.0.113.9")], false),
        (
            LOOPBACK,
            &[("x-forwarded-for", "127.0.0.1, 203.0.113.9")],
            false,
        ),
        (LOOPBACK, &[("x-forwarded-for", "127.0.0.1")], true),
        (
            OFFICE,
            &[("x-forwarded-for", "203.0.113.9, 10.0.0.5")],
            true,
        ),
        (
            OFFICE,
            &[("x-forwarded-for", "10.0.0.5, 203.0.113.9")],
            false,
        ),
        (OFFICE, &[("x-forwarded-for", "10.0.0.5, 127.0.0.1")], true),
        (OFFICE, &[("forwarded", "for=10.0.0.5;proto=https")], true),
        (OFFICE, &[("forwarded", "for=\"[2001:db8::1]:47\"")], false),
        (OFFICE, &[("forwarded", "for=unknown")], false),
        (
            OFFICE,
            &[
                ("forwarded", "for=10.0.0.5"),
                ("x-forwarded-for", "203.0.113.9"),
            ],
            false,
        ),
        // It says that there is a visitor, but not which.
        (LOOPBACK, &[("via", "1.1 nginx")], false),
        (LOOPBACK, &[("x-real-ip", "127.0.0.1")], false),
    ];
    for (purgers, fields, expected) in rows {
        let site = site(purgers, &[LOOPBACK]).await;
        let answer = send(&site, "PURGE", fields).await;
        let allowed = answer.status == StatusCode::OK;
        assert_eq!(allowed, *expected, "{fields:?}: {answer:?}");
        if !allowed {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{fields:?}");
        }
    }
}

#[tokio::test]
async fn methods_of_purges_never_reach_the_origin() {
    let tags = [("x-cache-tags", "a")];
    for method in [
        "PURGE",
        "PURGEKEYS",
        "PURGETAGS",
        "BAN",
        "URIBAN",
        "purge",
        "REFRESH",
    ] {
        let site = site(OFFICE, &[]).await;
        let answer = send(&site, method, &tags).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method}");
        assert_eq!(site.origin.count(), 0, "{method}");
    }
}
