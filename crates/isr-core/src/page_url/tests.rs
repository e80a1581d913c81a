use proptest::prelude::*;

use super::*;
use crate::url_rules::SiteOrigin;

#[track_caller]
fn check(input: &str, expected: Result<&str, UrlFault>) {
    let found = PageUrl::parse(input);
    let found = found
        .as_ref()
        .map(PageUrl::as_str)
        .map_err(InvalidUrl::fault);
    assert_eq!(found, expected, "for {input:?}");
}

#[test]
fn scheme_host_and_port_have_one_spelling() {
    check("https://example.com", Ok("https://example.com/"));
    check("HTTPS://Example.COM:443/", Ok("https://example.com/"));
    check("http://example.com:80/", Ok("http://example.com/"));
    check("http://example.com:443/", Ok("http://example.com:443/"));
    check("http://example.com:/", Ok("http://example.com/"));
    check("http://example.com:08080/", Ok("http://example.com:8080/"));
    check("http://[::1]:8080/a", Ok("http://[::1]:8080/a"));
    check("http://[0:0::1]/a", Ok("http://[::1]/a"));
    check(
        "http://b\u{fc}cher.example/",
        Ok("http://xn--bcher-kva.example/"),
    );
    check("http://h?a=1", Ok("http://h/?a=1"));
    check("http://h#top", Ok("http://h/"));
}

#[test]
fn paths_have_one_spelling() {
    check("http://h/a/./b/../c", Ok("http://h/a/c"));
    check("http://h/a/%2e%2E/c", Ok("http://h/c"));
    check("http://h/a/.%2e", Ok("http://h/"));
    check("http://h/a/b/..", Ok("http://h/a/"));
    check("http://h/a/b/.", Ok("http://h/a/b/"));
    check("http://h/../../a", Ok("http://h/a"));
    check("http://h/a//../b", Ok("http://h/a/b"));
    check("http://h/a//b/", Ok("http://h/a//b/"));
    check("http://h/...", Ok("http://h/..."));
    check(
        "http://h/%7euser/%41%2f%c3%a9",
        Ok("http://h/~user/A%2F%C3%A9"),
    );
    check(
        "http://h/caf\u{e9}/a b\\c|[x]",
        Ok("http://h/caf%C3%A9/a%20b%5Cc%7C%5Bx%5D"),
    );
    check(
        "http://h/a;v=1,2:@!$&'()*+",
        Ok("http://h/a;v=1,2:@!$&'()*+"),
    );
}

#[test]
fn a_trailing_slash_and_case_make_another_page() {
    check("http://h/a/", Ok("http://h/a/"));
    check("http://h/A", Ok("http://h/A"));
}

#[test]
fn queries_are_filtered_and_sorted_by_name() {
    check("http://h/?b=2&a=1", Ok("http://h/?a=1&b=2"));
    check("http://h/?b=2&a=2&a=1", Ok("http://h/?a=2&a=1&b=2"));
    check("http://h/?", Ok("http://h/"));
    check("http://h/?&&", Ok("http://h/"));
    check("http://h/?a&a=&=", Ok("http://h/?=&a&a="));
    check("http://h/?utm_source=x&a=1&fbclid=y", Ok("http://h/?a=1"));
    check("http://h/?utm%5Fsource=x", Ok("http://h/"));
    // Browsers and our own crawler send it encoded.
    check("http://h/it's?a=it's", Ok("http://h/it's?a=it%27s"));
    check("http://h/it's?a=it%27s", Ok("http://h/it's?a=it%27s"));
    check(
        "http://h/?a=%2f&a=/&a=?&a=x%20y&a=x+y",
        Ok("http://h/?a=%2F&a=/&a=?&a=x%20y&a=x+y"),
    );
    check("http://h/?a[]=1", Ok("http://h/?a%5B%5D=1"));
    check("http://h/?a=1#utm_source", Ok("http://h/?a=1"));
}

