use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt as _;
use isr_core::{Event, NoRecorder, WarmFailure};

use super::clock::SkippingClock;
use super::*;
use crate::simulation::PausedClock;

fn origin(clock: &SkippingClock, options: &CrawlerOptions) -> Origin {
    let overview = Arc::new(Overview::new(Arc::new(NoRecorder)));
    let clock = Arc::new(clock.clone());
    Origin::new("http://origin", clock, Limits::of(options), &overview)
}

#[test]
fn only_so_many_requests_run_at_once() {
    let options = CrawlerOptions {
        concurrency: 3,
        rate: None,
        adaptive: false,
        ..CrawlerOptions::default()
    };
    let origin = origin(&SkippingClock::default(), &options);
    let mut running: Vec<_> = (0..3)
        .map(|_| origin.turn().now_or_never().unwrap())
        .collect();
    assert!(origin.turn().now_or_never().is_none());
    running.pop();
    assert!(origin.turn().now_or_never().is_some());
}

#[tokio::test]
async fn after_the_burst_requests_begin_at_the_rate() {
    let clock = SkippingClock::default();
    let options = CrawlerOptions {
        rate: Some(50),
        burst: 10,
        ..CrawlerOptions::default()
    };
    let origin = origin(&clock, &options);
    for request in 0..110_u32 {
        drop(origin.turn().await.unwrap());
        let due = Duration::from_millis(20) * request.saturating_sub(9);
        assert_eq!(clock.now(), due, "request {request}");
    }
}

#[tokio::test]
async fn an_origin_that_asks_to_be_left_alone_is() {
    let clock = SkippingClock::default();
    let origin = origin(&clock, &CrawlerOptions::default());
    origin.close_for(Duration::from_secs(7));
    origin.close_for(Duration::from_secs(5));
    drop(origin.turn().await.unwrap());
    assert_eq!(clock.now(), Duration::from_secs(7));
}

/// Asks for a page, gets the signal, and says when the request began.
async fn ask(origin: &Origin, clock: &SkippingClock, signal: Signal) -> Duration {
    let turn = origin.turn().await.unwrap();
    let began = clock.now();
    let outcome = WarmOutcome::Failed {
        reason: WarmFailure::Connect,
        detail: "refused".to_owned(),
    };
    turn.end(signal, Some(&outcome));
    began
}

#[tokio::test]
async fn an_origin_that_does_not_serve_is_tried_now_and_then() {
    let clock = SkippingClock::default();
    let origin = origin(&clock, &CrawlerOptions::default());
    let mut began = Vec::new();
    for _ in 0..9 {
        began.push(ask(&origin, &clock, Signal::Refused).await.as_secs());
    }
    assert_eq!(began, [0, 0, 0, 0, 0, 1, 3, 7, 15]);
}

#[tokio::test]
async fn whoever_waits_while_an_origin_stays_out_of_order_has_been_answered() {
    let clock = SkippingClock::default();
    let options = CrawlerOptions {
        longest_backoff: Duration::from_secs(1),
        ..CrawlerOptions::default()
    };
    let origin = origin(&clock, &options);
    for _ in 0..5 {
        ask(&origin, &clock, Signal::Refused).await;
    }
    let probe = origin.turn().await.unwrap();
    let mut waiting = Box::pin(origin.turn());
    assert!(waiting.as_mut().now_or_never().is_none(), "one probe");
    let outcome = WarmOutcome::Failed {
        reason: WarmFailure::Timeout,
        detail: "it took too long".to_owned(),
    };
    probe.end(Signal::Refused, Some(&outcome));
    let Some(Err(WarmOutcome::Failed { reason, detail })) = waiting.now_or_never() else {
        unreachable!("whoever waited is told");
    };
    assert_eq!(reason, WarmFailure::Timeout);
    assert!(detail.ends_with("in vain: it took too long"), "{detail}");
    // Whoever comes afterwards is the next probe.
    assert_eq!(ask(&origin, &clock, Signal::Answered).await.as_secs(), 2);
}

