//! Servers that go away, come back, hang, forget, or are full.

use super::*;

#[tokio::test]
async fn a_server_that_forgot_the_scripts_is_given_them_again() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(2).await;
    bind(&store, "/1", &["a"]).await;
    assert_eq!(server.execute(&["SCRIPT", "FLUSH"]).await, "+OK");
    bind(&store, "/2", &["a"]).await;
    server.execute(&["SCRIPT", "FLUSH"]).await;
    assert_eq!(pages_of(&store, "a").await, ["/1", "/2"]);
    server.execute(&["SCRIPT", "FLUSH"]).await;
    store
        .invalidate(receipt([Target::Tag(tag("a", 1))]))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broken_connection_is_replaced() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
    for _ in 0..3 {
        server.execute(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        bind(&store, "/2", &["a"]).await;
        server.execute(&["CLIENT", "KILL", "TYPE", "normal"]).await;
        assert_eq!(pages_of(&store, "a").await, ["/1", "/2"]);
    }
}

#[tokio::test]
async fn a_server_that_came_back_empty_begins_a_new_epoch() {
    let Redis {
        time: mut server,
        store,
        ..
    } = fresh(2).await;
    let before = store.position().await.unwrap();
    bind(&store, "/1", &["a"]).await;
    server.restart().await;
    let outcome = bind_under(&store, "/1", &["a"], before.generation_of(&page("/1"))).await;
    let BindOutcome::Superseded {
        current,
        mode: Mode::Hard,
    } = outcome
    else {
        panic!("a generation of the lost history must not count: {outcome:?}")
    };
    assert_ne!(current.epoch, before.epoch);
    assert!(store.news_since(&before, 10).await.unwrap().gap);
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
}

#[tokio::test]
async fn one_emptied_partition_begins_a_new_epoch_for_all() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(2).await;
    let before = store.position().await.unwrap();
    bind(&store, "/1", &["a"]).await;
    server
        .execute(&["DEL", "isr:{default:1}:c", "isr:{default:1}:m"])
        .await;
    let after = store.position().await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert!(store.news_since(&before, 10).await.unwrap().gap);
    assert!(bind(&store, "/2", &["a"]).await.is_bound());
}

#[tokio::test]
async fn a_server_that_is_away_is_unavailable_and_used_again_once_it_is_back() {
    let Redis {
        time: mut server,
        store,
        ..
    } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    server.kill();
    let error = store.position().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    server.restart().await;
    assert!(bind(&store, "/1", &["a"]).await.is_bound());
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_on_after_the_timeout() {
    let server = RedisServer::start().await;
    let short = Duration::from_millis(200);
    let store = open(RedisOptions {
        response_timeout: short,
        connect_timeout: short,
        ..options(&server)
    });
    bind(&store, "/1", &["a"]).await;
    server.pause();
    for _ in 0..2 {
        let error = store.position().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    server.resume();
    while store.position().await.is_err() {}
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
}

#[tokio::test]
async fn nothing_that_is_shown_holds_the_password() {
    let url = "redis://someone:hunter2@127.0.0.1:1/".to_owned();
    let store = RedisStore::new(RedisOptions::new(Secret::new(url))).unwrap();
    let error = store.open().await.unwrap_err();
    let shown = format!("{store:?} {error:?} {error}");
    assert!(!shown.contains("hunter2"), "{shown}");
    let malformed = RedisOptions::new(Secret::new("hunter2://x y"));
    let error = RedisStore::new(malformed).unwrap_err();
    assert!(
        !format!("{error:?} {error}").contains("hunter2"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_full_server_says_so_and_keeps_what_it_has() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(1).await;
    bind(&store, "/1", &["a"]).await;
    server.execute(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let bind_other = Bind {
        url: page("/2"),
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter([tag("a", 1)]).unwrap(),
        generation: generation(&store, "/2").await,
        lifetime: Duration::from_hours(1),
    };
    let error = store.bind(&[bind_other]).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    let error = store
        .invalidate(receipt([Target::Url(page("/1"))]))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
    server.execute(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(bind(&store, "/2", &["a"]).await.is_bound());
}

/// Whoever binds a page may send those of others with it, and may be dropped while he does.
#[tokio::test]
async fn binds_that_share_a_call_do_not_depend_on_one_another() {
    let Redis {
        time: _server,
        store,
        ..
    } = fresh(1).await;
    let now = generation(&store, "/").await;
    let callers: Vec<_> = (0..300)
        .map(|n| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { bind_under(&store, &format!("/{n}"), &["a"], now).await })
        })
        .collect();
    for (n, caller) in callers.iter().enumerate() {
        if n % 3 == 0 {
            caller.abort();
        } else if n % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for (n, caller) in callers.into_iter().enumerate() {
        match caller.await {
            Ok(outcome) => assert!(outcome.is_bound(), "/{n}"),
            Err(error) => assert!(error.is_cancelled() && n % 3 == 0, "/{n}: {error}"),
        }
    }
    let found = pages_of(&store, "a").await;
    for n in (0..300).filter(|n| n % 3 != 0) {
        assert!(found.contains(&format!("/{n}")), "/{n}");
    }
}