#[test]
fn what_is_no_page_is_refused() {
    check("", Err(UrlFault::Scheme));
    check("/a", Err(UrlFault::Scheme));
    check("//h/a", Err(UrlFault::Scheme));
    check("ftp://h/", Err(UrlFault::Scheme));
    check("javascript:alert(1)", Err(UrlFault::Scheme));
    check(" http://h/", Err(UrlFault::Scheme));
    check("http://", Err(UrlFault::Host));
    check("http:///a", Err(UrlFault::Host));
    check("http://a b/", Err(UrlFault::Host));
    check("http://*/", Err(UrlFault::Host));
    check("http://*.example/", Err(UrlFault::Host));
    check("http://a..b/", Err(UrlFault::Host));
    check("http://./", Err(UrlFault::Host));
    check("http://a&b/", Err(UrlFault::Host));
    check(
        "http://my_host-1.example./",
        Ok("http://my_host-1.example./"),
    );
    check("http://[::1/", Err(UrlFault::Host));
    check("http://[::1]x/", Err(UrlFault::Host));
    check("http://h\\x/", Err(UrlFault::Host));
    check("http://user@h/", Err(UrlFault::UserInfo));
    check("http://user:pw@h/", Err(UrlFault::UserInfo));
    check("http://h:port/", Err(UrlFault::Port));
    check("http://h:+80/", Err(UrlFault::Port));
    check("http://h:65536/", Err(UrlFault::Port));
    check("http://h/a\nb", Err(UrlFault::Control));
    check("http://h/?a=\0", Err(UrlFault::Control));
    check("http://h/%", Err(UrlFault::Percent));
    check("http://h/%4", Err(UrlFault::Percent));
    check("http://h/?a=%zz", Err(UrlFault::Percent));
}

#[test]
fn length_and_depth_are_bounded() {
    let of_len = |len: usize| format!("http://h/{}", "a".repeat(len - "http://h/".len()));
    check(&of_len(PageUrl::MAX_LEN), Ok(&of_len(PageUrl::MAX_LEN)));
    check(&of_len(PageUrl::MAX_LEN + 1), Err(UrlFault::TooLong));
    // Each of these bytes becomes three.
    check(
        &format!("http://h/{}", "|".repeat(PageUrl::MAX_LEN / 2)),
        Err(UrlFault::TooLong),
    );
    let of_depth = |depth: usize| format!("http://h{}", "/a".repeat(depth));
    check(
        &of_depth(PageUrl::MAX_SEGMENTS),
        Ok(&of_depth(PageUrl::MAX_SEGMENTS)),
    );
    check(&of_depth(PageUrl::MAX_SEGMENTS + 1), Err(UrlFault::TooDeep));
}

#[test]
fn a_page_gives_its_parts() {
    let page = PageUrl::parse("https://example.com:8443/a/b?x=1").unwrap();
    assert_eq!(page.scheme(), "https");
    assert_eq!(page.host(), "example.com:8443");
    assert_eq!(page.origin(), "https://example.com:8443");
    assert_eq!(page.path(), "/a/b");
    assert_eq!(page.query(), Some("x=1"));
    assert_eq!(page.path_and_query(), "/a/b?x=1");
    assert_eq!(
        page.without_query().as_str(),
        "https://example.com:8443/a/b"
    );
    let root = PageUrl::parse("http://h").unwrap();
    assert_eq!(
        (root.path(), root.query(), root.path_and_query()),
        ("/", None, "/")
    );
    assert_eq!(root.without_query(), root);
}

#[test]
fn prefixes_end_where_segments_end() {
    let rows: &[(&str, &[&str])] = &[
        ("http://h/", &["http://h/"]),
        ("http://h/?x=/a/b", &["http://h/"]),
        ("http://h/a", &["http://h/", "http://h/a"]),
        ("http://h/a/", &["http://h/", "http://h/a", "http://h/a/"]),
        ("http://h/ab?x", &["http://h/", "http://h/ab"]),
        (
            "http://h/a//b",
            &[
                "http://h/",
                "http://h/a",
                "http://h/a/",
                "http://h/a//",
                "http://h/a//b",
            ],
        ),
    ];
    for (page, expected) in rows {
        let page = PageUrl::parse(page).unwrap();
        let found: Vec<&str> = page.ancestors().collect();
        assert_eq!(found, *expected);
    }
}

#[test]
fn a_request_names_pages_of_its_own_site_only() {
    let site = SiteOrigin::parse("https://Example.com:443/").unwrap();
    let rules = UrlRules::default();
    let rows = [
        ("/a?b=1", "https://example.com/a?b=1", true),
        ("/a?utm_source=x", "https://example.com/a", false),
        ("/a?", "https://example.com/a", false),
        ("/%61", "https://example.com/a", false),
        ("/../a", "https://example.com/a", false),
        (
            "//evil.example/a",
            "https://example.com//evil.example/a",
            true,
        ),
        (
            "/@evil.example/a",
            "https://example.com/@evil.example/a",
            true,
        ),
    ];
    for (target, url, canonical) in rows {
        let page = rules.page(&site, target).unwrap();
        assert_eq!(
            (page.url.as_str(), page.canonical),
            (url, canonical),
            "for {target}"
        );
        assert_eq!(page.url.origin(), site.as_str());
    }
    for target in ["*", "", "http://evil.example/", "a/b", "?x"] {
        assert_eq!(
            rules.page(&site, target).unwrap_err().fault(),
            UrlFault::Path,
            "{target}"
        );
    }
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let site = SiteOrigin::parse("HTTP://Example.com:8080").unwrap();
    assert_eq!((site.scheme(), site.host()), ("http", "example.com:8080"));
    for text in [
        "http://h/a",
        "http://h/?a",
        "http://h#a",
        "http://u@h",
        "h",
        "",
    ] {
        assert!(SiteOrigin::parse(text).is_err(), "{text}");
    }
}

