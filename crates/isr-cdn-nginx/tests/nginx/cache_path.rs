//! Purging a stock nginx by removing its files.

use isr_core::{ConnectorError, Tag, Target};

use crate::site::{self, HOST, Site, connect, page, prefix, settle, url};

async fn site() -> Site {
    Site::with_files("", &[]).await
}

#[tokio::test]
async fn a_page_is_gone_with_its_purge_and_counted() {
    // Where nginx writes what it is about to rename makes no difference.
    for temporary in ["use_temp_path=off", "use_temp_path=on"] {
        let site = Site::with_files("", &[("use_temp_path=off", temporary)]).await;
        assert_eq!(site.copies(&[url("/a")]).await, 0);
        for round in 1..=5 {
            assert_eq!(site.visit(HOST, "/a").await, round);
            settle(&site, 1).await;
            site.origin.publish();
            assert_eq!(site.visit(HOST, "/a").await, round);
            assert_eq!(site.origin.requests("/a"), round);
            assert_eq!(site.copies(&[url("/a")]).await, 1);
        }
    }
}

#[tokio::test]
async fn all_variants_are_gone_and_their_neighbours_stay() {
    let site = site().await;
    let pages = ["/a", "/a?x=1", "/a/", "/ab"];
    for path in pages {
        site.origin
            .set_headers(path, &[("vary", "accept-language")]);
        for language in ["de", "", "en"] {
            assert_eq!(site.visit_in(HOST, path, language).await, 1);
        }
    }
    assert_eq!(site.visit("other.example.com", "/a").await, 1);
    settle(&site, 13).await;
    site.origin.publish();
    assert_eq!(site.copies(&[url("/a")]).await, 3);
    settle(&site, 10).await;
    for language in ["en", "de", ""] {
        assert_eq!(site.visit_in(HOST, "/a", language).await, 2);
        for path in &pages[1..] {
            assert_eq!(site.visit_in(HOST, path, language).await, 1, "{path}");
        }
    }
    assert_eq!(site.visit("other.example.com", "/a").await, 1);
}

#[tokio::test]
async fn a_page_is_found_however_visitors_write_it() {
    let site = site().await;
    let spellings = [
        "/caf%C3%A9?a=1&b=2",
        "/caf%c3%a9?b=2&a=1",
        "/caf%C3%A9?b=2&utm_source=x&a=1",
        "/c%61f%C3%A9?a=1&b=2",
    ];
    for path in spellings {
        assert_eq!(site.visit(HOST, path).await, 1);
    }
    assert_eq!(site.visit(HOST, "/a[]|?b={}").await, 1);
    settle(&site, 5).await;
    site.origin.publish();
    // TLS may end in front of nginx, so a page's scheme does not count.
    let page = page(&format!("https://{HOST}/caf%C3%A9?a=1&b=2"));
    assert_eq!(
        site.copies(&[Target::Url(page), url("/a[]|?b={}")]).await,
        5
    );
    for path in spellings {
        assert_eq!(site.visit(HOST, path).await, 2, "{path}");
    }
}

#[tokio::test]
async fn a_page_is_stale_while_it_is_revalidated() {
    let site = site().await;
    let lifetimes = "max-age=0, s-maxage=1, stale-while-revalidate=600";
    site.origin
        .set_headers("/a", &[("cache-control", lifetimes)]);
    assert_eq!(site.visit(HOST, "/a").await, 1);
    site.origin.publish();
    let mut was_stale = false;
    let mut version = 1;
    while version == 1 {
        let response = site.request(HOST, "/a", "").await;
        let is_stale = response.headers()["x-cache"] == "STALE";
        version = site::version(response).await;
        was_stale |= is_stale;
    }
    assert!(was_stale, "the new page was waited for");
}

#[tokio::test]
async fn another_host_is_another_page() {
    let site = site().await;
    assert_eq!(site.visit(HOST, "/a").await, 1);
    settle(&site, 1).await;
    let other = Target::Url(page("http://example.com/a"));
    assert_eq!(site.copies(&[other]).await, 0);
    settle(&site, 1).await;
}

