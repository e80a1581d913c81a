//! Binding, finding, and ending.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{Bind, BindOutcome, Epoch, Generation, Mode, PageReason, PageUrl, Store, Target};

use super::StoreFixture;
use super::make::{
    HOUR, LONG_LEASE, bind, bind_now, bind_one, generation, page, pages_of, paths, receipt_of,
    revalidate, set, tag, tags_of, walk, worker,
};

pub async fn a_bound_page_is_found_by_each_of_its_tags(fixture: &impl StoreFixture) {
    let store = fixture.store();
    assert!(
        bind_now(&*store, "/1", &["post:1", "posts"])
            .await
            .is_bound()
    );
    bind_now(&*store, "/2", &["post:2", "posts"]).await;
    assert_eq!(pages_of(&*store, "post:1").await, set(&["/1"]));
    assert_eq!(pages_of(&*store, "posts").await, set(&["/1", "/2"]));
    assert_eq!(
        tags_of(&*store, "/1").await,
        Some(set(&["post:1", "posts"]))
    );
}

pub async fn binding_again_keeps_the_tags_of_older_copies(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/1", &["old", "both"]).await;
    bind_now(&*store, "/1", &["new", "both"]).await;
    assert_eq!(
        pages_of(&*store, "old").await,
        set(&["/1"]),
        "an older copy may still be kept somewhere"
    );
    assert_eq!(pages_of(&*store, "new").await, set(&["/1"]));
    assert_eq!(
        tags_of(&*store, "/1").await,
        Some(set(&["old", "new", "both"]))
    );
}

pub async fn binding_again_unchanged_changes_nothing(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for _ in 0..3 {
        bind_now(&*store, "/1", &["a", "b"]).await;
    }
    let statistics = store.statistics(20).await.unwrap();
    assert_eq!(
        (statistics.pages, statistics.tags, statistics.edges),
        (1, 2, 2)
    );
}

pub async fn a_secret_is_everybodys_and_of_some_length(fixture: &impl StoreFixture) {
    let one = fixture.store().secret().await.unwrap();
    let other = fixture.store().secret().await.unwrap();
    assert_eq!(one, other);
    assert_eq!(one.expose().len(), 64);
}

pub async fn an_unknown_tag_has_no_pages(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/1", &["post:1"]).await;
    for unknown in ["post", "post:11", "post:", "ost:1"] {
        assert_eq!(pages_of(&*store, unknown).await, set(&[]), "{unknown}");
    }
}

pub async fn an_unknown_page_has_no_tags(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/1", &["post:1"]).await;
    assert_eq!(tags_of(&*store, "/").await, None);
    assert_eq!(tags_of(&*store, "/11").await, None);
}

pub async fn an_unbound_page_is_found_no_more(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/1", &["posts"]).await;
    bind_now(&*store, "/2", &["posts"]).await;
    assert_eq!(
        store.unbind(&[page("/1"), page("/unknown")]).await.unwrap(),
        1
    );
    assert_eq!(pages_of(&*store, "posts").await, set(&["/2"]));
    assert_eq!(tags_of(&*store, "/1").await, None);
    bind_now(&*store, "/1", &["posts"]).await;
    assert_eq!(pages_of(&*store, "posts").await, set(&["/1", "/2"]));
}

async fn bind_many(store: &dyn Store, count: usize, of: &[&str]) -> BTreeSet<String> {
    let now = store.position().await.unwrap();
    let binds: Vec<Bind> = (0..count)
        .map(|n| {
            bind(
                &format!("/page/{n}"),
                of,
                now.generation_of(&page(&format!("/page/{n}"))),
            )
        })
        .collect();
    for some in binds.chunks(100) {
        assert!(
            store
                .bind(some)
                .await
                .unwrap()
                .iter()
                .all(BindOutcome::is_bound)
        );
    }
    binds
        .iter()
        .map(|bind| bind.url.path().to_owned())
        .collect()
}