/// Lets an origin serve until it gets as many at once as are allowed.
fn grow(origin: &Origin, allowed: usize) {
    let took = Duration::from_millis(1);
    for _ in 0..100 {
        let next = || origin.turn().now_or_never().map(Result::unwrap);
        let turns: Vec<_> = std::iter::from_fn(next).collect();
        if turns.len() == allowed {
            return;
        }
        for turn in turns {
            turn.end(Signal::Served { took }, None);
        }
    }
    unreachable!("it never grew to {allowed}");
}

#[tokio::test(start_paused = true)]
async fn those_who_were_about_to_begin_when_the_breaker_opens_are_no_probes() {
    let options = CrawlerOptions {
        rate: None,
        ..CrawlerOptions::default()
    };
    let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
    let overview = Arc::new(Overview::new(Arc::new(NoRecorder)));
    let origin = Origin::new("http://origin", clock, Limits::of(&options), &overview);
    let origin = Arc::new(origin);
    grow(&origin, 8);
    let next = || origin.turn().now_or_never().unwrap().unwrap();
    let under_way: Vec<_> = std::iter::repeat_with(next).take(5).collect();
    origin.close_for(Duration::from_millis(500));
    let begun = Arc::new(AtomicUsize::new(0));
    for _ in 0..20 {
        let (origin, begun) = (Arc::clone(&origin), Arc::clone(&begun));
        tokio::spawn(async move {
            let _turn = origin.turn().await.unwrap();
            begun.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
    }
    // Three hold a permit by now, and wait for the origin to open.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for turn in under_way {
        turn.end(Signal::Refused, None);
    }
    tokio::time::sleep(Duration::from_millis(999)).await;
    assert_eq!(begun.load(Ordering::Relaxed), 0);
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(begun.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_probe_that_is_given_up_on_makes_room_for_the_next() {
    let clock = SkippingClock::default();
    let origin = origin(&clock, &CrawlerOptions::default());
    for _ in 0..5 {
        ask(&origin, &clock, Signal::Refused).await;
    }
    drop(origin.turn().await.unwrap());
    let served = Signal::Served {
        took: Duration::from_millis(1),
    };
    assert_eq!(ask(&origin, &clock, served).await.as_secs(), 1);
    assert_eq!(origin.state.lock().running, 0);
}

/// The last that was recorded.
#[derive(Debug, Default)]
struct Last(Mutex<(u64, u64)>);

impl Recorder for Last {
    fn record(&self, event: &Event<'_>) {
        if let &Event::WarmOrigins {
            at_once,
            out_of_order,
        } = event
        {
            *self.0.lock() = (at_once, out_of_order);
        }
    }
}

#[tokio::test]
async fn how_all_origins_stand_is_recorded_as_it_changes() {
    let clock = SkippingClock::default();
    let last = Arc::new(Last::default());
    let limits = Limits::of(&CrawlerOptions::default());
    let origins = Origins::new(Arc::new(clock.clone()), limits, last.clone());
    let (sick, well) = (origins.at("http://sick"), origins.at("http://well"));
    assert_eq!(*last.0.lock(), (2, 0));
    let served = Signal::Served {
        took: Duration::from_millis(1),
    };
    for _ in 0..6 {
        ask(&well, &clock, served).await;
        ask(&sick, &clock, Signal::Refused).await;
    }
    assert_eq!(*last.0.lock(), (3, 1));
    ask(&sick, &clock, Signal::Answered).await;
    assert_eq!(*last.0.lock(), (3, 0));
    drop((origins, sick));
    assert_eq!(*last.0.lock(), (2, 0));
    drop(well);
    assert_eq!(*last.0.lock(), (0, 0));
}

#[test]
fn an_address_keeps_its_origin_and_idle_ones_are_forgotten() {
    let limits = Limits::of(&CrawlerOptions::default());
    let clock = Arc::new(SkippingClock::default());
    let origins = Origins::new(clock, limits, Arc::new(NoRecorder));
    let kept = origins.at("http://kept");
    for number in 0..2 * REMEMBERED {
        origins.at(&format!("http://{number}"));
    }
    assert!(Arc::ptr_eq(&kept, &origins.at("http://kept")));
    assert!(origins.by_address.lock().len() <= REMEMBERED);
}
