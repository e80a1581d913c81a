//! Servers that start again with all or some of what they had, and replicas that take their place.

use super::*;

const LOG: [&str; 2] = ["--appendonly", "yes"];
const LOG_ON_DISK: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

async fn started_with(arguments: &[&str], trust_restarts: bool) -> Redis {
    let server = RedisServer::start_with(arguments).await;
    let store = open(RedisOptions {
        partitions: 2,
        trust_restarts,
        ..options(&server)
    });
    TimedStore::on_server(store, server)
}

/// Whether a store that was restarted goes on with the history that it had.
async fn goes_on_after_a_restart(mut redis: Redis) -> bool {
    let earlier = receipt([Target::Tag(tag("b", 1))]);
    redis.store.invalidate(earlier).await.unwrap();
    bind(&redis.store, "/1", &["a"]).await;
    let first = redis.store.position().await.unwrap().epoch;
    redis.store.dealt_with(first).await.unwrap();
    let receipt = redis
        .store
        .invalidate(receipt([Target::Url(page("/1"))]))
        .await
        .unwrap();
    let before = redis.store.position().await.unwrap();
    until_written(&redis.time).await;
    redis.time.restart().await;
    let after = redis.store.position().await.unwrap();
    let lost = redis.store.beginning().await.unwrap().map(|new| new.lost);
    assert_eq!(lost, (after.epoch != before.epoch).then_some(true));
    assert_eq!(pages_of(&redis.store, "a").await, ["/1"]);
    let known = redis.store.receipt(&receipt.id).await.unwrap();
    assert_eq!(known.map(|known| known.id), Some(receipt.id));
    let news = redis.store.news_since(&before, 10).await.unwrap();
    assert_eq!(news.gap, after.epoch != before.epoch);
    // What it has seen of a lost history counts for nothing.
    let bound = redis.store.tags_for(&page("/1")).await.unwrap().unwrap();
    let seen = u64::from(after.epoch == before.epoch);
    assert_eq!(
        (bound.generation.epoch, bound.generation.number),
        (after.epoch, seen)
    );
    after.epoch == before.epoch
}

