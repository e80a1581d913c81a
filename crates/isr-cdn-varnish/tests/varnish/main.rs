//! The connector against a real Varnish, with the VCL that users are given.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod behaviour;
mod site;

use isr_core::{ConnectorError, Mode, Target};

use crate::site::{Site, prefix, tag, url};

const HOST: &str = "www.example.com";

#[tokio::test]
async fn a_page_is_gone_with_its_purge_and_counted() {
    let site = Site::start().await;
    assert_eq!(site.visit(HOST, "/a").await, 1);
    site.origin.publish();
    assert_eq!(site.visit(HOST, "/a").await, 1);
    assert_eq!(site.origin.requests("/a"), 1);

    let receipt = site.purge(&[url("/a")], Mode::Hard).await.unwrap();
    assert_eq!((receipt.accepted, receipt.copies), (1, Some(1)));
    assert_eq!(site.visit(HOST, "/a").await, 2);

    let receipt = site.purge(&[url("/nothing")], Mode::Hard).await.unwrap();
    assert_eq!((receipt.accepted, receipt.copies), (1, Some(0)));
}

#[tokio::test]
async fn a_page_that_is_made_stale_is_served_once_more_and_then_new() {
    let site = Site::start().await;
    site.origin.set_headers("/t", &[("xkey", "post:1")]);
    for (path, target) in [("/u", url("/u")), ("/t", tag("post:1"))] {
        let old = site.visit(HOST, path).await;
        site.origin.publish();
        let receipt = site.purge(&[target], Mode::Soft).await.unwrap();
        assert_eq!((receipt.accepted, receipt.copies), (1, Some(1)));
        assert_eq!(
            site.visit(HOST, path).await,
            old,
            "stale while it is fetched"
        );
        site.shows(HOST, path, old + 1).await;
        assert_eq!(site.origin.requests(path), 2);
    }
}

#[tokio::test]
async fn a_page_is_stale_while_it_is_revalidated() {
    let site = Site::start().await;
    let lifetimes = "max-age=0, s-maxage=1, stale-while-revalidate=600";
    site.origin
        .set_headers("/a", &[("cache-control", lifetimes)]);
    assert_eq!(site.visit(HOST, "/a").await, 1);
    site.origin.publish();
    // What is older than its lifetime is served while, and only while, a new one is fetched.
    let mut oldest = 0;
    let mut version = 1;
    while version == 1 {
        let response = site.request("GET", HOST, "/a", &[]).await;
        let age = response.headers()["age"].to_str().unwrap().parse().unwrap();
        version = site::version(response).await;
        oldest = if version == 1 { age } else { oldest };
    }
    assert!(oldest >= 1, "the oldest answer was {oldest} seconds old");
}

#[tokio::test]
async fn a_page_that_is_being_fetched_does_not_hold_up_its_purge() {
    let site = Site::start().await;
    site.origin.set_headers("/a", &[("xkey", "post:1")]);
    site.origin.hold("/a");
    let purges = async {
        site.asked("/a", 1).await;
        for target in [url("/a"), tag("post:1"), prefix("/a")] {
            // A purge that had to wait would end by its timeout.
            let receipt = site.purge(&[target], Mode::Hard).await.unwrap();
            assert_eq!(receipt.accepted, 1);
        }
        site.origin.release();
    };
    let (version, ()) = tokio::join!(site.visit(HOST, "/a"), purges);
    assert_eq!(version, 1);
    // What arrived after the purge is what the next one is about.
    site.origin.publish();
    let receipt = site.purge(&[url("/a")], Mode::Hard).await.unwrap();
    assert_eq!(receipt.copies, Some(1));
    assert_eq!(site.visit(HOST, "/a").await, 2);
}