#[tokio::test]
async fn a_prefix_goes_by_whole_segments_and_a_host_by_its_whole_name() {
    let site = site().await;
    let paths = ["/blog", "/blog?x=1", "/blog/1", "/blogger", "/", "/*"];
    for path in paths {
        assert_eq!(site.visit(HOST, path).await, 1);
    }
    assert_eq!(site.visit("example.com", "/blog").await, 1);
    settle(&site, 7).await;
    assert_eq!(site.copies(&[prefix("/blog")]).await, 3);
    assert_eq!(site.copies(&[prefix("/*")]).await, 1);
    settle(&site, 3).await;
    assert_eq!(site.copies(&[Target::Host(HOST.to_owned())]).await, 2);
    settle(&site, 1).await;
    assert_eq!(site.copies(&[Target::Everything]).await, 1);
    settle(&site, 0).await;
    site.origin.publish();
    assert_eq!(site.visit("example.com", "/blog").await, 2);
}

#[tokio::test]
async fn one_page_among_two_thousand_is_found() {
    let site = site().await;
    let pages: Vec<String> = (0..2_000).map(|n| format!("/p/{n}")).collect();
    for path in &pages {
        site.visit(HOST, path).await;
    }
    settle(&site, 2_000).await;
    site.origin.publish();
    assert_eq!(site.copies(&[url("/p/7"), url("/p/1999")]).await, 2);
    settle(&site, 1_998).await;
    for (path, version) in [("/p/7", 2), ("/p/1999", 2), ("/p/70", 1), ("/p/199", 1)] {
        assert_eq!(site.visit(HOST, path).await, version, "{path}");
    }
    assert_eq!(site.copies(&[prefix("/p")]).await, 2_000);
    settle(&site, 0).await;
}

#[tokio::test]
async fn what_cannot_be_told_by_files_is_refused() {
    let site = site().await;
    let tag = Target::Tag(Tag::new("post:1").unwrap());
    assert!(!site.connector.capabilities().takes(&tag));
    let error = site.purge(&[tag]).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");

    let key = "key = '$scheme$proxy_host$request_uri'\nproxy_host = 'edge_isr_origin'";
    let changes = [(
        "$scheme://$host$request_uri",
        "$scheme$proxy_host$request_uri",
    )];
    let site = Site::with_files(key, &changes).await;
    let host = Target::Host(HOST.to_owned());
    assert!(!site.connector.capabilities().takes(&host));
    let error = site.purge(&[host]).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    assert_eq!(site.visit(HOST, "/a").await, 1);
    settle(&site, 1).await;
    assert_eq!(site.copies(&[url("/a")]).await, 1);
}

#[tokio::test]
async fn a_look_says_whether_files_fit_the_key() {
    let site = site().await;
    let good = async |connector: &dyn isr_core::CdnConnector| {
        let findings = connector.check().await.unwrap();
        findings.iter().all(|finding| finding.good)
    };
    assert!(good(&*site.connector).await);
    site.visit(HOST, "/a").await;
    settle(&site, 1).await;
    assert!(good(&*site.connector).await);
    settle(&site, 1).await;

    let path = site.nginx.cache();
    let options = format!("method = 'cache_path'\npath = '{}'", path.display());
    let other = connect(&format!("{options}\nkey = '$host$request_uri'"));
    let findings = other.check().await.unwrap();
    let bad = findings.iter().find(|finding| !finding.good).unwrap();
    assert!(bad.text.contains("http://www.example.com/a"), "{bad:?}");

    let small = connect(&format!("{options}\nmax_index_entries = 1"));
    assert!(good(&*small).await);
    site.visit(HOST, "/b").await;
    settle(&site, 2).await;
    assert!(!good(&*small).await);
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_a_failure_that_may_pass() {
    let connector = connect("method = 'cache_path'\npath = '/nonexistent/cache'");
    let error = connector.check().await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );
}
