//! The whole crawler against scripted origins, on a clock that nobody waits for: what the origins
//! experience. The scripts are in `tests/origins`.

mod script;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{NoRecorder, PageUrl, SiteOrigin, WarmOutcome, WarmRequest, Warmer as _};
use tokio::time::Instant;

use crate::{Crawler, CrawlerOptions};
pub(crate) use script::PausedClock;
use script::{Script, ScriptedOrigin, Seen};

const SITE: &str = "https://example.com";

/// What came of warming a script's pages in one call.
struct Run {
    seen: Vec<Seen>,
    outcomes: Vec<WarmOutcome>,
    ended: Duration,
}

/// Runs a script, and checks what holds for every one.
async fn run(file: &str) -> Run {
    let script: Script = toml::from_str(file).unwrap();
    let origin = ScriptedOrigin::new(script.clone());
    let options = CrawlerOptions {
        allowed: vec![SiteOrigin::parse(SITE).unwrap()],
        concurrency: script.concurrency,
        rate: Some(script.rate),
        burst: script.burst,
        ..CrawlerOptions::default()
    };
    let begun = Instant::now();
    let clock = Arc::new(PausedClock(begun));
    let crawler = Crawler::asking(
        Box::new(origin.clone()),
        options,
        clock,
        Arc::new(NoRecorder),
    );
    let page = |number| WarmRequest {
        url: PageUrl::parse(&format!("{SITE}/{number}")).unwrap(),
        via: None,
        least: None,
    };
    let pages: Vec<_> = (0..script.pages).map(page).collect();
    let outcomes = crawler.warm(&pages).await;
    let run = Run {
        seen: origin.seen(),
        outcomes,
        ended: begun.elapsed(),
    };
    run.report(&script.about);
    run.was_polite(&script);
    run
}

impl Run {
    /// What holds whatever the origin is like.
    fn was_polite(&self, script: &Script) {
        let (rate, burst) = (f64::from(script.rate), f64::from(script.burst));
        let mut tokens = burst;
        let mut last = Duration::ZERO;
        for seen in &self.seen {
            assert!(seen.running <= script.concurrency, "{seen:?}");
            tokens =
                (tokens + rate * seen.began.saturating_sub(last).as_secs_f64()).min(burst) - 1.0;
            last = seen.began;
            assert!(
                tokens > -0.001,
                "faster than the rate and one burst: {seen:?}"
            );
        }
        for refusal in &self.seen {
            if let Some(pause) = refusal.pause {
                let pause = refusal.ended + Duration::from_nanos(1)..refusal.ended + pause;
                assert_eq!(self.during(&pause).count(), 0, "asked after {refusal:?}");
            }
        }
    }

    #[expect(
        clippy::print_stdout,
        reason = "for whoever runs the tests with `--nocapture`"
    )]
    fn report(&self, about: &str) {
        let all = Duration::ZERO..self.ended;
        println!(
            "{about}\n  {} requests, {} refused, {} pages of {} warmed, {:.1} s, at most {} at once, {:.1} on average",
            self.seen.len(),
            self.refused(&all),
            self.warmed(),
            self.outcomes.len(),
            self.ended.as_secs_f64(),
            self.most(&all),
            self.mean(&all),
        );
    }

    /// The requests that began then.
    fn during<'a>(&'a self, time: &'a Range<Duration>) -> impl Iterator<Item = &'a Seen> {
        let first = self.seen.partition_point(|seen| seen.began < time.start);
        self.seen[first..]
            .iter()
            .take_while(|seen| seen.began < time.end)
    }

    fn refused(&self, time: &Range<Duration>) -> usize {
        let refused = |seen: &&Seen| seen.status != Some(200);
        self.during(time).filter(refused).count()
    }

    fn most(&self, time: &Range<Duration>) -> usize {
        self.during(time)
            .map(|seen| seen.running)
            .max()
            .unwrap_or(0)
    }

    /// How many were under way on average, queued at the origin or being worked on.
    fn mean(&self, time: &Range<Duration>) -> f64 {
        let within = |seen: &Seen| {
            let (from, to) = (seen.began.max(time.start), seen.ended.min(time.end));
            to.saturating_sub(from).as_secs_f64()
        };
        let under_way: f64 = self.seen.iter().map(within).sum();
        under_way / time.end.saturating_sub(time.start).as_secs_f64()
    }

    fn warmed(&self) -> usize {
        let warmed = |outcome: &&WarmOutcome| matches!(outcome, WarmOutcome::Warmed { .. });
        self.outcomes.iter().filter(warmed).count()
    }

    /// When so many were under way for the first time since then.
    fn reached(&self, running: usize, since: Duration) -> Duration {
        let mut seen = self.seen.iter().filter(|seen| seen.began >= since);
        let first = seen.find(|seen| seen.running >= running);
        first.expect("it is reached").began.saturating_sub(since)
    }
}

