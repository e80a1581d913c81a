//! The service's side of a run.

use std::time::{Duration, Instant};

use anyhow::ensure;
use http::Method;
use isr_core::RateUnit;
use isr_testkit::Call;
use isr_testkit::fakes::Exchange;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;

use super::case::{Case, Limit};
use super::clock::clock;
use super::services::{self, Fake};

/// What the service saw.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) calls: u64,
    pub(super) items: u64,
    /// Calls that it answered with 429.
    pub(super) throttled: u64,
    /// Calls that it did not carry out for another reason.
    pub(super) refused: u64,
    /// Seconds from the first call to the last, by the run's clock.
    pub(super) seconds: f64,
    /// How the calls were to the limit that is documented; `None` where none is.
    pub(super) rate: Option<Rate>,
}

/// How a limit was used.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Rate {
    /// Used of what was allowed from the first call to the last.
    pub(super) used: f64,
    /// The most that was ever missing in the bucket, of what it holds: above one, the limit was exceeded.
    pub(super) most: f64,
}

/// A call: when it came, by the run's clock, and how many tokens it takes.
type Taken = (Duration, u32);

/// Serves until standard input ends, and prints the counts.
pub(super) async fn serve(case: &Case) -> anyhow::Result<()> {
    let service = services::named(&case.service)?;
    let fake = service.start(case, &clock(case.speed)).await;
    println!("{}", fake.address());
    let mut nothing = Vec::new();
    tokio::io::stdin().read_to_end(&mut nothing).await?;
    let counts = count(case, &*fake, service.limit(case))?;
    println!("{}", serde_json::to_string(&counts)?);
    Ok(())
}

fn count(case: &Case, fake: &dyn Fake, limit: Option<Limit>) -> anyhow::Result<Counts> {
    let mut exchanges = fake.exchanges();
    // What is only looked up does not purge.
    exchanges.retain(|exchange| exchange.method == Method::POST);
    let calls = fake.calls();
    ensure!(
        exchanges.len() == calls.len(),
        "the service saw calls that are no purges"
    );
    let Some(first) = exchanges.first().map(|exchange| exchange.at) else {
        return Ok(Counts::default());
    };
    let taken: Vec<Taken> = exchanges
        .iter()
        .zip(&calls)
        .map(|(exchange, call)| taken(case, first, exchange, call, limit))
        .collect();
    let status = |exchange: &Exchange| exchange.answer.as_ref().map(|(status, _)| *status);
    let throttled = exchanges
        .iter()
        .filter(|exchange| status(exchange).is_some_and(|status| status == 429));
    let throttled = throttled.count() as u64;
    let failed = calls.iter().filter(|call| !call.carried_out).count() as u64;
    Ok(Counts {
        calls: calls.len() as u64,
        items: calls.iter().map(|call| call.items.len() as u64).sum(),
        throttled,
        refused: failed - throttled,
        seconds: taken.last().map_or(0.0, |(at, _)| at.as_secs_f64()),
        rate: limit.map(|limit| Rate {
            used: used(&taken, &limit),
            most: most(&taken, &limit),
        }),
    })
}

fn taken(
    case: &Case,
    first: Instant,
    exchange: &Exchange,
    call: &Call,
    limit: Option<Limit>,
) -> Taken {
    let tokens = match limit.map(|limit| limit.unit) {
        Some(RateUnit::Items) => u32::try_from(call.items.len()).unwrap_or(u32::MAX),
        _ => 1,
    };
    (exchange.at.duration_since(first) * case.speed, tokens)
}

/// What was used of what was allowed from the first call that counts to the last.
fn used(taken: &[Taken], limit: &Limit) -> f64 {
    let mut left_out = 0;
    let counted = taken
        .iter()
        .skip_while(|(_, tokens)| {
            left_out += tokens;
            left_out <= limit.left_out
        })
        .copied();
    let counted: Vec<Taken> = counted.collect();
    let (Some((first, _)), Some((last, _))) = (counted.first(), counted.last()) else {
        return 0.0;
    };
    let tokens: f64 = counted.iter().map(|(_, tokens)| f64::from(*tokens)).sum();
    let seconds = last.saturating_sub(*first).as_secs_f64();
    tokens / (f64::from(limit.at_once) + seconds * limit.per_second)
}

/// The most that was ever missing in the bucket, of what it holds: the calls of no stretch of time were
/// more than that and what came back in it.
fn most(taken: &[Taken], limit: &Limit) -> f64 {
    let (mut missing, mut most, mut before) = (0.0_f64, 0.0_f64, Duration::ZERO);
    for (at, tokens) in taken {
        let back = at.saturating_sub(before).as_secs_f64() * limit.per_second;
        missing = (missing - back).max(0.0) + f64::from(*tokens);
        most = most.max(missing);
        before = *at;
    }
    most / f64::from(limit.bucket)
}
