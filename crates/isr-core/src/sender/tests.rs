use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use super::*;
use crate::{Epoch, Heard, Mode, PageReason, RevalidationId, Target, tag};

/// A clock that moves when told to.
#[derive(Debug, Default)]
struct HandClock(AtomicU64);

impl HandClock {
    fn advance(&self, duration: Duration) {
        self.0.fetch_add(
            u64::try_from(duration.as_micros()).unwrap(),
            Ordering::SeqCst,
        );
    }
}

impl Clock for HandClock {
    fn now(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        unreachable!("a sender never waits")
    }
}

const EPOCH: Epoch = Epoch::new(1);
const SECOND: Duration = Duration::from_secs(1);

struct World {
    sender: Arc<Sender>,
    clock: Arc<HandClock>,
}

impl World {
    /// A sender before a foreign tier, that has heard from the store at number 0.
    fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        clock.advance(SECOND);
        let options = SenderOptions {
            tracks: true,
            settling_time: 2 * SECOND,
            ..SenderOptions::default()
        };
        let sender = Sender::new("one", options, Arc::clone(&clock) as Arc<dyn Clock>);
        let world = Self { sender, clock };
        world.learn(&[], 0);
        world
    }

    fn learn(&self, heard: &[(u64, Target, Mode)], position: u64) {
        let heard = heard
            .iter()
            .map(|(number, target, mode)| Heard {
                id: RevalidationId::new(),
                partition: Partition(0),
                number: *number,
                targets: vec![target.clone()],
                mode: *mode,
            })
            .collect();
        let news = News {
            heard,
            position: Position::new(EPOCH, [position]),
            more: false,
            gap: false,
        };
        self.sender.learn(&news, self.clock.now());
    }

    fn clean(&self) -> u64 {
        self.sender.report().unwrap().clean.number(Partition(0))
    }

    fn owed(&self) -> Vec<(String, u64)> {
        self.sender
            .owed()
            .iter()
            .map(|work| (work.url.path().to_owned(), work.generation.number))
            .collect()
    }
}

fn footprint(path: &str, post: u32) -> Arc<Footprint> {
    Arc::new(Footprint {
        url: PageUrl::parse(&format!("https://a.example{path}")).unwrap(),
        tags: TagSet::try_from_iter([tag("post", post)]).unwrap(),
    })
}

fn post(number: u32) -> Target {
    Target::Tag(tag("post", number))
}

fn at(number: u64) -> Generation {
    Generation {
        epoch: EPOCH,
        number,
    }
}

#[test]
fn a_sender_is_not_clean_while_something_concerned_is_on_its_way() {
    let world = World::new();
    let flight = world.sender.depart(&footprint("/1", 1), at(0));
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!(world.clean(), 0);
    drop(flight);
    assert_eq!(world.owed(), [("/1".to_owned(), 1)]);
    assert_eq!(world.clean(), 0, "its page is not queued yet");
    world.sender.queued(1);
    assert_eq!(world.clean(), 1);
}

#[test]
fn what_does_not_concern_a_flight_leaves_the_sender_clean() {
    let world = World::new();
    let _flight = world.sender.depart(&footprint("/1", 1), at(0));
    world.learn(&[(1, post(2), Mode::Soft)], 1);
    assert_eq!((world.clean(), world.owed()), (1, vec![]));
}

#[test]
fn a_flight_that_left_under_the_newest_generation_is_not_concerned() {
    let world = World::new();
    let _flight = world.sender.depart(&footprint("/1", 1), at(1));
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!(world.clean(), 1);
}

#[test]
fn a_flight_concerned_twice_holds_the_earlier_and_asks_for_the_later() {
    let world = World::new();
    let flight = world.sender.depart(&footprint("/1", 1), at(0));
    world.learn(&[(3, post(1), Mode::Soft)], 3);
    world.learn(&[(5, post(1), Mode::Hard)], 5);
    assert_eq!(world.clean(), 2);
    drop(flight);
    assert_eq!(world.owed(), [("/1".to_owned(), 5)]);
    assert_eq!(world.sender.owed()[0].reason, PageReason::InFlight);
}

