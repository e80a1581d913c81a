//! Watches what becomes of the revalidations.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use uuid::Uuid;

use crate::http::Http;
use crate::journal::About;
use crate::plan::EDGES;
use crate::run::Run;

/// How often the newest receipts are looked at.
const ROUND: Duration = Duration::from_millis(600);
/// How many of the newest are looked at at once: as many as the API gives.
const NEWEST: usize = 1000;
/// How many lists as long, of older ones, are looked at in a round: several times what is accepted meanwhile.
const OLDER_LISTS: usize = 3;
/// How many are asked for by themselves in a round, the oldest first: no list shows one that was lost.
const OLDEST: usize = 20;
const PATIENCE: Duration = Duration::from_secs(4);
/// The most pages that visitors are sent to because something they show was settled a moment ago.
const SUSPECTS: usize = 2000;

#[derive(Debug, Deserialize)]
struct ReceiptList {
    receipts: Vec<Receipt>,
    next: Option<String>,
}

/// What the API says of a revalidation.
#[derive(Debug, Deserialize)]
pub(crate) struct Receipt {
    id: Uuid,
    pub(crate) phase: String,
    settled: bool,
    pub(crate) error: Option<String>,
    #[serde(default)]
    tiers: Vec<Tier>,
}

#[derive(Debug, Deserialize)]
struct Tier {
    #[serde(rename = "tier")]
    name: String,
    state: String,
    calls: u64,
}

impl Receipt {
    /// What is worth telling of one that does not end.
    pub(crate) fn told(&self) -> String {
        let tiers = self.tiers.iter();
        let tiers: Vec<String> = tiers
            .map(|it| format!("{} {} after {} calls", it.name, it.state, it.calls))
            .collect();
        let error = self.error.as_deref().unwrap_or("no error");
        format!(
            "{}, settled: {}, {}; {error}",
            self.phase,
            self.settled,
            tiers.join(", ")
        )
    }
}

/// What was seen of the purge calls.
#[derive(Debug, Default)]
pub(crate) struct Calls(BTreeMap<Uuid, u64>);

impl Calls {
    /// How many calls beyond the first the revalidations needed: repeats for what was in flight, retries
    /// and dead senders.
    pub(crate) fn repeated(&self) -> u64 {
        self.0.values().map(|calls| calls.saturating_sub(1)).sum()
    }
}

/// Looks at receipts until it is dropped.
pub(crate) async fn watch(run: Arc<Run>) -> anyhow::Result<()> {
    let http = Http::new();
    let mut older = None;
    for round in 0.. {
        tokio::time::sleep(ROUND).await;
        let admin = run.stage.edges[round % EDGES].admin;
        // One that does not answer is asked again next time.
        if let Some(newest) = list(&run, &http, admin, None).await {
            older = sweep(&run, &http, admin, older.or(newest.next)).await;
            look_at_oldest(&run, &http, admin, round).await;
        }
    }
    Ok(())
}

/// Goes on through the older receipts, as far as there are any that are not done. Says where to go on.
async fn sweep(run: &Run, http: &Http, admin: u16, from: Option<String>) -> Option<String> {
    let mut next = from;
    for _ in 0..OLDER_LISTS {
        let from = next.take()?;
        // Of an edge that is away, nothing is known: the same list is asked for again.
        let Some(found) = list(run, http, admin, Some(&from)).await else {
            return Some(from);
        };
        let oldest_open = run.truth.open().into_iter().min()?;
        // The ids tell the time.
        let goes_on = found.receipts.iter().any(|it| it.id > oldest_open);
        next = found.next.filter(|_| goes_on);
    }
    next
}

/// The newest receipts, or those after a cursor. `None` when the edge does not answer.
async fn list(run: &Run, http: &Http, admin: u16, after: Option<&str>) -> Option<ReceiptList> {
    let encoded = |it| utf8_percent_encode(it, NON_ALPHANUMERIC);
    let after = after.map(|it| format!("&after={}", encoded(it)));
    let after = after.unwrap_or_default();
    let url = format!("http://127.0.0.1:{admin}/v1/receipts?limit={NEWEST}{after}");
    let list = http.json::<ReceiptList>(&url, PATIENCE).await.ok()??;
    for receipt in &list.receipts {
        seen(run, receipt);
    }
    Some(list)
}

async fn look_at_oldest(run: &Run, http: &Http, admin: u16, round: usize) {
    let mut open = run.truth.open();
    open.sort_unstable();
    // But also those behind some that wait for long.
    let from = if round.is_multiple_of(2) || open.len() <= OLDEST {
        0
    } else {
        (round * OLDEST) % open.len()
    };
    for id in open.into_iter().skip(from).take(OLDEST) {
        if look_at(run, http, admin, id).await.is_err() {
            return;
        }
    }
}

/// Looks at one receipt; gives what the API says of it.
pub(crate) async fn look_at(
    run: &Run,
    http: &Http,
    admin: u16,
    id: Uuid,
) -> anyhow::Result<Option<Receipt>> {
    let url = format!("http://127.0.0.1:{admin}/v1/receipts/{id}");
    let receipt = http.json::<Receipt>(&url, PATIENCE).await?;
    match &receipt {
        Some(receipt) => seen(run, receipt),
        None => forgotten(run, id),
    }
    Ok(receipt)
}

fn seen(run: &Run, receipt: &Receipt) {
    let calls = receipt.tiers.iter().map(|it| it.calls).max().unwrap_or(0);
    run.calls.lock().0.insert(receipt.id, calls);
    let done = receipt.phase == "done";
    let risen = run
        .truth
        .seen(&run.journal, receipt.id, receipt.settled, done);
    let pages = risen
        .into_iter()
        .flat_map(|item| run.world.cold_pages(item));
    let mut suspects = run.suspects.lock();
    let room = SUSPECTS.saturating_sub(suspects.len());
    suspects.extend(pages.take(room));
}

/// A revalidation that was acknowledged and is not known: nothing acknowledged may be lost.
fn forgotten(run: &Run, id: Uuid) {
    let Some(promise) = run.truth.promise(id) else {
        return;
    };
    let about: Vec<About> = promise.items.iter().map(|it| About::Item(it.0)).collect();
    let what = format!("{id} was acknowledged, and the store no longer knows of it");
    run.truth.find(&run.journal, what, &about);
    // Once is enough.
    run.truth.seen(&run.journal, id, true, true);
}
