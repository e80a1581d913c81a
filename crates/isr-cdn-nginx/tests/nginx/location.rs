//! Purging by the location of the module.

use isr_core::{ConnectorError, Target};
use isr_testkit::{CountingOrigin, NginxModules};

use crate::site::{HOST, Site, connect, page, prefix, settle, start, url};

async fn site() -> Site {
    Site::with_location("", &[]).await
}

#[tokio::test]
async fn a_page_is_gone_with_its_purge_and_counted() {
    let site = site().await;
    assert_eq!(site.visit(HOST, "/a").await, 1);
    settle(&site, 1).await;
    site.origin.publish();
    assert_eq!(site.visit(HOST, "/a").await, 1);
    assert_eq!(site.origin.requests("/a"), 1);
    assert_eq!(site.copies(&[url("/a")]).await, 1);
    assert_eq!(site.visit(HOST, "/a").await, 2);
    assert_eq!(site.copies(&[url("/nothing")]).await, 0);
}

#[tokio::test]
async fn only_the_page_of_that_host_path_and_query_goes() {
    let site = site().await;
    let pages = [
        (HOST, "/a"),
        ("other.example.com", "/a"),
        (HOST, "/a?x=1"),
        (HOST, "/a/"),
        (HOST, "/caf%C3%A9/A%20b/?b=2&q=%26"),
        (HOST, "/purge/a"),
        (HOST, "//a"),
        (HOST, "/a%2Fb"),
    ];
    for (host, path) in pages.iter().filter(|(_, path)| *path != "/purge/a") {
        assert_eq!(site.visit(host, path).await, 1);
    }
    settle(&site, 7).await;
    site.origin.publish();
    let other = Target::Url(page("http://unknown.example.com/a"));
    assert_eq!(site.copies(&[other, url("/A"), url("/a/b")]).await, 0);
    let targets = [url("/a"), url(pages[4].1), url("//a"), url("/a%2Fb")];
    assert_eq!(site.copies(&targets).await, 4);
    for ((host, path), version) in pages.into_iter().zip([2, 1, 1, 1, 2, 0, 2, 2]) {
        if version > 0 {
            assert_eq!(site.visit(host, path).await, version, "{host}{path}");
        }
    }
}

#[tokio::test]
async fn variants_that_the_key_tells_apart_are_all_gone() {
    let options = "variant_headers = [{ accept-language = 'de' }, { accept-language = 'en' }]";
    let changes = [
        ("$request_uri\";", "$request_uri$http_accept_language\";"),
        (
            "$edge_isr_purged\";",
            "$edge_isr_purged$http_accept_language\";",
        ),
    ];
    let site = Site::with_location(options, &changes).await;
    let can = site.connector.capabilities().url.clone().unwrap();
    assert_eq!(can.items_per_target.get(), 3);
    for path in ["/a", "/b"] {
        for language in ["de", "", "en"] {
            assert_eq!(site.visit_in(HOST, path, language).await, 1);
        }
    }
    settle(&site, 6).await;
    site.origin.publish();
    assert_eq!(site.copies(&[url("/a")]).await, 3);
    for language in ["de", "", "en"] {
        assert_eq!(site.visit_in(HOST, "/a", language).await, 2);
        assert_eq!(site.visit_in(HOST, "/b", language).await, 1);
    }
}

#[tokio::test]
async fn variants_by_vary_are_gone_where_the_plain_one_was_cached_first() {
    let options = "variant_headers = [{ accept-language = 'de' }, { accept-language = 'en' }]";
    let site = Site::with_location(options, &[]).await;
    site.origin
        .set_headers("/a", &[("vary", "accept-language")]);
    for language in ["", "de", "en"] {
        assert_eq!(site.visit_in(HOST, "/a", language).await, 1);
    }
    settle(&site, 3).await;
    site.origin.publish();
    assert_eq!(site.copies(&[url("/a")]).await, 3);
    for language in ["en", "de", ""] {
        assert_eq!(site.visit_in(HOST, "/a", language).await, 2);
    }
}

#[tokio::test]
async fn a_stranger_purges_nothing_and_is_told_where_to_be_let_in() {
    let changes = [("allow 127.0.0.1;", "allow 192.0.2.1;")];
    let site = Site::with_location("", &changes).await;
    site.visit(HOST, "/a").await;
    settle(&site, 1).await;
    site.origin.publish();
    let error = site.purge(&[url("/a")]).await.unwrap_err();
    assert!(!error.is_retryable());
    let text = error.to_string();
    assert!(text.contains("403 Forbidden; allow the address"), "{text}");
    assert_eq!(site.visit(HOST, "/a").await, 1);
    let findings = site.connector.check().await.unwrap();
    assert!(findings.iter().all(|finding| !finding.good), "{findings:?}");
}

#[tokio::test]
async fn a_visitor_purges_nothing_at_the_origin() {
    let site = site().await;
    for method in ["PURGE", "BAN", "REFRESH"] {
        assert_eq!(site.status(method, "/a").await, 405, "{method}");
    }
    assert_eq!(site.origin.requests("/a"), 0);
}

#[tokio::test]
async fn an_nginx_without_the_location_is_not_believed() {
    let origin = CountingOrigin::start().await;
    let nginx = start(NginxModules::Stock, &origin, &[]).await;
    let options = format!("method = 'purge_location'\nmachines = ['{}']", nginx.url());
    let connector = connect(&options);
    // The origin answers 200 to what was meant for nginx.
    let error = connector.check().await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_machine_that_was_away_is_purged_when_it_is_back() {
    let mut site = site().await;
    site.visit(HOST, "/a").await;
    settle(&site, 1).await;
    site.nginx.stop();
    let error = site.purge(&[url("/a")]).await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );
    let error = site.connector.check().await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::Unreachable { .. }),
        "{error:?}"
    );

    site.nginx.start_again().await;
    site.origin.publish();
    assert_eq!(site.visit(HOST, "/a").await, 1, "it kept the page on disk");
    assert_eq!(site.copies(&[url("/a")]).await, 1);
    assert_eq!(site.visit(HOST, "/a").await, 2);
}

#[tokio::test]
async fn what_a_location_cannot_do_is_refused() {
    let site = site().await;
    for target in [
        prefix("/a"),
        Target::Host(HOST.to_owned()),
        Target::Everything,
    ] {
        assert!(!site.connector.capabilities().takes(&target));
        let error = site.purge(&[target]).await.unwrap_err();
        assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    }
}