#[test]
fn what_was_sent_a_moment_ago_is_purged_again_and_what_was_sent_long_ago_is_not() {
    let world = World::new();
    drop(world.sender.depart(&footprint("/old", 1), at(0)));
    world.clock.advance(3 * SECOND);
    world.learn(&[], 0);
    drop(world.sender.depart(&footprint("/new", 1), at(0)));
    world.clock.advance(SECOND);
    world.learn(&[], 0);
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!(world.owed(), [("/new".to_owned(), 1)]);
}

#[test]
fn a_sender_that_could_not_ask_for_long_remembers_all_it_sent_meanwhile() {
    let world = World::new();
    drop(world.sender.depart(&footprint("/1", 1), at(0)));
    world.clock.advance(100 * SECOND);
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!(world.owed(), [("/1".to_owned(), 1)]);
}

#[test]
fn a_response_that_left_as_no_store_owes_nothing() {
    let world = World::new();
    world.sender.depart(&footprint("/1", 1), at(0)).cancel();
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!((world.clean(), world.owed()), (1, vec![]));
}

#[test]
fn after_a_gap_everything_older_is_expired_and_purged_again() {
    let world = World::new();
    let page = footprint("/1", 1);
    let flight = world.sender.depart(&page, at(0));
    let position = Position::new(Epoch::new(2), [7]);
    world.sender.learn(
        &News {
            heard: vec![],
            position,
            more: false,
            gap: true,
        },
        world.clock.now(),
    );
    assert_eq!(
        world.sender.verdict(&page, at(0), &Memo::default()),
        Verdict::Expired
    );
    assert_eq!(world.clean(), 0);
    drop(flight);
    assert_eq!(world.owed(), [("/1".to_owned(), 7)]);
    let fresh = Generation {
        epoch: Epoch::new(2),
        number: 7,
    };
    assert_eq!(
        world.sender.verdict(&page, fresh, &Memo::default()),
        Verdict::Current
    );
}

#[test]
fn a_remembered_verdict_is_made_anew_when_something_is_learnt() {
    let world = World::new();
    let (page, memo) = (footprint("/1", 1), Memo::default());
    let verdict = || world.sender.verdict(&page, at(0), &memo);
    assert_eq!((verdict(), verdict()), (Verdict::Current, Verdict::Current));
    world.learn(&[(1, post(2), Mode::Hard)], 1);
    assert_eq!(verdict(), Verdict::Current);
    world.learn(&[(2, post(1), Mode::Soft)], 2);
    assert_eq!((verdict(), verdict()), (Verdict::Stale, Verdict::Stale));
    world.learn(&[(3, post(1), Mode::Hard)], 3);
    assert_eq!((verdict(), verdict()), (Verdict::Expired, Verdict::Expired));
}

#[test]
fn a_sender_that_cannot_keep_up_is_behind() {
    let world = World::new();
    assert!(!world.sender.is_behind());
    world.clock.advance(SECOND);
    assert!(world.sender.is_behind());
    world.learn(&[], 0);
    assert!(!world.sender.is_behind());
}

#[test]
fn a_sender_that_cannot_report_stops_sharing_before_it_counts_as_dead() {
    let world = World::new();
    assert!(!world.sender.may_share(), "the store has not heard of it");
    world.sender.reported(world.clock.now());
    let flight = world.sender.depart(&footprint("/1", 1), at(0));
    assert!(world.sender.may_share() && flight.may_go_on());
    world.clock.advance(4 * SECOND);
    assert!(!world.sender.may_share() && !flight.may_go_on());
    world.sender.renew_if_needed();
    assert_eq!(world.sender.id(), SenderId("one.0".into()));
    world.clock.advance(SECOND);
    world.sender.renew_if_needed();
    assert_eq!(world.sender.id(), SenderId("one.1".into()));
}

