//! Workers elsewhere hear of what is queued.

use super::*;

#[tokio::test]
async fn a_worker_elsewhere_hears_of_what_is_queued() {
    let Redis {
        time: server,
        store,
        ..
    } = fresh(4).await;
    let elsewhere = open(RedisOptions {
        partitions: 4,
        ..options(&server)
    });
    let heard = async || tokio::time::timeout(PATIENT, elsewhere.queued()).await;
    heard().await.expect("it asks once it listens");
    let nothing = tokio::time::timeout(Duration::from_millis(50), elsewhere.queued()).await;
    assert!(nothing.is_err(), "nothing has been queued");

    let receipt = receipt([Target::Tag(tag("a", 1))]);
    store.invalidate(receipt).await.unwrap();
    heard().await.expect("a revalidation was queued");

    let at = store.position().await.unwrap();
    let work = ["/1", "/2", "/3"].map(|path| {
        let generation = at.generation_of(&page(path));
        PageWork::new(page(path), generation, PageReason::InFlight)
    });
    store.queue_pages(&work, Duration::ZERO).await.unwrap();
    heard().await.expect("pages were queued");

    // Pages of other partitions may have told of theirs a moment later.
    server.execute(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    heard().await.expect("it listens again, and asks then");
}

#[tokio::test]
async fn whoever_may_not_publish_can_revalidate_all_the_same() {
    let server = RedisServer::start().await;
    let user = ["ACL", "SETUSER", "quiet", "on", ">word", "~*", "+@all"];
    assert_eq!(server.execute(&user).await, "+OK");
    let url = server.url().replace("redis://", "redis://quiet:word@");
    let store = open(options_at(url));
    let receipt = receipt([Target::Tag(tag("a", 1))]);
    store.invalidate(receipt).await.unwrap();
    assert_eq!(store.depth().await.unwrap().revalidations, 1);
}