#[tokio::test]
async fn a_tag_takes_its_pages_and_leaves_their_neighbours() {
    let site = Site::start().await;
    let tags = [
        ("/1", "post:1 list"),
        ("/10", "post:10,list"),
        ("/other", "post:1/x POST:1"),
        ("/both", "a post:1"),
    ];
    for (path, value) in tags {
        site.origin.set_headers(path, &[("xkey", value)]);
        assert_eq!(site.visit(HOST, path).await, 1);
    }
    site.origin.publish();
    let receipt = site.purge(&[tag("post:1"), tag("none")], Mode::Hard).await;
    let receipt = receipt.unwrap();
    assert_eq!((receipt.accepted, receipt.copies), (2, Some(2)));
    for (path, version) in [("/1", 2), ("/10", 1), ("/other", 1), ("/both", 2)] {
        assert_eq!(site.visit(HOST, path).await, version, "{path}");
    }
}

#[tokio::test]
async fn all_variants_of_a_page_are_gone() {
    let site = Site::start().await;
    // A purge asks for no language: it finds a variant of the first page, and none of the second.
    for (path, languages) in [("/a", ["", "de", "en"]), ("/b", ["de", "en", "fr"])] {
        site.origin
            .set_headers(path, &[("vary", "accept-language")]);
        for mode in [Mode::Hard, Mode::Soft] {
            for language in languages {
                site.visit_in(HOST, path, language).await;
            }
            site.origin.publish();
            let before = site.origin.requests(path);
            let receipt = site.purge(&[url(path)], mode).await.unwrap();
            assert_eq!(receipt.copies, Some(3), "{path}, {}", mode.as_str());
            for language in languages {
                site.visit_in(HOST, path, language).await;
            }
            site.asked(path, before + 3).await;
        }
    }
}

#[tokio::test]
async fn only_the_page_of_that_host_and_query_goes() {
    let site = Site::start().await;
    let pages = [
        (HOST, "/a"),
        ("other.example.com", "/a"),
        (HOST, "/a?x=1"),
        (HOST, "/a/"),
        (HOST, "/caf%C3%A9/A%20b/?b=2&q=%26"),
    ];
    for (host, path) in pages {
        assert_eq!(site.visit(host, path).await, 1);
    }
    site.origin.publish();
    for (host, path) in [("unknown.example.com", "/a"), (HOST, "/A")] {
        let target = site::page(&format!("https://{host}{path}"));
        let receipt = site
            .purge(&[Target::Url(target)], Mode::Hard)
            .await
            .unwrap();
        assert_eq!((receipt.accepted, receipt.copies), (1, Some(0)));
    }
    let receipt = site.purge(&[url("/a"), url(pages[4].1)], Mode::Hard).await;
    assert_eq!(receipt.unwrap().copies, Some(2));
    for ((host, path), version) in pages.into_iter().zip([2, 1, 1, 1, 2]) {
        assert_eq!(site.visit(host, path).await, version, "{host}{path}");
    }
}

#[tokio::test]
async fn a_page_is_found_however_visitors_write_its_query() {
    let site = Site::start().await;
    assert_eq!(
        site.visit(HOST, "/a?utm_source=x&b=2&fbclid=1&a=1&_ga")
            .await,
        1
    );
    assert_eq!(site.visit(HOST, "/b?gclid=1").await, 1);
    assert_eq!(site.visit(HOST, "/c?").await, 1);
    assert_eq!(site.visit(HOST, "/e|?a[]={1}^`").await, 1);
    site.origin.publish();
    let targets = [
        url("/a?b=2&a=1"),
        url("/b"),
        url("/c"),
        url("/e|?a[]={1}^`"),
    ];
    let receipt = site.purge(&targets, Mode::Hard).await.unwrap();
    assert_eq!(receipt.copies, Some(4));
    assert_eq!(site.visit(HOST, "/a?a=1&b=2&utm_x=2").await, 2);
    // What only looks like such a parameter is one of the page's own.
    assert_eq!(site.visit(HOST, "/d?gclids=1&my_ga=2").await, 2);
    assert_eq!(site.origin.requests("/d?gclids=1&my_ga=2"), 1);
}

