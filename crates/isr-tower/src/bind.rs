//! Binding a page before its first byte leaves.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use isr_core::{Bind, BindOutcome, Event, Flight, Footprint, TagSet, VariantKey};

use crate::page::Page;
use crate::parts::Setup;

/// What became of a bind.
#[derive(Debug)]
pub(crate) enum Fate {
    /// The page can be found by its tags.
    Bound(Flight),
    /// What it shows has been revalidated since it was read; it is queued again.
    Superseded,
    /// Nobody knows. There is no flight before the store has been heard from.
    Unbound(Option<Flight>),
}

/// Binds a page that shared caches may keep for as long as `lifetime`. The flight begins first, so
/// that no revalidation falls between the two.
pub(crate) async fn bind(
    page: &Page,
    variant: VariantKey,
    tags: TagSet,
    lifetime: Duration,
) -> Fate {
    let setup = page.setup();
    let visit = page.visit();
    let Some((url, generation)) = visit.url.clone().zip(visit.generation) else {
        setup.recorder.record(&Event::BindFailed);
        return Fate::Unbound(None);
    };
    let footprint = Arc::new(Footprint {
        url: url.clone(),
        tags: tags.clone(),
    });
    let flight = setup.sender.depart(&footprint, generation);
    match ask(
        setup,
        &Bind {
            url,
            variant,
            tags,
            generation,
            lifetime,
        },
    )
    .await
    {
        Some(BindOutcome::Superseded { .. }) => {
            flight.cancel();
            setup.recorder.record(&Event::Superseded);
            Fate::Superseded
        }
        // Asked after the bind, which may have taken long: others could count this sender as dead.
        Some(BindOutcome::Bound { .. }) if flight.may_go_on() => {
            setup.recorder.record(&Event::Bound);
            Fate::Bound(flight)
        }
        _ => {
            setup.recorder.record(&Event::BindFailed);
            Fate::Unbound(Some(flight))
        }
    }
}

/// What the store says, if it says it in time.
async fn ask(setup: &Setup, bind: &Bind) -> Option<BindOutcome> {
    let answer = setup.graph.bind(std::slice::from_ref(bind));
    let timeout = setup.sender.clock().sleep(setup.options.bind_timeout);
    let error: Box<dyn std::error::Error> = match select(answer, timeout).await {
        Either::Left((Ok(outcomes), _)) => match outcomes.first() {
            Some(outcome) => return Some(*outcome),
            None => "the store said nothing of the bind".into(),
        },
        Either::Left((Err(error), _)) => Box::new(error),
        Either::Right(((), _)) => "the store took too long".into(),
    };
    setup
        .recorder
        .record(&Event::StoreFailed { operation: "bind" });
    tracing::debug!(url = %bind.url, error = &*error, "a page could not be bound");
    None
}
