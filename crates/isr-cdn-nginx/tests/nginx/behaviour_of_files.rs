//! What every connector must do, by one that calls nobody. Its service is a folder, so what the suite takes
//! for a call is what was seen to happen: the pages that a real nginx had before a batch was purged, and has
//! not any more.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, PageUrl, PurgeBatch,
    PurgeReceipt, Reference, Target,
};
use isr_testkit::fakes::Fault;
use isr_testkit::{Call, ConnectorFixture, connector_behaviour, connector_behaviour_in_a_worker};
use parking_lot::Mutex;

use crate::site::{HOST, LOOKS, PAUSE, Site, page};

/// Requests of visitors at once.
const VISITORS: usize = 8;

#[derive(Debug)]
struct Fixture(Arc<Watched>);

/// The connector, and what nginx was seen to lose by it.
#[derive(Debug)]
struct Watched {
    site: Site,
    calls: Mutex<Vec<Call>>,
}

async fn fixture() -> Fixture {
    Fixture(Arc::new(Watched {
        site: Site::with_files("", &[]).await,
        calls: Mutex::default(),
    }))
}

#[async_trait]
impl CdnConnector for Watched {
    fn name(&self) -> &str {
        self.site.connector.name()
    }

    fn capabilities(&self) -> &Capabilities {
        self.site.connector.capabilities()
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let targets = batch.targets();
        let (purged, lost) = self.watch(targets, self.site.connector.purge(batch)).await;
        // What was refused is no call, unless something went all the same.
        if purged.is_ok() || !lost.is_empty() {
            let carried_out =
                purged.is_ok() && witnesses(targets).all(|it| lost.gone.contains(&it));
            self.calls.lock().push(lost.into_call(carried_out));
        }
        purged
    }

    async fn poll(&self, reference: &Reference) -> Result<Completion, ConnectorError> {
        self.site.connector.poll(reference).await
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let (findings, lost) = self.watch(&[], self.site.connector.check()).await;
        if !lost.is_empty() {
            self.calls.lock().push(lost.into_call(true));
        }
        findings
    }
}

/// What nginx has not as it had it before.
#[derive(Debug, Default)]
struct Lost {
    gone: Vec<PageUrl>,
    /// What it answers with a copy that it knows to be old.
    stale: Vec<PageUrl>,
}

impl Watched {
    /// Does something while nginx has the pages of some targets, and pages beside them.
    async fn watch<T>(&self, targets: &[Target], work: impl Future<Output = T>) -> (T, Lost) {
        let mut pages: Vec<PageUrl> = witnesses(targets).collect();
        let beside = bystanders(targets);
        pages.extend(beside.filter(|page| !targets.iter().any(|target| concerns(target, page))));
        self.fill(&pages).await;
        let done = work.await;
        (done, self.lost(&pages).await)
    }

    /// Visits pages until nginx has them all: it answers before it has put one there.
    async fn fill(&self, pages: &[PageUrl]) {
        for _ in 0..LOOKS {
            if self.lost(pages).await.is_empty() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("nginx does not keep {pages:?}");
    }

    /// Asks nginx, as visitors do, what it has. It has everything that it was asked for a little later.
    async fn lost(&self, pages: &[PageUrl]) -> Lost {
        let visits = stream::iter(pages.to_vec()).map(|page| async {
            let (host, path) = (page.host(), page.path_and_query());
            let response = self.site.request(host, path, "").await;
            let said = response.headers()["x-cache"].to_str().unwrap().to_owned();
            (page, said)
        });
        let visits = visits.buffered(VISITORS).collect::<Vec<_>>();
        let mut lost = Lost::default();
        for (page, said) in visits.await {
            match said.as_str() {
                "HIT" => {}
                "MISS" => lost.gone.push(page),
                _ => lost.stale.push(page),
            }
        }
        lost
    }
}

impl Lost {
    fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.stale.is_empty()
    }

    fn into_call(self, carried_out: bool) -> Call {
        let soft = !self.stale.is_empty();
        let pages = self.gone.into_iter().chain(self.stale);
        Call {
            items: pages.map(|page| page.to_string()).collect(),
            soft,
            carried_out,
        }
    }
}

/// A page of each target that goes with it, of everything one of each host; of a tag there is none.
fn witnesses(targets: &[Target]) -> impl Iterator<Item = PageUrl> {
    targets.iter().flat_map(|target| match target {
        Target::Url(page) => vec![page.clone()],
        Target::Prefix(prefix) => {
            let folder = prefix.as_str().trim_end_matches('/');
            vec![page(&format!("{folder}/beneath"))]
        }
        Target::Host(host) => vec![page(&format!("http://{host}/of-the-host"))],
        Target::Everything => vec![elsewhere(), page(&format!("http://{HOST}/of-everything"))],
        _ => vec![],
    })
}

/// A page of a host that no target names.
fn elsewhere() -> PageUrl {
    page("http://elsewhere.example.net/")
}

/// Pages that stay, unless everything goes: one elsewhere, and neighbours of the first of the targets.
fn bystanders(targets: &[Target]) -> impl Iterator<Item = PageUrl> {
    let neighbours = match targets.first() {
        Some(Target::Url(url)) => vec![
            page(&format!("{url}x")),
            page(&format!("http://other.example.com{}", url.path_and_query())),
        ],
        Some(Target::Prefix(prefix)) => {
            vec![page(&format!("{}x", prefix.as_str().trim_end_matches('/')))]
        }
        Some(Target::Host(host)) => vec![page(&format!("http://sub.{host}/of-the-host"))],
        _ => vec![],
    };
    neighbours.into_iter().chain([elsewhere()])
}

fn concerns(target: &Target, page: &PageUrl) -> bool {
    target.concerns(page, std::iter::empty())
}

#[async_trait]
impl ConnectorFixture for Fixture {
    fn connector(&self) -> Arc<dyn CdnConnector> {
        Arc::clone(&self.0) as Arc<_>
    }

    async fn calls(&self) -> Vec<Call> {
        self.0.calls.lock().clone()
    }

    fn on_the_wire(&self, target: &Target) -> Vec<String> {
        let pages = witnesses(std::slice::from_ref(target));
        pages.map(|page| page.to_string()).collect()
    }

    async fn next(&self, _fault: Fault) {}

    /// Nobody is called, so no call fails. What becomes of a folder that cannot be read or written is tried
    /// beside this.
    fn is_failure(&self, _fault: Fault) -> bool {
        false
    }

    fn secrets(&self) -> Vec<String> {
        vec![]
    }

    fn origin(&self) -> &'static str {
        "http://www.example.com"
    }
}

connector_behaviour!(fixture());
connector_behaviour_in_a_worker!(fixture());