pub async fn pages_come_in_chunks_each_at_least_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let bound = bind_many(&*store, 2_500, &["large"]).await;
    for limit in [1_000, 3_000] {
        let (found, _) = walk(&*store, &Target::Tag(tag("large")), limit).await;
        assert_eq!(found, bound, "in chunks of {limit}");
    }
    let (_, chunks) = walk(&*store, &Target::Tag(tag("large")), 100).await;
    assert!(chunks > 1, "a large tag comes in several chunks");
}

pub async fn one_tag_of_many_pages_does_not_mix_with_its_neighbours(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let bound = bind_many(&*store, 700, &["list", "list:1"]).await;
    bind_now(&*store, "/other", &["list:2"]).await;
    bind_now(&*store, "/page/3", &["list:2"]).await;
    assert_eq!(pages_of(&*store, "list:1").await, bound);
    assert_eq!(
        pages_of(&*store, "list:2").await,
        set(&["/other", "/page/3"])
    );
}

pub async fn a_url_is_its_own_page_even_when_unknown(fixture: &impl StoreFixture) {
    let store = fixture.store();
    assert_eq!(
        paths(&*store, &Target::Url(page("/x?a=1")), 10).await,
        set(&["/x?a=1"])
    );
}

pub async fn a_prefix_covers_whole_segments_only(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for path in ["/blog", "/blog/", "/blog/1", "/blog?page=2", "/blogs", "/"] {
        bind_now(&*store, path, &["x"]).await;
    }
    let found = paths(&*store, &Target::Prefix(page("/blog")), 2).await;
    assert_eq!(found, set(&["/blog", "/blog/", "/blog/1", "/blog?page=2"]));
}

pub async fn a_host_covers_its_pages_only(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/mine", &["x"]).await;
    let other = Bind {
        url: PageUrl::parse("https://other.example/theirs").unwrap(),
        ..bind(
            "/",
            &["x"],
            store.position().await.unwrap().generation_of(&page("/")),
        )
    };
    bind_one(&*store, other).await;
    let found = paths(&*store, &Target::Host("other.example".into()), 10).await;
    assert_eq!(found, set(&["/theirs"]));
}

pub async fn everything_covers_all_pages(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let bound = bind_many(&*store, 300, &["x"]).await;
    let found = paths(&*store, &Target::Everything, 50).await;
    assert_eq!(found, bound);
}

pub async fn a_page_without_tags_is_kept_until_its_last_copy_has_ended(
    fixture: &impl StoreFixture,
) {
    let store = fixture.store();
    let short = fixture.expiry_unit();
    bind_now(&*store, "/kept", &[]).await;
    let now = generation(&*store, "/ends").await;
    let ends = Bind {
        lifetime: short,
        ..bind("/ends", &[], now)
    };
    bind_one(&*store, ends).await;
    let targets = [
        Target::Everything,
        Target::Host(page("/").host().to_owned()),
        Target::Prefix(page("/")),
    ];
    collect_all(&*store).await;
    for target in &targets {
        let found = paths(&*store, target, 10).await;
        assert_eq!(found, set(&["/kept", "/ends"]), "{target}");
    }
    fixture.pass(short * 3).await;
    for target in &targets {
        let found = paths(&*store, target, 10).await;
        assert_eq!(found, set(&["/kept"]), "{target}");
    }
    assert_eq!(collect_all(&*store).await, (1, 0));
    let statistics = store.statistics(20).await.unwrap();
    assert_eq!((statistics.pages, statistics.edges), (1, 0));
    assert_eq!(tags_of(&*store, "/kept").await, Some(set(&[])));
    assert_eq!(tags_of(&*store, "/ends").await, None);
}

pub async fn a_page_outlives_tags_of_shorter_lives(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let short = fixture.expiry_unit();
    let now = generation(&*store, "/1").await;
    let first = Bind {
        lifetime: short,
        ..bind("/1", &["early"], now)
    };
    bind_one(&*store, first).await;
    bind_now(&*store, "/1", &[]).await;
    fixture.pass(short * 3).await;
    assert_eq!(collect_all(&*store).await, (0, 1));
    assert_eq!(tags_of(&*store, "/1").await, Some(set(&[])));
    assert_eq!(paths(&*store, &Target::Everything, 10).await, set(&["/1"]));
}