#[test]
fn a_sender_that_sent_more_than_it_remembers_takes_a_new_name() {
    let world = World::new();
    world.sender.reported(world.clock.now());
    let page = footprint("/1", 1);
    for _ in 0..=65_536 {
        drop(world.sender.depart(&page, at(0)));
    }
    world.sender.renew_if_needed();
    assert_eq!(world.sender.id(), SenderId("one.1".into()));
    world.sender.renew_if_needed();
    assert_eq!(world.sender.id(), SenderId("one.1".into()));
}

#[test]
fn a_page_is_owed_once_however_often_it_was_sent() {
    let world = World::new();
    let page = footprint("/1", 1);
    for _ in 0..10 {
        drop(world.sender.depart(&page, at(0)));
    }
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    world.learn(&[(2, post(1), Mode::Soft)], 2);
    assert_eq!(world.owed(), [("/1".to_owned(), 2)]);
    assert_eq!(world.sender.owed()[0].oldest, at(1), "both wait for it");
    // What was listed may be queued as it was: what comes after that is owed anew.
    world.learn(&[(3, post(1), Mode::Soft)], 3);
    world.learn(&[(4, post(1), Mode::Soft)], 4);
    world.sender.queued(1);
    assert_eq!(world.clean(), 2);
    assert_eq!(world.owed(), [("/1".to_owned(), 4)]);
    world.sender.queued(1);
    assert_eq!((world.clean(), world.owed()), (4, vec![]));
}

#[test]
fn what_is_owed_is_kept_in_order_while_it_is_queued_in_parts() {
    let world = World::new();
    for path in ["/1", "/2", "/3"] {
        drop(world.sender.depart(&footprint(path, 1), at(0)));
    }
    world.learn(&[(1, post(1), Mode::Soft)], 1);
    assert_eq!(world.owed().len(), 3);
    world.sender.queued(2);
    world.learn(&[(2, post(1), Mode::Soft)], 2);
    world.sender.queued(1);
    world.learn(&[(3, post(1), Mode::Soft)], 3);
    let owed = [("/1", 3), ("/2", 3), ("/3", 3)].map(|(path, number)| (path.to_owned(), number));
    assert_eq!(world.owed(), owed);
}

#[test]
fn a_response_does_not_outlive_the_lease_of_its_sender() {
    let world = World::new();
    world.sender.reported(world.clock.now());
    let flight = world.sender.depart(&footprint("/1", 1), at(0));
    world.clock.advance(6 * SECOND);
    world.sender.renew_if_needed();
    world.sender.reported(world.clock.now());
    assert!(world.sender.may_share());
    assert!(!flight.may_go_on(), "what it left behind was dealt with");
    assert!(world.sender.depart(&footprint("/1", 1), at(0)).may_go_on());
}

#[test]
fn a_sender_withdraws_only_when_nothing_it_sent_can_still_be_stored() {
    let world = World::new();
    world.sender.reported(world.clock.now());
    let flight = world.sender.depart(&footprint("/1", 1), at(0));
    assert!(!world.sender.withdraw(), "it is on its way");
    drop(flight);
    assert!(!world.sender.withdraw(), "it may still be stored");
    assert!(world.sender.may_share());
    world.clock.advance(3 * SECOND);
    world.learn(&[], 0);
    assert!(world.sender.withdraw() && !world.sender.may_share());
}

#[test]
fn every_kind_of_target_reaches_what_is_on_its_way() {
    let url = |text: &str| PageUrl::parse(text).unwrap();
    let cases = [
        (post(1), true),
        (post(2), false),
        (Target::Url(url("https://a.example/blog/1")), true),
        (Target::Url(url("https://a.example/blog")), false),
        (Target::Prefix(url("https://a.example/blog")), true),
        (Target::Prefix(url("https://a.example/blo")), false),
        (Target::Host("a.example".into()), true),
        (Target::Host("b.example".into()), false),
        (Target::Everything, true),
    ];
    for (target, reached) in cases {
        let world = World::new();
        let flight = world.sender.depart(&footprint("/blog/1", 1), at(0));
        world.learn(&[(1, target.clone(), Mode::Soft)], 1);
        assert_eq!(world.clean(), u64::from(!reached), "{target}");
        drop(flight);
        assert_eq!(world.owed().len(), usize::from(reached), "{target}");
    }
}