/// Waits until the log has everything that the end of the process would take along: the server puts off writing while
/// the disk is busy.
async fn until_written(server: &RedisServer) {
    loop {
        let info = server.words(&["INFO", "persistence"]).await.concat();
        if info.contains("aof_buffer_length:0\r\n") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_log_that_is_on_disk_before_each_answer_loses_nothing() {
    assert!(goes_on_after_a_restart(started_with(&LOG_ON_DISK, false).await).await);
}

#[tokio::test]
async fn a_log_written_once_a_second_may_have_lost_something() {
    assert!(!goes_on_after_a_restart(started_with(&LOG, false).await).await);
}

#[tokio::test]
async fn whoever_knows_better_may_trust_such_a_log() {
    assert!(goes_on_after_a_restart(started_with(&LOG, true).await).await);
}

#[tokio::test]
async fn what_a_snapshot_does_not_have_is_missed() {
    let Redis {
        time: mut server,
        store,
        ..
    } = started_with(&[], true).await;
    bind(&store, "/1", &["a"]).await;
    assert_eq!(server.execute(&["SAVE"]).await, "+OK");
    let made = store
        .invalidate(receipt([Target::Tag(tag("a", 1))]))
        .await
        .unwrap();
    let after_it = store.position().await.unwrap();
    server.restart().await;

    // What was lost may have been about anything, so what was read before it counts for nothing, whatever
    // the numbers say.
    assert_eq!(store.receipt(&made.id).await.unwrap(), None);
    assert!(store.news_since(&after_it, 10).await.unwrap().gap);
    let of_then = after_it.generation_of(&page("/1"));
    let outcome = bind_under(&store, "/1", &["a"], of_then).await;
    assert!(
        matches!(
            outcome,
            BindOutcome::Superseded {
                mode: Mode::Hard,
                ..
            }
        ),
        "{outcome:?}"
    );
    // The pages that it has are there, and go on being so.
    assert_eq!(pages_of(&store, "a").await, ["/1"]);
    assert!(bind(&store, "/2", &["a"]).await.is_bound());
}

#[tokio::test]
async fn everybody_hears_of_one_loss_once() {
    let Redis {
        time: mut server,
        store,
        ..
    } = started_with(&LOG, false).await;
    let others: Vec<_> = (0..4)
        .map(|_| {
            open(RedisOptions {
                partitions: 2,
                ..options(&server)
            })
        })
        .collect();
    let before = store.position().await.unwrap();
    for other in &others {
        assert_eq!(other.position().await.unwrap(), before);
    }
    server.restart().await;
    let asked = others.iter().map(|other| other.position());
    let after = futures_util::future::try_join_all(asked).await.unwrap();
    assert_ne!(after[0].epoch, before.epoch);
    assert!(after.iter().all(|other| *other == after[0]), "{after:?}");
    assert_eq!(store.position().await.unwrap(), after[0]);
}

/// A server, and one that follows it closely.
async fn pair() -> (RedisServer, RedisServer) {
    let master = RedisServer::start().await;
    let port = master.port().to_string();
    let replica = RedisServer::start_with(&["--replicaof", "127.0.0.1", &port]).await;
    while master.execute(&["WAIT", "1", "1000"]).await != ":1" {}
    (master, replica)
}

fn replicated(server: &RedisServer) -> Arc<RedisStore> {
    open(RedisOptions {
        replicas: 1,
        ..options(server)
    })
}

/// Lets the replica take its master's place, once it was seen that it had been there all along.
async fn promote(master: &mut RedisServer, replica: &RedisServer) {
    // A server tells when it started to a second, so it is looked at some seconds later.
    replica.until_up_for(4).await;
    bind(&replicated(master), "/last", &["last"]).await;
    master.kill();
    assert_eq!(replica.execute(&["REPLICAOF", "NO", "ONE"]).await, "+OK");
}

#[tokio::test]
async fn a_replica_that_every_change_waited_for_goes_on() {
    let (mut master, replica) = pair().await;
    let store = replicated(&master);
    bind(&store, "/1", &["a"]).await;
    let before = store.position().await.unwrap();
    promote(&mut master, &replica).await;
    let successor = replicated(&replica);
    assert_eq!(successor.position().await.unwrap(), before);
    assert_eq!(pages_of(&successor, "a").await, ["/1"]);
}

#[tokio::test]
async fn a_replica_that_nobody_waited_for_may_have_been_behind() {
    let (mut master, replica) = pair().await;
    let store = open(options(&master));
    bind(&store, "/1", &["a"]).await;
    let before = store.position().await.unwrap();
    promote(&mut master, &replica).await;
    let successor = open(options(&replica));
    assert_ne!(successor.position().await.unwrap().epoch, before.epoch);
    assert_eq!(pages_of(&successor, "a").await, ["/1"]);
}

#[tokio::test]
async fn a_change_that_no_replica_has_is_not_acknowledged() {
    let server = RedisServer::start().await;
    let store = open(RedisOptions {
        replicas: 1,
        response_timeout: Duration::from_millis(400),
        ..options(&server)
    });
    let error = store
        .invalidate(receipt([Target::Url(page("/1"))]))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("only 0 of 1 replicas"), "{source}");
    // To look is still possible.
    assert_eq!(pages_of(&store, "a").await, [""; 0]);
}

#[tokio::test]
async fn a_master_that_became_a_replica_answers_nobody() {
    let (master, replica) = pair().await;
    let store = open(options(&master));
    bind(&store, "/1", &["a"]).await;
    let before = store.position().await.unwrap();
    assert_eq!(replica.execute(&["REPLICAOF", "NO", "ONE"]).await, "+OK");
    let port = replica.port().to_string();
    assert_eq!(
        master.execute(&["REPLICAOF", "127.0.0.1", &port]).await,
        "+OK"
    );
    // Not even what changes nothing: what it says may be old.
    for _ in 0..2 {
        let error = store.position().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    let now = generation(&open(options(&replica)), "/1").await;
    let one = Bind {
        url: page("/1"),
        variant: VariantKey::default(),
        tags: TagSet::try_from_iter([tag("a", 1)]).unwrap(),
        generation: now,
        lifetime: Duration::from_hours(1),
    };
    assert!(store.bind(&[one]).await.is_err());
    // Whatever was acknowledged elsewhere in the meantime may be missing when it is a master again.
    assert_eq!(master.execute(&["REPLICAOF", "NO", "ONE"]).await, "+OK");
    let after = store.position().await.unwrap();
    assert_ne!(after.epoch, before.epoch);
}