#[tokio::test]
async fn the_origin_is_asked_for_what_edge_isr_calls_the_page() {
    let site = Site::start().await;
    for (written, page) in [
        ("/AT&", "/AT&"),
        ("/a&&b&utm_source=1", "/a&&b&utm_source=1"),
        ("/a?utm_source=1", "/a"),
        ("/a?&", "/a"),
        ("/b?c=1&&b=2&utm_x&a?b=/?&", "/b?a?b=/?&b=2&c=1"),
        ("/c?_gaz=1&a_gl=2&gclid", "/c?_gaz=1&a_gl=2"),
        ("/d?redirect=/x?utm_source=1", "/d?redirect=/x?utm_source=1"),
        ("/e?id[]=2&id[]=1", "/e?id%5B%5D=2&id%5B%5D=1"),
        ("/e?id[]=1&id[]=2", "/e?id%5B%5D=1&id%5B%5D=2"),
    ] {
        let target = url(written);
        assert_eq!(target, url(page), "{written} is that page");
        let before = site.origin.requests(page);
        site.visit(HOST, written).await;
        assert_eq!(site.origin.requests(page), before + 1, "{written}");
        let receipt = site.purge(&[target], Mode::Hard).await.unwrap();
        assert_eq!(receipt.copies, Some(1), "{written}");
    }
}

#[tokio::test]
async fn a_prefix_goes_by_whole_segments_and_a_host_by_its_whole_name() {
    let site = Site::start().await;
    let paths = [
        "/blog",
        "/blog?x=1",
        "/blog/1",
        "/blog/",
        "/blogger",
        "/",
        "/bXlog",
        "/x/blog",
    ];
    let other = "www-example.com";
    let visit_all = async || {
        let mut versions = Vec::new();
        for path in paths {
            versions.push(site.visit(HOST, path).await);
        }
        versions.push(site.visit(other, "/blog").await);
        versions
    };
    assert_eq!(visit_all().await, [1; 9]);

    site.origin.publish();
    let receipt = site.purge(&[prefix("/blog")], Mode::Hard).await.unwrap();
    assert_eq!((receipt.accepted, receipt.copies), (1, None));
    assert_eq!(visit_all().await, [2, 2, 2, 2, 1, 1, 1, 1, 1]);

    site.origin.publish();
    site.purge(&[prefix("/blog/")], Mode::Soft).await.unwrap();
    assert_eq!(visit_all().await, [2, 2, 3, 3, 1, 1, 1, 1, 1]);

    site.origin.publish();
    let host = Target::Host(HOST.to_owned());
    site.purge(&[host], Mode::Hard).await.unwrap();
    assert_eq!(visit_all().await, [4, 4, 4, 4, 4, 4, 4, 4, 1]);

    site.origin.publish();
    site.purge(&[Target::Everything], Mode::Hard).await.unwrap();
    assert_eq!(visit_all().await, [5; 9]);
}

#[tokio::test]
async fn a_path_is_no_regular_expression() {
    let site = Site::start().await;
    let paths = [
        "/a.b",
        "/(.*)",
        "/$",
        "/a+",
        "/*",
        "/a|b",
        "/caf%C3%A9",
        "/it's;a=1,2&@!~",
    ];
    for path in paths {
        site.visit(HOST, path).await;
    }
    for neighbour in ["/axb", "/", "/aa", "/b", "/a"] {
        assert_eq!(site.visit(HOST, neighbour).await, 1);
    }
    site.origin.publish();
    for path in paths {
        let receipt = site.purge(&[prefix(path)], Mode::Hard).await.unwrap();
        assert_eq!(receipt.accepted, 1);
        assert_eq!(site.visit(HOST, path).await, 2, "{path}");
    }
    for neighbour in ["/axb", "/", "/aa", "/b", "/a"] {
        assert_eq!(site.visit(HOST, neighbour).await, 1, "{neighbour}");
    }
}

#[tokio::test]
async fn what_is_no_host_bans_nothing() {
    let site = Site::start().await;
    site.visit(HOST, "/").await;
    site.origin.publish();
    for host in [
        "",
        "a || obj.status != 0",
        "a && obj.status != 0",
        "www.example.com && x",
        "*",
    ] {
        let answer = site
            .purge(&[Target::Host(host.to_owned())], Mode::Hard)
            .await;
        assert!(
            matches!(answer, Err(ConnectorError::Refused { .. })),
            "{host:?}: {answer:?}"
        );
    }
    assert_eq!(site.visit(HOST, "/").await, 1);
}

