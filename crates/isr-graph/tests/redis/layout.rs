//! What is kept, and who may see it.

use super::*;

#[tokio::test]
async fn a_newer_layout_is_refused() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(1).await;
    store.open().await.unwrap();
    server
        .execute(&["HSET", "isr:{default:0}:m", "layout", "99"])
        .await;
    let error = open(options(&server)).open().await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::NewerLayout {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(4).await;
    store.open().await.unwrap();
    let error = open(options(&server)).open().await.unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::OtherPartitions {
                found: 4,
                configured: 1,
                ..
            }
        ),
        "{error:?}"
    );
    assert!(bind(&store, "/1", &["a"]).await.is_bound());
}

#[tokio::test]
async fn two_sites_on_one_server_see_nothing_of_one_another() {
    let server = RedisServer::start().await;
    let site = |name: &str| {
        open(RedisOptions {
            site: name.to_owned(),
            ..options(&server)
        })
    };
    let (one, two) = (site("one"), site("two"));
    bind(&one, "/1", &["a"]).await;
    let started = generation(&two, "/1").await;
    one.invalidate(receipt([Target::Tag("a".parse().unwrap())]))
        .await
        .unwrap();
    assert_eq!(pages_of(&two, "a").await, [""; 0]);
    assert_eq!(two.tags_for(&page("/1")).await.unwrap(), None);
    assert!(bind_under(&two, "/1", &["a"], started).await.is_bound());
    assert_eq!(two.depth().await.unwrap().revalidations, 0);
}

#[tokio::test]
async fn pages_of_many_sizes_and_tags_of_many_pages_are_all_found() {
    let Redis {
        time: _server,
        store,
        ..
    } = fresh(1).await;
    let now = store.position().await.unwrap();
    let path = |n: usize| format!("/{}/{n}", "long".repeat(n % 97));
    let binds: Vec<Bind> = (0..3_000)
        .map(|n| {
            let tags = (0..n % 7)
                .map(|k| tag("few", n * k / 50))
                .chain([tag("all", 1)]);
            Bind {
                url: page(&path(n)),
                variant: VariantKey::default(),
                tags: TagSet::try_from_iter(tags).unwrap(),
                generation: now.generation_of(&page("/")),
                lifetime: Duration::from_hours(1),
            }
        })
        .collect();
    for outcome in store.bind(&binds).await.unwrap() {
        assert!(outcome.is_bound());
    }
    let mut expected: Vec<String> = (0..3_000).map(path).collect();
    expected.sort();
    for limit in [7, 1_000] {
        assert_eq!(
            walk(&store, &Target::Tag(tag("all", 1)), limit).await,
            expected,
            "by {limit}"
        );
        assert_eq!(
            walk(&store, &Target::Everything, limit).await,
            expected,
            "by {limit}"
        );
    }
    for bind in binds.iter().step_by(331) {
        let known = store.tags_for(&bind.url).await.unwrap().unwrap();
        let mut tags: Vec<_> = known.tags.into_iter().map(|bound| bound.tag).collect();
        tags.sort();
        assert_eq!(tags, bind.tags.as_slice(), "{}", bind.url);
    }
    let urls: Vec<PageUrl> = binds.iter().map(|bind| bind.url.clone()).collect();
    assert_eq!(store.unbind(&urls[..2_000]).await.unwrap(), 2_000);
    assert_eq!(store.unbind(&urls[..2_000]).await.unwrap(), 0);
    let mut left: Vec<String> = (2_000..3_000).map(path).collect();
    left.sort();
    assert_eq!(walk(&store, &Target::Tag(tag("all", 1)), 1_000).await, left);
    while store.collect_garbage(100_000).await.unwrap().more {}
    let statistics = store.statistics(20).await.unwrap();
    assert_eq!(statistics.pages, 1_000);
    assert_eq!(
        statistics.largest_tags[0],
        (tag("all", 1), 1_000),
        "what was forgotten is gone"
    );
    assert_eq!(walk(&store, &Target::Tag(tag("all", 1)), 1_000).await, left);
    assert!(bind(&store, &path(1), &["all:1"]).await.is_bound());
    assert_eq!(
        walk(&store, &Target::Tag(tag("all", 1)), 1_000).await.len(),
        1_001
    );
}