#[test]
fn filters_decide_which_parameters_make_a_page() {
    let rows = [
        (QueryFilter::allow(["page"]).unwrap(), "http://h/?page=2"),
        (
            QueryFilter::deny(["page", "utm_*"]).unwrap(),
            "http://h/?q=x",
        ),
        (QueryFilter::KeepAll, "http://h/?page=2&q=x&utm_id=7"),
        (QueryFilter::DropAll, "http://h/"),
    ];
    for (filter, expected) in rows {
        let page = UrlRules::new(filter)
            .normalise("http://h/?utm_id=7&q=x&page=2")
            .unwrap();
        assert_eq!(page.url.as_str(), expected);
        assert!(!page.canonical);
    }
}

#[test]
fn a_stored_url_keeps_what_the_default_rules_would_drop() {
    let kept = UrlRules::new(QueryFilter::KeepAll)
        .normalise("http://h/?utm_id=7")
        .unwrap()
        .url;
    let json = serde_json::to_string(&kept).unwrap();
    assert_eq!(serde_json::from_str::<PageUrl>(&json).unwrap(), kept);
    assert!(serde_json::from_str::<PageUrl>("\"/a\"").is_err());
}

#[test]
fn a_refusal_names_the_input_and_the_remedy() {
    let message = PageUrl::parse("example.com").unwrap_err().to_string();
    assert_eq!(
        message,
        "URL `example.com` is not absolute: begin it with http:// or https://"
    );
}

/// Path and query made of what decides: separators, dots, percent signs, digits.
const TARGET: &str = "/[/.a%2eEfF?&=#+\u{e9}|b_-]{0,40}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn normalising_twice_changes_nothing(target in TARGET) {
        let site = SiteOrigin::parse("https://example.com").unwrap();
        for rules in [UrlRules::default(), UrlRules::new(QueryFilter::KeepAll)] {
            if let Ok(once) = rules.page(&site, &target) {
                let twice = rules.page(&site, once.url.path_and_query()).unwrap();
                prop_assert_eq!(&twice.url, &once.url);
                prop_assert!(twice.canonical);
                prop_assert_eq!(once.canonical, once.url.path_and_query() == target);
                prop_assert_eq!(&PageUrl::from_stored(once.url.as_str()).unwrap(), &once.url);
                prop_assert!(once.url.as_str().parse::<http::Uri>().is_ok());
            }
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let site = SiteOrigin::parse("https://example.com").unwrap();
        let _ = PageUrl::parse(&text);
        let _ = SiteOrigin::parse(&text);
        let _ = UrlRules::default().page(&site, &text);
        let _ = QueryFilter::deny([&text]);
    }

    #[test]
    fn absolute_urls_come_out_canonical(
        scheme in "(http|https|HTTP)", authority in "[a-zA-Z0-9.:\\[\\]-]{0,12}", target in TARGET,
    ) {
        if let Ok(page) = PageUrl::parse(&format!("{scheme}://{authority}{target}")) {
            let again = UrlRules::default().normalise(page.as_str()).unwrap();
            prop_assert!(again.canonical, "{} became {}", page, again.url);
            prop_assert_eq!(page.to_string().parse(), Ok(page.clone()));
            let parts = format!("{}://{}{}", page.scheme(), page.host(), page.path_and_query());
            prop_assert_eq!(parts, page.as_str());
        }
    }

    #[test]
    fn a_prefix_covers_exactly_what_lies_beneath_it(
        page in "/[ab/]{0,8}", prefix in "/[ab/]{0,4}",
    ) {
        let page = PageUrl::parse(&format!("http://h{page}")).unwrap();
        let prefix = PageUrl::parse(&format!("http://h{prefix}")).unwrap();
        let beneath = page.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with('/') || prefix.as_str().ends_with('/')
        });
        prop_assert_eq!(page.ancestors().any(|covered| covered == prefix.as_str()), beneath);
    }
}
