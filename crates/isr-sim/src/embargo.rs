//! Data that change at a time, whose revalidation is scheduled for that time before.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use isr_core::{JobStore as _, Phase, RevalidateOptions, RevalidationId, TagGraph as _};
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::Instant;

use crate::desk::{Desk, Wanted};
use crate::fault::Fault;
use crate::host::{Armed, Host};
use crate::random::{below, millis};
use crate::rule::Rule;
use crate::server::Server;
use crate::site::Data;
use crate::world::World;

/// How long before its time the data may change, at the least: what the store's clock shows is cut to
/// milliseconds, and so is when anything happens here.
const AT_LEAST_BEFORE: Duration = millis(2);

/// A change of the data that waits for its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Embargo {
    id: RevalidationId,
    changes_at: Instant,
}

/// How it is going to be.
#[derive(Debug)]
struct Plan {
    id: RevalidationId,
    datum: usize,
    wait: Duration,
    /// What is revalidated at once after the change, if the schedule cannot be relied upon.
    plain: Wanted,
    /// Whether the data change all the same when the schedule has been called off.
    changes_anyway: bool,
    /// Who crashes at one of its next calls when it is due, if anybody does.
    crash: Option<(Arc<Host>, Armed)>,
}

impl Plan {
    /// The data change, unless that has been called off.
    async fn carry_out(self, desk: &Desk) {
        tokio::time::sleep(self.wait).await;
        let (net, truth) = (&desk.net, &desk.net.truth);
        let schedule = truth.schedule(&self.id);
        if schedule.called_off && !self.changes_anyway {
            return;
        }
        let version = truth.change(self.datum);
        truth.cover(&self.id, self.datum, version);
        if schedule.called_off || schedule.asked_to_call_off || schedule.void {
            let mut covers = Data::default();
            covers[self.datum] = version;
            desk.put_out(self.plain, covers);
        }
        if let Some((host, armed)) = self.crash
            && net.strikes(Fault::CrashWhenDue, true)
        {
            host.arm(armed);
        }
    }
}

impl World {
    /// Somebody schedules a revalidation for the time at which some datum is going to have changed.
    pub(crate) fn schedule(&mut self, random: &mut StdRng) {
        let datum = random.random_range(0..self.net.truth.site.data);
        let ahead = [1_500, 4_000, 15_000][random.random_range(0..3)];
        let ahead = millis(random.random_range(100..ahead));
        let before = AT_LEAST_BEFORE + below(random, 40);
        let (targets, options) = self.desk.wanted(random, datum);
        let plain = (targets.clone(), options.clone());
        let crash = random.random_bool(0.5).then(|| {
            let armed = Armed {
                calls: random.random_range(0..5),
                changes_only: random.random_bool(0.5),
                after: random.random_bool(0.5),
            };
            (Arc::clone(&self.slot(random).host), armed)
        });
        let Some(Ok(time)) = self.net.store.time().now_or_never() else {
            return;
        };
        let options = RevalidateOptions {
            at: Some(time.after(ahead)),
            ..options
        };
        let id = self.desk.put_out((targets, options), Data::default());
        let name = self.net.truth.name(&id);
        self.note(format_args!(
            "revalidation {name} is going to be scheduled, {ahead:?} ahead"
        ));
        let embargo = Plan {
            id,
            datum,
            wait: ahead.saturating_sub(before),
            plain,
            changes_anyway: random.random_bool(0.5),
            crash,
        };
        let changes_at = Instant::now() + embargo.wait;
        self.embargoes.push(Embargo { id, changes_at });
        let desk = Arc::clone(&self.desk);
        tokio::spawn(async move { embargo.carry_out(&desk).await });
        // Mostly whoever schedules asks at once.
        if random.random_bool(0.8) {
            self.revalidate(random);
        }
    }

    /// Somebody calls a scheduled revalidation off, or tries to.
    pub(crate) fn call_off(&self, random: &mut StdRng) {
        let now = Instant::now();
        let mut waiting: Vec<RevalidationId> = Vec::new();
        let later = self.embargoes.iter().filter(|it| it.changes_at > now);
        waiting.extend(later.map(|it| it.id));
        let drawn = random.random_range(0..usize::from(u16::MAX));
        let Some(&id) = waiting.get(drawn % waiting.len().max(1)) else {
            return;
        };
        let Some(server) = self.server(random) else {
            return;
        };
        self.net.truth.asks_to_call_off(&id);
        let (desk, host) = (Arc::clone(&self.desk), Arc::clone(&server.host));
        host.spawn(async move {
            ask_to_call_off(&desk, &server, id).await;
        });
    }

    /// Whether some data are still going to change.
    pub(crate) fn is_something_embargoed(&self) -> bool {
        let now = Instant::now();
        self.embargoes.iter().any(|it| it.changes_at >= now)
    }
}

async fn ask_to_call_off(desk: &Desk, server: &Server, id: RevalidationId) {
    let truth = &desk.net.truth;
    let (host, name) = (&server.host.name, truth.name(&id));
    let called_off = if desk.net.rules.hold(Rule::CalledOff) {
        let answer = server.link.cancel(&id).await;
        let known = answer.ok().flatten();
        known.is_some_and(|known| known.phase == Phase::Cancelled)
    } else {
        true
    };
    truth.journal.note(format_args!(
        "{host} has asked to call revalidation {name} off: {}",
        if called_off {
            "done"
        } else {
            "no, or no answer"
        }
    ));
    if called_off {
        truth.called_off(&id);
    }
}
