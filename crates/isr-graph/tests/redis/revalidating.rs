//! Revalidations over several partitions, and what is remembered of them.

use super::*;

/// The caller of a revalidation may die, or not reach some partition, after the home partition has it.
#[tokio::test]
async fn a_revalidation_that_reached_the_home_partition_only_is_completed() {
    for by_worker in [true, false] {
        let Redis {
            time: server,
            store,
            ..
        } = fresh(4).await;
        let before = store.position().await.unwrap();
        let asked = receipt([Target::Host("site.example".into())]);
        // The other partitions cannot be written while their numbers are of another type.
        for partition in 1..4 {
            server
                .execute(&["SET", &format!("isr:{{default:{partition}}}:h"), "x"])
                .await;
        }
        let error = store.invalidate(asked.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        for partition in 1..4 {
            server
                .execute(&["DEL", &format!("isr:{{default:{partition}}}:h")])
                .await;
        }
        let done = if by_worker {
            let worker = WorkerId("w".into());
            let hour = Duration::from_hours(1);
            let claimed = store.claim_revalidations(&worker, 1, hour).await.unwrap();
            claimed[0].work.clone()
        } else {
            store.invalidate(asked).await.unwrap()
        };
        let now = store.position().await.unwrap();
        assert_eq!(done.position, Some(now.clone()), "by a worker: {by_worker}");
        let moved = now.numbers().iter().zip(before.numbers());
        assert!(
            moved.into_iter().all(|(now, before)| *now == before + 1),
            "{now:?}"
        );
    }
}

/// A worker may die, or not reach some partition, after the home partition has begun what was scheduled.
#[tokio::test]
async fn a_scheduled_revalidation_that_began_in_the_home_partition_only_is_completed() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(4).await;
    let before = store.position().await.unwrap();
    let mut asked = receipt([Target::Host("site.example".into())]);
    let wait = Duration::from_millis(1_100);
    asked.options.at = Some(store.time().await.unwrap().after(wait));
    let asked = store.invalidate(asked).await.unwrap();
    for partition in 1..4 {
        let history = format!("isr:{{default:{partition}}}:h");
        server.execute(&["SET", &history, "x"]).await;
    }
    let (worker, hour) = (WorkerId("w".into()), Duration::from_hours(1));
    let claim = async || store.claim_revalidations(&worker, 1, hour).await;
    let error = loop {
        match claim().await {
            Ok(claimed) => assert_eq!(claimed, []),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    for partition in 1..4 {
        let history = format!("isr:{{default:{partition}}}:h");
        server.execute(&["DEL", &history]).await;
    }
    let done = claim().await.unwrap().remove(0).work;
    let now = store.position().await.unwrap();
    assert_eq!((done.id, done.position), (asked.id, Some(now.clone())));
    let each = before.numbers().iter().map(|number| number + 1);
    assert_eq!(now.numbers(), each.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_history_forgets_the_oldest_revalidations_first() {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        history: 4,
        ..options(&server)
    });
    let start = store.position().await.unwrap();
    let mut positions = Vec::new();
    for n in 0..10 {
        positions.push(
            store
                .invalidate(receipt([Target::Tag(tag("t", n))]))
                .await
                .unwrap()
                .position
                .unwrap(),
        );
    }
    assert!(store.news_since(&start, 100).await.unwrap().gap);
    let news = store.news_since(&positions[5], 100).await.unwrap();
    assert_eq!((news.heard.len(), news.gap), (4, false));
    let old = start.generation_of(&page("/"));
    assert!(
        !bind_under(&store, "/", &["other"], old).await.is_bound(),
        "nobody can say any more"
    );
    let newer = positions[5].generation_of(&page("/"));
    assert!(bind_under(&store, "/", &["other"], newer).await.is_bound());
    for n in 6..10 {
        let text = format!("t:{n}");
        assert!(
            !bind_under(&store, "/", &[&text], newer).await.is_bound(),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_full_queue_takes_nothing_more() {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        queue: 2,
        ..options(&server)
    });
    for n in 0..2 {
        store
            .invalidate(receipt([Target::Tag(tag("t", n))]))
            .await
            .unwrap();
    }
    let position = store.position().await.unwrap();
    let error = store
        .invalidate(receipt([Target::Tag(tag("t", 3))]))
        .await
        .unwrap_err();
    assert!(
        matches!(error, StoreError::QueueFull { limit: 2 }),
        "{error:?}"
    );
    assert_eq!(
        store.position().await.unwrap(),
        position,
        "no generation has moved"
    );
}

/// The scripts work the ancestors of a path out by themselves; they must find those that `PageUrl` does.
#[tokio::test]
async fn every_prefix_that_concerns_a_page_supersedes_it() {
    let Redis {
        time: _server,
        store,
        ..
    } = fresh(1).await;
    let prefixes = [
        "/", "/a", "/a/", "/a/b", "/a//", "/a//b", "/a/b/", "/ab", "/a?q",
    ];
    let pages = [
        "/",
        "/a",
        "/a/",
        "/a/b",
        "/a//b",
        "/a/b/",
        "/a/b/c?x=/y",
        "/ab",
        "/a?q",
        "/?/a",
    ];
    for prefix in prefixes.map(page).iter().map(PageUrl::without_query) {
        for path in pages {
            let started = generation(&store, path).await;
            let target = Target::Prefix(prefix.clone());
            let concerned = target.concerns(&page(path), std::iter::empty());
            store.invalidate(receipt([target])).await.unwrap();
            let outcome = bind_under(&store, path, &["x"], started).await;
            assert_eq!(outcome.is_bound(), !concerned, "{prefix} and {path}");
        }
    }
}

#[tokio::test]
async fn one_collection_removes_every_receipt_that_is_kept_no_longer() {
    const MANY: usize = 600;
    let server = RedisServer::start().await;
    let second = Duration::from_secs(1);
    let store = open(RedisOptions {
        keep_receipts: second,
        ..options(&server)
    });
    let worker = WorkerId("w".into());
    for n in 0..MANY {
        let made = receipt([Target::Tag(tag("t", n as u64))]);
        store.invalidate(made).await.unwrap();
        let claimed = store.claim_revalidations(&worker, 1, 60 * second).await;
        let claimed = claimed.unwrap().remove(0);
        let left = store.leave(&claimed.claim, &claimed.work, &Leave::Done);
        left.await.unwrap();
    }
    let over = store.time().await.unwrap().after(2 * second);
    while store.time().await.unwrap() < over {
        tokio::time::sleep(second / 50).await;
    }
    let mut removed = 0;
    loop {
        let collected = store.collect_garbage(10_000).await.unwrap();
        removed += collected.receipts;
        if !collected.more {
            break;
        }
    }
    assert_eq!(removed, MANY as u64);
}
