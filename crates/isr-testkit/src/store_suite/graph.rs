//! Binding, finding, and ending.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::collections::BTreeSet;

use isr_core::{Bind, BindOutcome, PageUrl, Store, Target};

use super::StoreFixture;
use super::make::{
    HOUR, bind, bind_now, bind_one, generation, page, pages_of, paths, set, tag, tags_of, walk,
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
