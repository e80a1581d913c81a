//! What becomes calls, and which: filled, shared, within the tier's rate, and never more than was asked for.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use isr_core::{
    Ability, Capabilities, ConnectorError, Cost, Dialect, EscalateTo, Escalation, Forbidden,
    HostPatterns, Phase, RateLimit, RateUnit, Receipt, Revalidator as _, Source, TagHeader,
    TagSupport, Target, Targets, unlisted,
};
use isr_pipeline::{WorkerOptions, plan};

use crate::support::{Running, World, alone, by_tag, by_url, page, unreachable, unwarmed};

/// A CDN that takes so many URLs in a call.
fn in_batches_of(items: usize) -> Capabilities {
    let items = NonZeroUsize::new(items).unwrap();
    Capabilities {
        url: Some(Ability::UNLIMITED.in_batches_of(items)),
        ..Capabilities::default()
    }
}

/// Calls that are made of whatever is revalidated within a second.
fn gathering(name: &str) -> WorkerOptions {
    WorkerOptions {
        coalesce: Duration::from_secs(1),
        ..alone(name)
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_becomes_one_call() {
    let mut world = World::new();
    world.tier("cdn", by_tag());
    let mut receipts = Vec::new();
    for n in 0..50 {
        receipts.push(
            world
                .revalidate_with(&[&format!("post:{n}")], unwarmed())
                .await,
        );
    }
    let worker = Running::start(world.worker_with(gathering("one")));
    for receipt in &receipts {
        let done = world.done(receipt).await;
        assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (1, 1));
    }
    assert_eq!(world.journal().len(), 1);
    assert_eq!(world.journal()[0].matches("post:").count(), 50);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_exactly_full_waits_for_nobody() {
    let mut world = World::new();
    world.tier("cdn", in_batches_of(2));
    world.bind("/1", &["list"]).await;
    world.bind("/2", &["list"]).await;
    let start = world.clock.now();
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = Running::start(world.worker_with(gathering("one")));
    world.done(&receipt).await;
    let took = world.since(start);
    assert!(took < Duration::from_secs(1), "{took:?}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_several_revalidations_ask_for_is_purged_once() {
    let mut world = World::new();
    world.tier("cdn", by_url());
    world.bind("/shared", &["a", "b"]).await;
    world.bind("/own", &["b"]).await;
    let first = world.revalidate_with(&["a"], unwarmed()).await;
    let second = world.revalidate_with(&["b"], unwarmed()).await;
    let worker = Running::start(world.worker_with(gathering("one")));
    world.done(&first).await;
    world.done(&second).await;
    assert_eq!(world.journal(), ["cdn hard /own /shared"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_of_many_tags_fill_calls_together() {
    let mut world = World::new();
    world.tier("cdn", in_batches_of(4));
    let tags: Vec<String> = (0..10).map(|n| format!("post:{n}")).collect();
    for (n, tag) in tags.iter().enumerate() {
        world.bind(&format!("/{n}"), &[tag]).await;
    }
    let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    let receipt = world.revalidate_with(&tags, unwarmed()).await;
    let worker = world.start("one");
    let done = world.done(&receipt).await;
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (3, 10));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_walk_of_many_pages_leaves_no_call_half_empty() {
    let mut world = World::new();
    world.tier("cdn", in_batches_of(7));
    for n in 0..100 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let options = WorkerOptions {
        chunk: 10,
        ..alone("one")
    };
    let worker = Running::start(world.worker_with(options));
    let done = world.done(&receipt).await;
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (15, 100));
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_walk_of_many_pages_only_the_calls_that_failed_are_made_again() {
    let mut world = World::new();
    let cdn = world.tier("cdn", in_batches_of(500));
    cdn.refuse(1, unreachable);
    for n in 0..1_200 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = world.start("one");
    let done = world.done(&receipt).await;
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (4, 1_200));
    let purged = world.journal().join(" ");
    assert_eq!(purged.matches(" /").count(), 1_200, "each page once");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tiers_rate_is_used_while_its_answers_are_waited_for() {
    let mut world = World::new();
    let pages = 3_000;
    let rate = RateLimit {
        unit: RateUnit::Items,
        refill: NonZeroU32::new(1_000).unwrap(),
        period: Duration::from_secs(1),
        ..slowly(40)
    };
    let thirty = NonZeroUsize::new(30).unwrap();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            url: Some(Ability::UNLIMITED.in_batches_of(thirty).at(rate)),
            concurrency: NonZeroUsize::new(8).unwrap(),
            ..Capabilities::default()
        },
    );
    *cdn.latency.lock() = Duration::from_millis(150);
    for n in 0..pages {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let start = world.clock.now();
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = Running::start(world.worker_with(WorkerOptions::new("one")));
    let done = world.done(&receipt).await;
    assert_eq!((done.tiers[0].calls, done.tiers[0].accepted), (100, pages));
    let took = world.since(start);
    assert!(took <= Duration::from_secs(3).div_f64(0.95), "{took:?}");
    worker.stop().await;
}

/// A bucket of `burst` calls, one of which comes back each minute.
fn slowly(burst: u32) -> RateLimit {
    RateLimit {
        bucket: "account".into(),
        unit: RateUnit::Calls,
        burst: NonZeroU32::new(burst).unwrap(),
        refill: NonZeroU32::MIN,
        period: Duration::from_mins(1),
        per_account: true,
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_is_called_no_faster_than_its_rate_by_all_workers_together() {
    let mut world = World::new();
    let one = Ability::UNLIMITED
        .in_batches_of(NonZeroUsize::MIN)
        .at(slowly(2));
    world.tier(
        "cdn",
        Capabilities {
            tag: Some(one),
            ..Capabilities::default()
        },
    );
    let start = world.clock.now();
    let mut receipts = Vec::new();
    for n in 0..8 {
        receipts.push(
            world
                .revalidate_with(&[&format!("post:{n}")], unwarmed())
                .await,
        );
    }
    let workers = [world.start("one"), world.start("two")];
    for receipt in &receipts {
        world.done(receipt).await;
    }
    assert_eq!(world.journal().len(), 8);
    let took = world.since(start);
    assert!(took >= Duration::from_mins(6), "{took:?}");
    assert!(took < Duration::from_mins(7), "{took:?}");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_says_it_was_the_last_call_for_now_is_left_alone_by_all_workers() {
    let mut world = World::new();
    let one = Ability::UNLIMITED
        .in_batches_of(NonZeroUsize::MIN)
        .at(slowly(100));
    let cdn = world.tier(
        "cdn",
        Capabilities {
            tag: Some(one),
            ..Capabilities::default()
        },
    );
    *cdn.pause.lock() = Some(Duration::from_mins(10));
    let first = world.revalidate_with(&["post:0"], unwarmed()).await;
    let one = world.start("one");
    world.done(&first).await;
    let told = world.clock.now();
    *cdn.pause.lock() = None;
    one.stop().await;
    let other = world.start("other");
    let second = world.revalidate_with(&["post:1"], unwarmed()).await;
    world.done(&second).await;
    let waited = world.since(told);
    assert!(waited >= Duration::from_mins(9), "{waited:?}");
    other.stop().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_their_turn_take_on_what_comes_meanwhile() {
    let mut world = World::new();
    world.tier(
        "cdn",
        Capabilities {
            tag: Some(Ability::UNLIMITED.at(slowly(1))),
            ..Capabilities::default()
        },
    );
    let worker = world.start("one");
    let first = world.revalidate_with(&["first"], unwarmed()).await;
    world.done(&first).await;
    let mut receipts = Vec::new();
    for n in 0..5 {
        receipts.push(
            world
                .revalidate_with(&[&format!("post:{n}")], unwarmed())
                .await,
        );
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    for receipt in &receipts {
        world.done(receipt).await;
    }
    assert_eq!(world.journal().len(), 2, "{:?}", world.journal());
    worker.stop().await;
}

/// A CDN that learns tags from a header and can be purged by URL too.
fn labelled() -> Capabilities {
    Capabilities {
        tags: Some(TagSupport {
            header: TagHeader::CacheTag,
            limits: TagHeader::CacheTag.limits(),
            case_sensitive: false,
            stripped: true,
        }),
        dialect: Dialect::Cloudflare,
        ..by_tag()
    }
}

#[tokio::test(start_paused = true)]
async fn pages_that_a_tier_does_not_know_by_their_tag_are_purged_by_url_too() {
    let mut world = World::new();
    world.tier("cdn", labelled());
    let mark = unlisted("cdn", &"post:1".parse().unwrap());
    let elsewhere = unlisted("other", &"post:1".parse().unwrap());
    world.bind("/listed", &["post:1"]).await;
    world.bind("/unlisted", &["post:1", mark.as_str()]).await;
    world
        .bind("/listed-here", &["post:1", elsewhere.as_str()])
        .await;
    let receipt = world.revalidate_with(&["post:1"], unwarmed()).await;
    let worker = world.start("one");
    world.done(&receipt).await;
    let mut journal = world.journal();
    journal.sort();
    assert_eq!(journal, ["cdn hard /unlisted", "cdn hard post:1"]);
    worker.stop().await;
}

/// The same, by whose grammar no tag has an asterisk.
fn labelled_without_asterisks() -> Capabilities {
    let mut can = labelled();
    let tags = can.tags.as_mut().expect("it learns tags from a header");
    tags.limits.forbidden = Forbidden::characters("*");
    can
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_a_tier_cannot_be_told_is_purged_as_its_pages() {
    let mut world = World::new();
    world.tier("cdn", labelled_without_asterisks());
    world.bind("/star", &["post:*", "list"]).await;
    world.bind("/plain", &["post:1"]).await;
    let receipt = world
        .revalidate_with(&["post:*", "post:1"], unwarmed())
        .await;
    let worker = world.start("one");
    world.done(&receipt).await;
    let mut journal = world.journal();
    journal.sort();
    assert_eq!(journal, ["cdn hard /star", "cdn hard post:1"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_a_tier_can_neither_be_told_nor_asked_for_by_url_is_on_none_of_its_pages() {
    let mut world = World::new();
    let only_by_tag = Capabilities {
        url: None,
        ..labelled_without_asterisks()
    };
    world.tier("cdn", only_by_tag);
    world.bind("/star", &["post:*"]).await;
    let receipt = world.revalidate_with(&["post:*"], unwarmed()).await;
    let worker = world.start("one");
    let done = world.done(&receipt).await;
    assert_eq!(done.tiers[0].error, None);
    assert!(world.journal().is_empty(), "{:?}", world.journal());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_prefix_that_leaves_out_its_own_page_has_it_purged_by_url() {
    let mut world = World::new();
    world.tier(
        "cdn",
        Capabilities {
            prefix: Some(Ability::UNLIMITED),
            prefix_is_beneath_only: true,
            ..by_url()
        },
    );
    for path in ["/blog", "/blog?page=2", "/blog/1", "/blogger"] {
        world.bind(path, &["any"]).await;
    }
    let targets = Targets::new([Target::Prefix(page("/blog"))]).unwrap();
    let receipt = Receipt::new(targets, unwarmed(), Source::Library);
    let receipt = world.intake(None).revalidate(receipt).await.unwrap();
    let worker = world.start("one");
    world.done(&receipt).await;
    let mut journal = world.journal();
    journal.sort();
    assert_eq!(
        journal,
        [
            "cdn hard /blog /blog",
            "cdn hard https://site.example/blog and beneath"
        ]
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_page_goes_only_to_tiers_that_serve_its_host() {
    let mut world = World::new();
    world.tier("here", by_url());
    world.tier("elsewhere", by_url());
    world.hosts(
        "elsewhere",
        HostPatterns::new(["other.example".parse().unwrap()]),
    );
    world.bind("/1", &["post:1"]).await;
    let receipt = world.revalidate_with(&["post:1"], unwarmed()).await;
    let worker = world.start("one");
    let done = world.done(&receipt).await;
    assert_eq!(done.phase, Phase::Done);
    assert_eq!(world.journal(), ["here hard /1"]);
    worker.stop().await;
}

/// What purges a tag of `pages` pages beneath `/blog` becomes, and what the receipt says of it.
async fn escalated(pages: usize, escalation: Option<Escalation>) -> (Vec<String>, Option<String>) {
    let mut world = World::new();
    world.tier(
        "cdn",
        Capabilities {
            prefix: Some(Ability::UNLIMITED),
            everything: Some(Ability::UNLIMITED),
            ..by_url()
        },
    );
    world.escalation("cdn", escalation);
    for n in 0..pages {
        world.bind(&format!("/blog/{n}"), &["list"]).await;
    }
    world.bind("/about", &["other"]).await;
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = world.start("one");
    let done = world.done(&receipt).await;
    worker.stop().await;
    (world.journal(), done.tiers[0].escalated.clone())
}

#[tokio::test(start_paused = true)]
async fn more_than_was_asked_for_is_purged_only_above_a_number_that_was_set() {
    let to = |to| Some(Escalation { above: 3, to });
    let by_url = "cdn hard /blog/0 /blog/1 /blog/2";
    for escalation in [None, to(EscalateTo::Prefix), to(EscalateTo::Everything)] {
        let (journal, said) = escalated(3, escalation).await;
        assert_eq!((journal, said), (vec![by_url.to_owned()], None));
    }
    let (journal, said) = escalated(4, None).await;
    assert_eq!((journal.len(), said), (1, None));
    let prefix = "https://site.example/blog and beneath";
    let (journal, said) = escalated(4, to(EscalateTo::Prefix)).await;
    assert_eq!(journal, [format!("cdn hard {prefix}")]);
    assert_eq!(said, Some(format!("{prefix} instead of list")));
    let (journal, said) = escalated(4, to(EscalateTo::Everything)).await;
    assert_eq!(journal, ["cdn hard everything"]);
    assert_eq!(said, Some("everything instead of list".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn what_a_prefix_leaves_out_is_purged_by_url_when_it_stands_for_many_pages_too() {
    let mut world = World::new();
    world.tier(
        "cdn",
        Capabilities {
            prefix: Some(Ability::UNLIMITED),
            prefix_is_beneath_only: true,
            ..by_url()
        },
    );
    let to = EscalateTo::Prefix;
    world.escalation("cdn", Some(Escalation { above: 2, to }));
    for path in ["/blog", "/blog/1", "/blog/2"] {
        world.bind(path, &["list"]).await;
    }
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = world.start("one");
    world.done(&receipt).await;
    let mut journal = world.journal();
    journal.sort();
    let beneath = "cdn hard https://site.example/blog and beneath";
    assert_eq!(journal, ["cdn hard /blog", beneath]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_says_what_would_be_called_how_long_it_takes_and_what_it_costs() {
    let mut world = World::new();
    let by_url = in_batches_of(10).url.unwrap().at(slowly(2));
    world.tier(
        "cdn",
        Capabilities {
            url: Some(by_url),
            cost: Some(Cost {
                microdollars_per_item: 5_000,
                free_items_a_month: 1_000,
            }),
            ..Capabilities::default()
        },
    );
    for n in 0..45 {
        world.bind(&format!("/{n}"), &["list", "all"]).await;
    }
    let targets = crate::support::targets(&["list", "all"]);
    let plan = plan(&*world.store, &world.as_tiers(), &targets, 3)
        .await
        .unwrap();
    assert_eq!((plan.pages, plan.more, plan.some.len()), (45, false, 3));
    let tier = &plan.tiers[0];
    assert_eq!((tier.items, tier.calls), (45, 5));
    assert_eq!(tier.takes, Some(Duration::from_mins(3)));
    assert_eq!(tier.dollars, Some(0.225));
    assert_eq!(world.journal(), [""; 0], "nothing is done");
}

#[tokio::test(start_paused = true)]
async fn items_that_a_tier_refuses_keep_no_other_from_being_purged() {
    let mut world = World::new();
    let cdn = world.tier("cdn", in_batches_of(2));
    *cdn.rejected.lock() = Some(Target::Url(page("/1")));
    for n in 0..6 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let worker = world.start("one");
    let failed = world.done(&receipt).await;
    assert_eq!(failed.phase, Phase::Failed);
    let tier = &failed.tiers[0];
    assert_eq!((tier.calls, tier.accepted, tier.rejected), (3, 5, 1));
    let error = tier.error.as_deref().unwrap();
    assert_eq!(error, "cdn refused https://site.example/1: it is of no use");
    assert_eq!(world.journal().join(" ").matches('/').count(), 6);
    *cdn.rejected.lock() = None;
    let letters = world.store.dead_letters(None, 1).await.unwrap().letters;
    world.store.replay(&[letters[0].job.clone()]).await.unwrap();
    let done = world
        .wait_until(&receipt, |receipt| receipt.phase == Phase::Done)
        .await;
    assert!(done.settled);
    assert_eq!(world.journal()[3..], ["cdn hard /1"], "it was never purged");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_busy_is_asked_what_it_has_finished_and_waited_for() {
    let mut world = World::new();
    let cdn = world.tier(
        "cdn",
        Capabilities {
            observes_completion: true,
            ..in_batches_of(1)
        },
    );
    for n in 0..3 {
        world.bind(&format!("/{n}"), &["list"]).await;
    }
    let busy = |connector| ConnectorError::RateLimited {
        connector,
        reason: "too much in progress".into(),
        retry_after: Some(Duration::from_secs(5)),
    };
    let worker = world.start("one");
    world.bind("/first", &["first"]).await;
    let first = world.revalidate_with(&["first"], unwarmed()).await;
    world.done(&first).await;
    cdn.refuse(20, busy);
    let receipt = world.revalidate_with(&["list"], unwarmed()).await;
    let done = world.done(&receipt).await;
    assert_eq!((done.phase, done.failures), (Phase::Done, 0));
    assert_eq!(
        world.journal()[..3],
        ["cdn hard /first", "cdn complete", "cdn complete"]
    );
    worker.stop().await;
}
