//! Visitors: read pages at every tier all the time, and look whether what they show may be shown.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::RngExt;

use crate::http::{Answer, Http};
use crate::plan::{EDGES, Who};
use crate::random::{happens, millis, stream};
use crate::run::Run;
use crate::world::{self, PAGES};

/// Visitors of each tier.
pub(crate) const VISITORS: u64 = 6;
/// How long a visitor waits for a whole page.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where pages can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier {
    Edge(usize),
    Varnish,
}

impl Tier {
    /// All of them, nearest the origin first.
    pub(crate) const ALL: [Self; EDGES + 1] = [Self::Edge(0), Self::Edge(1), Self::Varnish];

    pub(crate) const fn number(self) -> usize {
        match self {
            Self::Edge(number) => number,
            Self::Varnish => EDGES,
        }
    }

    const fn edge(self) -> Option<usize> {
        match self {
            Self::Edge(number) => Some(number),
            Self::Varnish => None,
        }
    }

    fn port(self, run: &Run) -> u16 {
        match self {
            Self::Edge(number) => run.stage.edges[number].visitors,
            Self::Varnish => run.stage.public,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge(number) => Who::Edge(*number).fmt(f),
            Self::Varnish => f.write_str("varnish"),
        }
    }
}

/// What the visitors of a tier met with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visits {
    pub(crate) pages: u64,
    pub(crate) hits: u64,
    /// Answers of the server's errors while both edges ran.
    pub(crate) errors: u64,
    /// As many while an edge, or the way there, was away.
    pub(crate) errors_while_away: u64,
    /// Not reached, or broken off half-way.
    pub(crate) broken: u64,
    /// As many while an edge, or the way there, was away.
    pub(crate) broken_while_away: u64,
    /// The longest that a visitor waited for a whole page while both edges ran.
    pub(crate) slowest: Duration,
    pub(crate) slowest_while_away: Duration,
}

/// By tier.
pub(crate) type AllVisits = [Mutex<Visits>; EDGES + 1];

/// Reads pages of a tier until `stop`.
pub(crate) async fn visit(
    run: Arc<Run>,
    tier: Tier,
    number: u64,
    pause: u64,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<()> {
    let of_tier = tier.number() as u64 * VISITORS;
    let mut random = stream(run.seed, "visitors", of_tier + number);
    let http = Http::new();
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(millis(&mut random, pause / 2, pause + pause / 2 + 1)).await;
        let suspect = happens(&mut random, 500).then(|| run.suspects.lock().pop_front());
        let page = suspect
            .flatten()
            .unwrap_or_else(|| random.random_range(0..PAGES));
        let began = run.journal.now();
        let answer = read(&run, &http, tier, page).await;
        let away = run.stage.showed_since(began);
        let took = run.journal.now().saturating_sub(began);
        note(&mut run.visits[tier.number()].lock(), answer, away, took);
    }
    Ok(())
}

/// Reads a page, and judges it by what held before it was asked for.
pub(crate) async fn read(
    run: &Run,
    http: &Http,
    tier: Tier,
    page: usize,
) -> anyhow::Result<Answer> {
    let floors = run.truth.floors(&run.world.pages[page].items, tier.edge());
    let url = format!("http://127.0.0.1:{}{}", tier.port(run), world::path(page));
    let answer = http.page(&url, &run.stage.host(), PATIENCE).await?;
    if answer.status == 200 {
        let shown = world::shown(&answer.body);
        let name = format!("{tier} ({})", history(&answer));
        run.truth.judge(&run.journal, &name, page, &floors, &shown);
    }
    Ok(answer)
}

/// Where an answer comes from, as its fields tell.
pub(crate) fn history(answer: &Answer) -> String {
    let hit = if answer.field("x-hit").is_empty() {
        ""
    } else {
        "a hit at varnish; "
    };
    let (status, age) = (answer.field("cache-status"), answer.field("age"));
    format!(
        "{hit}{status}; age {age}; took {} ms",
        answer.took.as_millis()
    )
}

fn is_hit(answer: &Answer) -> bool {
    let edge = answer.field("cache-status");
    !answer.field("x-hit").is_empty() || edge.contains("; hit")
}

fn note(visits: &mut Visits, answer: anyhow::Result<Answer>, away: bool, took: Duration) {
    let Visits {
        errors,
        errors_while_away,
        broken,
        broken_while_away,
        ..
    } = visits;
    match answer {
        Ok(answer) if answer.status >= 500 => *(if away { errors_while_away } else { errors }) += 1,
        Ok(answer) if answer.whole => {
            visits.pages += 1;
            visits.hits += u64::from(is_hit(&answer));
        }
        _ => *(if away { broken_while_away } else { broken }) += 1,
    }
    let slowest = if away {
        &mut visits.slowest_while_away
    } else {
        &mut visits.slowest
    };
    *slowest = took.max(*slowest);
}