pub async fn pages_and_tags_of_any_spelling_come_back_as_they_were(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let long = format!("/{}", "a".repeat(7_000));
    let paths = [
        "/",
        "/%C3%A9?q=a+b&z=%2F",
        "/a'b;c%7Cd",
        "/a:b@c!$&()*,=~",
        "/-1",
        "/0",
        "/%00",
        long.as_str(),
    ];
    let longest = "x".repeat(256);
    let texts = [
        "a:b",
        "*",
        "-1",
        "0",
        "{braces}",
        "a|b;c=d",
        "%25",
        "[x]\\",
        "'quoted'",
        longest.as_str(),
    ];
    for path in paths {
        bind_now(&*store, path, &texts).await;
    }
    for text in texts {
        assert_eq!(pages_of(&*store, text).await, set(&paths), "{text}");
    }
    for path in paths {
        assert_eq!(tags_of(&*store, path).await, Some(set(&texts)), "{path}");
    }
}

pub async fn a_pair_ends_with_the_last_copy(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let short = fixture.expiry_unit();
    let now = generation(&*store, "/1").await;
    bind_one(
        &*store,
        Bind {
            lifetime: HOUR,
            ..bind("/1", &["long"], now)
        },
    )
    .await;
    bind_one(
        &*store,
        Bind {
            lifetime: short,
            ..bind("/1", &["long", "short"], now)
        },
    )
    .await;
    assert_eq!(tags_of(&*store, "/1").await, Some(set(&["long", "short"])));
    fixture.pass(short * 3).await;
    assert_eq!(
        tags_of(&*store, "/1").await,
        Some(set(&["long"])),
        "the longer copy counts"
    );
    assert_eq!(pages_of(&*store, "short").await, set(&[]));
    assert_eq!(pages_of(&*store, "long").await, set(&["/1"]));
}

/// Pages and pairs that one whole garbage collection removes.
async fn collect_all(store: &dyn Store) -> (u64, u64) {
    let (mut pages, mut edges) = (0, 0);
    for _ in 0..1_000 {
        let collected = store.collect_garbage(7).await.unwrap();
        (pages, edges) = (pages + collected.pages, edges + collected.edges);
        if !collected.more {
            return (pages, edges);
        }
    }
    panic!("garbage collection does not end");
}

pub async fn garbage_collection_removes_what_has_ended_and_nothing_else(
    fixture: &impl StoreFixture,
) {
    let store = fixture.store();
    let short = fixture.expiry_unit();
    let now = generation(&*store, "/1").await;
    for n in 0..20 {
        let of = ["shared", &format!("unique:{n}")];
        bind_one(
            &*store,
            Bind {
                lifetime: short,
                ..bind(&format!("/short/{n}"), &of, now)
            },
        )
        .await;
        bind_one(&*store, bind(&format!("/long/{n}"), &["shared"], now)).await;
    }
    fixture.pass(short * 3).await;
    assert_eq!(collect_all(&*store).await, (20, 40));
    let statistics = store.statistics(20).await.unwrap();
    assert_eq!(
        (statistics.pages, statistics.tags, statistics.edges),
        (20, 1, 20)
    );
    assert_eq!(pages_of(&*store, "shared").await.len(), 20);
    bind_now(&*store, "/short/1", &["shared"]).await;
    assert_eq!(pages_of(&*store, "shared").await.len(), 21);
}

pub async fn statistics_count_pages_tags_and_pairs(fixture: &impl StoreFixture) {
    let store = fixture.store();
    bind_now(&*store, "/1", &["posts", "post:1"]).await;
    bind_now(&*store, "/2", &["posts"]).await;
    let statistics = store.statistics(20).await.unwrap();
    assert_eq!(
        (statistics.pages, statistics.tags, statistics.edges),
        (2, 2, 3)
    );
    assert_eq!(statistics.largest_tags.first(), Some(&(tag("posts"), 2)));
    assert_eq!(store.statistics(0).await.unwrap().largest_tags, []);
}

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
