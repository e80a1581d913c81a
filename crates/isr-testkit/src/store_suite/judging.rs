//! Which responses may be kept, by what was revalidated while they were rendered.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::time::Duration;

use isr_core::{Bind, BindOutcome, Epoch, Generation, Mode, PageReason, Target};

use super::StoreFixture;
use super::make::{
    LONG_LEASE, bind, bind_now, bind_one, generation, page, pages_of, receipt_of, revalidate, set,
    tag, worker,
};

pub async fn a_bind_after_the_revalidation_is_bound(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["post:1"]).await;
    let outcome = bind_now(&*store, "/1", &["post:1"]).await;
    assert_eq!(
        outcome,
        BindOutcome::Bound {
            current: generation(&*store, "/1").await
        }
    );
}

pub async fn a_bind_from_before_a_revalidation_of_its_tag_is_superseded(
    fixture: &impl StoreFixture,
) {
    let store = fixture.store();
    let started = generation(&*store, "/1").await;
    revalidate(&*store, &["post:1", "post:9"]).await;
    let outcome = bind_one(&*store, bind("/1", &["post:1", "posts"], started)).await;
    let current = generation(&*store, "/1").await;
    assert_eq!(
        outcome,
        BindOutcome::Superseded {
            current,
            mode: Mode::Soft
        }
    );
    assert!(current.covers(started) && current != started);
}

pub async fn a_bind_from_before_another_tags_revalidation_is_bound(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let started = generation(&*store, "/1").await;
    revalidate(&*store, &["post:2"]).await;
    assert!(
        bind_one(&*store, bind("/1", &["post:1"], started))
            .await
            .is_bound()
    );
}

pub async fn a_superseded_page_is_queued_again(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let started = generation(&*store, "/1").await;
    revalidate(&*store, &["post:1"]).await;
    for _ in 0..3 {
        bind_one(&*store, bind("/1", &["post:1"], started)).await;
    }
    let claimed = store
        .claim_pages(&worker("w"), 10, LONG_LEASE)
        .await
        .unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].work.url, page("/1"));
    assert_eq!(claimed[0].work.reason, PageReason::Superseded);
    assert!(
        claimed[0]
            .work
            .generation
            .covers(generation(&*store, "/1").await)
    );
}

pub async fn a_superseded_bind_is_found_by_its_tags(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let started = generation(&*store, "/1").await;
    revalidate(&*store, &["post:1"]).await;
    bind_one(&*store, bind("/1", &["post:1"], started)).await;
    assert_eq!(pages_of(&*store, "post:1").await, set(&["/1"]));
}

pub async fn every_kind_of_target_supersedes_renders_under_way(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let targets = [
        Target::Url(page("/blog/1")),
        Target::Prefix(page("/blog")),
        Target::Prefix(page("/")),
        Target::Host(page("/").host().to_owned()),
    ];
    for target in targets {
        let started = generation(&*store, "/blog/1").await;
        store
            .invalidate(receipt_of([target.clone()], Mode::Soft))
            .await
            .unwrap();
        let outcome = bind_one(&*store, bind("/blog/1", &["x"], started)).await;
        assert!(!outcome.is_bound(), "{target}");
        assert!(
            bind_now(&*store, "/blog/1", &["x"]).await.is_bound(),
            "after {target}"
        );
    }
    let started = generation(&*store, "/blogs").await;
    store
        .invalidate(receipt_of([Target::Prefix(page("/blog"))], Mode::Soft))
        .await
        .unwrap();
    assert!(
        bind_one(&*store, bind("/blogs", &["x"], started))
            .await
            .is_bound(),
        "a neighbour is left alone"
    );
    let everything = isr_core::Receipt::new(
        isr_core::Targets::everything(),
        isr_core::RevalidateOptions::default(),
        isr_core::Source::Library,
    );
    store.invalidate(everything).await.unwrap();
    assert!(
        !bind_one(&*store, bind("/blogs", &["x"], started))
            .await
            .is_bound()
    );
}