#[tokio::test]
async fn a_stranger_purges_nothing_and_is_told_where_to_be_let_in() {
    let site = Site::start_for(&["192.0.2.1"], site::VCL).await;
    site.visit(HOST, "/a").await;
    site.origin.publish();
    for target in [url("/a"), tag("post:1"), prefix("/a"), Target::Everything] {
        let error = site.purge(&[target], Mode::Soft).await.unwrap_err();
        assert!(!error.is_retryable());
        let text = error.to_string();
        assert!(
            text.contains("405") && text.contains("acl edge_isr_purgers"),
            "{text}"
        );
    }
    assert_eq!(site.visit(HOST, "/a").await, 1);
    let findings = site.connector.check().await.unwrap();
    assert_eq!(findings.len(), 3);
    for finding in findings {
        assert!(!finding.good && finding.text.contains("acl edge_isr_purgers"));
    }
}

#[tokio::test]
async fn a_varnish_without_the_vcl_is_not_believed() {
    // The language refuses a list that nothing looks at.
    let other = "sub vcl_recv { if (client.ip ~ edge_isr_purgers) { unset req.http.x-any; } }";
    let site = Site::start_for(&["127.0.0.1"], other).await;
    site.visit(HOST, "/a").await;
    let error = site.purge(&[url("/a")], Mode::Hard).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    let findings = site.connector.check().await.unwrap();
    assert!(findings.iter().all(|finding| !finding.good), "{findings:?}");
}

#[tokio::test]
async fn a_varnish_whose_backend_fails_asks_for_no_fewer_calls() {
    let failing = "sub vcl_recv { if (client.ip ~ edge_isr_purgers) { return (pass); } }
                   sub vcl_backend_fetch { return (error(503)); }";
    let site = Site::start_for(&["127.0.0.1"], failing).await;
    let response = site.request("PURGE", HOST, "/a", &[]).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], "5");
    let error = site.purge(&[url("/a")], Mode::Hard).await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn visitors_see_no_tags_and_cannot_purge_by_headers() {
    let site = Site::start().await;
    site.origin.set_headers("/a", &[("xkey", "post:1")]);
    let headers = [
        ("xkey-purge", "post:1"),
        ("x-ban-everything", "yes"),
        ("x-purged", "1"),
        ("x-purge-mode", "soft"),
    ];
    for _ in 0..2 {
        let response = site.request("GET", HOST, "/a", &headers).await;
        for name in ["xkey", "x-url", "x-host", "x-purged"] {
            assert!(!response.headers().contains_key(name), "{name}");
        }
    }
    assert_eq!(site.origin.requests("/a"), 1);
    for method in ["REFRESH", "purge", "BANNED"] {
        let response = site.request(method, HOST, "/m", &[]).await;
        assert_eq!(response.status(), 405, "{method}");
    }
    assert_eq!(site.origin.requests("/m"), 0);
}

#[tokio::test]
async fn a_machine_that_was_away_is_purged_when_it_is_back() {
    let mut site = Site::start().await;
    site.varnish.stop();
    let error = site.purge(&[url("/a")], Mode::Hard).await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );
    let error = site.connector.check().await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );

    site.varnish.start_again().await;
    site.visit(HOST, "/a").await;
    site.origin.publish();
    let receipt = site.purge(&[url("/a")], Mode::Hard).await.unwrap();
    assert_eq!(receipt.copies, Some(1));
    assert_eq!(site.visit(HOST, "/a").await, 2);
}

#[test]
fn each_machine_is_a_connector_of_its_own() {
    let options =
        "machines = ['http://10.0.0.1:6081', 'http://10.0.0.2:6081']\nxkey = false\nban = false";
    let connectors = site::connect(options);
    let names: Vec<&str> = connectors.iter().map(|it| it.name()).collect();
    assert_eq!(names, ["cache@10.0.0.1:6081", "cache@10.0.0.2:6081"]);
    let can = connectors[0].capabilities();
    assert!(can.url.is_some() && can.tag.is_none() && can.tags.is_none());
    assert!(can.prefix.is_none() && can.host.is_none() && can.everything.is_none());
}
