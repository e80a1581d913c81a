//! Slots that are moved between masters while the store is used.

use super::*;

/// It listens at one node, and the slots are at three.
#[tokio::test]
async fn a_worker_elsewhere_hears_of_what_is_queued_anywhere() {
    let cluster = RedisCluster::start(3).await;
    let (store, elsewhere) = (open(options(&cluster)), open(options(&cluster)));
    elsewhere.queued().await;
    for number in 0..20 {
        let receipt = receipt([Target::Url(page(number))]);
        store.invalidate(receipt).await.unwrap();
        let heard = tokio::time::timeout(PATIENT, elsewhere.queued()).await;
        heard.expect("a revalidation was queued");
    }
}

/// The slot of a partition of the site `default`, and who has it.
async fn place_of(cluster: &RedisCluster, partition: u16) -> (String, usize) {
    let slot = cluster
        .slot_of(&format!("isr:{{default:{partition}}}:c"))
        .await;
    let owner = cluster.owner_of(&slot, 0).await;
    (slot, owner)
}

/// The number of a page in a partition.
fn page_in(partition: u16) -> usize {
    (0..1_000)
        .find(|&number| isr_core::Partition::of(&page(number), PARTITIONS).0 == partition)
        .unwrap()
}

#[tokio::test]
async fn moving_slots_is_no_loss() {
    let cluster = RedisCluster::start(3).await;
    let store = open(options(&cluster));
    let before = store.position().await.unwrap();
    for partition in 0..PARTITIONS {
        let number = page_in(partition);
        let outcome = store
            .bind(&[bind_of(number, &["a"], &before)])
            .await
            .unwrap();
        assert!(outcome[0].is_bound());
    }
    let pages = pages_of(&store, "a").await.unwrap();
    assert_eq!(pages.len(), usize::from(PARTITIONS));
    for partition in 0..PARTITIONS {
        let (slot, from) = place_of(&cluster, partition).await;
        cluster.move_slot(&slot, from, (from + 1) % 3).await;
        let after = in_the_end(|| store.position()).await;
        assert_eq!(after.epoch, before.epoch, "partition {partition}");
        assert_eq!(pages_of(&store, "a").await.unwrap(), pages);
    }
    // Whoever comes later sees the same.
    let other = open(options(&cluster));
    assert_eq!(other.position().await.unwrap().epoch, before.epoch);
    assert_eq!(pages_of(&other, "a").await.unwrap(), pages);
}

/// Half-way through a move, keys that are missing in one place may be in the other. Nothing is done by
/// halves then.
#[tokio::test]
async fn a_slot_that_is_half_moved_is_waited_for() {
    let cluster = RedisCluster::start(3).await;
    let patient = RedisOptions {
        response_timeout: Duration::from_millis(500),
        ..options(&cluster)
    };
    let store = open(patient);
    let partition = 3;
    let mine: Vec<usize> = (0..4_000)
        .filter(|&number| isr_core::Partition::of(&page(number), PARTITIONS).0 == partition)
        .collect();
    let at = store.position().await.unwrap();
    let binds: Vec<Bind> = mine[..400]
        .iter()
        .map(|&number| bind_of(number, &["a", "b"], &at))
        .collect();
    store.bind(&binds).await.unwrap();
    let made = store.invalidate(receipt([Target::Tag("a".parse().unwrap())]));
    let made = made.await.unwrap();
    let before = store.position().await.unwrap();

    let (slot, from) = place_of(&cluster, partition).await;
    let to = (from + 1) % 3;
    cluster.begin_move(&slot, from, to).await;
    let late = bind_of(mine[0], &["a"], &at);
    loop {
        // Nothing of this partition is answered, whichever of its keys are where. The others go on.
        let error = store.bind(std::slice::from_ref(&late)).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        let (moved, left) = (3, cluster.move_keys(&slot, from, to, 150).await);
        if left < moved {
            break;
        }
    }
    cluster.end_move(&slot, from, to).await;

    let outcome = in_the_end(|| store.bind(std::slice::from_ref(&late))).await;
    let BindOutcome::Superseded { mode, .. } = outcome[0] else {
        panic!("the mark of the revalidation moved too: {outcome:?}");
    };
    assert_eq!(mode, Mode::Soft);
    assert_eq!(store.position().await.unwrap(), before);
    let again = store.invalidate(made.clone()).await.unwrap();
    assert_eq!(again.position, made.position);
    let statistics = store.statistics(2).await.unwrap();
    assert_eq!((statistics.pages, statistics.edges), (400, 800));
    assert_eq!(pages_of(&store, "b").await.unwrap().len(), 400);
}

/// Callers who bind, revalidate and work while slot after slot is moved.
#[tokio::test]
async fn resharding_under_load_loses_nothing() {
    let cluster = RedisCluster::start(3).await;
    let store = open(options(&cluster));
    let before = store.position().await.unwrap();
    let callers = Callers::start(&store);
    for partition in 0..PARTITIONS {
        let (slot, from) = place_of(&cluster, partition).await;
        cluster.move_slot(&slot, from, (from + 1) % 3).await;
    }
    let made = callers.stop().await;
    assert!(!made.is_empty());

    // Every page is there, every revalidation counts once, and has one job.
    let pages = pages_of(&store, "all").await.unwrap();
    assert_eq!(pages.len(), made.len());
    let after = store.position().await.unwrap();
    assert_eq!(after.epoch, before.epoch);
    for partition in 0..PARTITIONS {
        let number = after.number(isr_core::Partition(partition));
        assert_eq!(number, made.len() as u64, "partition {partition}");
    }
    let mut claimed = std::collections::BTreeSet::new();
    let worker = WorkerId("worker".to_owned());
    loop {
        let lease = Duration::from_mins(1);
        let jobs = store.claim_revalidations(&worker, 50, lease).await.unwrap();
        if jobs.is_empty() {
            break;
        }
        for job in jobs {
            assert!(claimed.insert(job.work.id), "claimed twice");
            store
                .leave(&job.claim, &job.work, &Leave::Done)
                .await
                .unwrap();
        }
    }
    assert_eq!(claimed, made.into_iter().collect());
}