pub async fn a_hard_revalidation_outranks_a_soft_one(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let started = generation(&*store, "/1").await;
    store
        .invalidate(receipt_of([Target::Tag(tag("a"))], Mode::Hard))
        .await
        .unwrap();
    let between = generation(&*store, "/1").await;
    store
        .invalidate(receipt_of([Target::Tag(tag("a"))], Mode::Soft))
        .await
        .unwrap();
    let mode_of = |outcome| match outcome {
        BindOutcome::Superseded { mode, .. } => Some(mode),
        BindOutcome::Bound { .. } => None,
    };
    assert_eq!(
        mode_of(bind_one(&*store, bind("/1", &["a"], started)).await),
        Some(Mode::Hard)
    );
    assert_eq!(
        mode_of(bind_one(&*store, bind("/1", &["a"], between)).await),
        Some(Mode::Soft)
    );
}

pub async fn a_bind_of_another_epoch_is_superseded(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let now = generation(&*store, "/1").await;
    let foreign = Generation {
        epoch: Epoch::new(now.epoch.number() ^ 1),
        ..now
    };
    assert!(
        !bind_one(&*store, bind("/1", &["a"], foreign))
            .await
            .is_bound()
    );
}

pub async fn a_bind_of_another_epoch_does_not_make_its_page_newer(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let now = generation(&*store, "/1").await;
    bind_one(&*store, bind("/1", &["a"], now)).await;
    let foreign = Generation {
        epoch: Epoch::new(now.epoch.number() ^ 1),
        number: 9,
    };
    for path in ["/1", "/2"] {
        bind_one(&*store, bind(path, &["a"], foreign)).await;
    }
    let known = store.tags_for(&page("/1")).await.unwrap().unwrap();
    assert_eq!(known.generation, now);
    let known = store.tags_for(&page("/2")).await.unwrap().unwrap();
    assert_eq!(
        (known.generation.epoch, known.generation.number),
        (now.epoch, 0)
    );
}

pub async fn a_generation_from_the_future_is_superseded(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let now = generation(&*store, "/1").await;
    let later = Generation {
        number: now.number + 1,
        ..now
    };
    assert!(
        !bind_one(&*store, bind("/1", &["a"], later))
            .await
            .is_bound()
    );
    let known = store.tags_for(&page("/1")).await.unwrap().unwrap();
    assert_eq!(known.generation.number, 0, "it has seen nothing");
}

pub async fn binds_of_one_call_are_judged_one_by_one(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let started = store.position().await.unwrap();
    revalidate(&*store, &["post:1"]).await;
    let binds: Vec<Bind> = (0..10)
        .map(|n| {
            let path = format!("/{n}");
            bind(
                &path,
                &[&format!("post:{n}")],
                started.generation_of(&page(&path)),
            )
        })
        .collect();
    let outcomes = store.bind(&binds).await.unwrap();
    let superseded: Vec<usize> = (0..10).filter(|&n| !outcomes[n].is_bound()).collect();
    assert_eq!(superseded, [1]);
    assert_eq!(store.bind(&[]).await.unwrap(), []);
}

/// Renders race with revalidations of what they show. Whatever is bound must have been rendered under
/// a generation that no earlier-accepted revalidation of its tag has passed.
pub async fn binding_and_revalidating_at_once_loses_nothing(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let renders = (0..40).map(|n| {
        let store = fixture.store();
        tokio::spawn(async move {
            let path = format!("/{n}");
            let started = generation(&*store, &path).await;
            tokio::task::yield_now().await;
            (
                started,
                bind_one(&*store, bind(&path, &["shared"], started)).await,
            )
        })
    });
    let revalidations = (0..10).map(|_| {
        let store = fixture.store();
        tokio::spawn(async move { revalidate(&*store, &["shared"]).await })
    });
    let (renders, revalidations): (Vec<_>, Vec<_>) = (renders.collect(), revalidations.collect());
    for revalidation in revalidations {
        revalidation.await.unwrap();
    }
    for render in renders {
        let (started, outcome) = render.await.unwrap();
        // A render is bound exactly when nothing moved between its start and its bind.
        assert_eq!(
            outcome.is_bound(),
            outcome.current() == started,
            "{started} {outcome:?}"
        );
    }
    let found = pages_of(&*store, "shared").await;
    assert_eq!(found.len(), 40);
    fixture.pass(Duration::ZERO).await;
}