fn seconds(from: u64, to: u64) -> Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

macro_rules! origin {
    ($name:literal) => {
        run(include_str!(concat!(
            "../../tests/origins/",
            $name,
            ".toml"
        )))
    };
}

#[tokio::test(start_paused = true)]
async fn a_fast_origin_gets_as_many_as_are_allowed() {
    let run = origin!("fast").await;
    assert_eq!(run.warmed(), 5000);
    assert!(run.reached(32, Duration::ZERO) < Duration::from_secs(1));
    assert!(run.mean(&seconds(1, 3)) > 28.0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_origin_is_not_taken_for_an_overloaded_one() {
    let run = origin!("slow").await;
    assert_eq!(run.warmed(), 600);
    assert!(run.reached(16, Duration::ZERO) < Duration::from_mins(1));
    assert!(run.mean(&seconds(60, 75)) > 14.0);
}

#[tokio::test(start_paused = true)]
async fn an_overloaded_origin_is_relieved_and_still_kept_busy() {
    let run = origin!("overloaded").await;
    assert_eq!(run.warmed(), 2000);
    // Three workers make thirty pages a second.
    assert!(run.ended.as_secs_f64() < 1.15 * 2000.0 / 30.0);
    assert!(run.most(&seconds(0, 3)) <= 16);
    assert!(run.most(&seconds(3, 60)) <= 9);
    assert!(run.mean(&seconds(3, 60)) < 6.0);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_degrades_is_relieved_until_it_is_well_again() {
    let run = origin!("degrading").await;
    assert_eq!(run.warmed(), 30_000);
    assert!(run.mean(&seconds(5, 20)) > 28.0);
    assert!(run.most(&seconds(35, 50)) <= 5);
    assert!(run.reached(28, Duration::from_secs(50)) < Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_down_is_probed_and_soon_found_up_again() {
    let run = origin!("flapping").await;
    assert_eq!(run.warmed(), 6000);
    for (down, up) in [(10, 20), (30, 40)] {
        // Those under way, a few in a row, and the probes after one, two and four seconds.
        assert!(run.refused(&seconds(down, up)) <= 16 + 3);
        assert!(run.most(&seconds(down + 1, up)) <= 1);
        let up = Duration::from_secs(up);
        assert!(run.reached(1, up) < Duration::from_secs(8));
        assert!(run.reached(8, up) < Duration::from_secs(12));
    }
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_limits_the_rate_is_obeyed() {
    let run = origin!("rate-limited").await;
    assert_eq!(run.warmed(), 1500);
    let all = Duration::ZERO..run.ended;
    assert!(run.refused(&all) * 10 < run.seen.len());
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_dead_is_given_up_on() {
    let run = origin!("dead").await;
    assert_eq!(run.warmed(), 0);
    assert!(run.ended < Duration::from_mins(1));
    assert!(run.seen.len() < 20);
}
