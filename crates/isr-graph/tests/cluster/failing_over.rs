//! Masters that die, and the replicas that take their places.

use super::*;

#[tokio::test]
async fn a_failover_is_survived_and_taken_for_a_loss() {
    let mut cluster = RedisCluster::start_with_replicas(3, &[]).await;
    let careful = open(RedisOptions {
        replicas: 1,
        ..options(&cluster)
    });
    let at = careful.position().await.unwrap();
    let binds: Vec<Bind> = (0..100)
        .map(|number| bind_of(number, &["a"], &at))
        .collect();
    careful.bind(&binds).await.unwrap();
    // Whoever comes now does not wait for replicas, so nobody can know that nothing is missing.
    let store = open(options(&cluster));
    store.open().await.unwrap();

    cluster.expect_failures().await;
    cluster.node_mut(0).kill();
    let after = in_the_end(|| store.position()).await;
    assert_ne!(after.epoch, at.epoch, "nobody waited for the replica");
    assert!(store.news_since(&at, 10).await.unwrap().gap);
    assert_eq!(pages_of(&store, "a").await.unwrap().len(), 100);
    let late = store.bind(&[bind_of(1, &["a"], &at)]).await.unwrap();
    assert!(matches!(
        late[0],
        BindOutcome::Superseded {
            mode: Mode::Hard,
            ..
        }
    ));
    // The one that died comes back as a replica, and changes nothing.
    cluster.node_mut(0).restart().await;
    cluster.until_serving(0).await;
    assert_eq!(store.position().await.unwrap(), after);
}

/// Callers go on while a master dies; what waited for the replica is there afterwards, in the same history.
#[tokio::test]
async fn what_the_replicas_have_survives_a_failover() {
    let mut cluster = RedisCluster::start_with_replicas(3, &[]).await;
    let replicated = || RedisOptions {
        replicas: 1,
        ..options(&cluster)
    };
    let store = open(replicated());
    let before = store.position().await.unwrap();
    // Servers tell when they started to a second; they have to have been there some time before.
    tokio::time::sleep(Duration::from_secs(4)).await;
    open(replicated()).open().await.unwrap();

    let callers = Callers::start(&store);
    tokio::time::sleep(Duration::from_millis(500)).await;
    cluster.expect_failures().await;
    cluster.node_mut(1).kill();
    // A call to every partition succeeds once the replica serves, also when others were under way when the master
    // died.
    in_the_end(|| store.position()).await;
    // Without its master, a replica that took over has no replica of its own: the old master becomes it.
    cluster.node_mut(1).restart().await;
    let made = callers.stop().await;

    let after = in_the_end(|| store.position()).await;
    assert_eq!(after.epoch, before.epoch);
    assert_eq!(pages_of(&store, "all").await.unwrap().len(), made.len());
    for id in &made {
        let known = store.receipt(id).await.unwrap();
        assert!(known.is_some(), "{id} was acknowledged");
    }
}
