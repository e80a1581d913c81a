//! A site to ask: a store, a sender fed by hand, a service on a socket, and a client.

use std::fmt::Write as _;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use axum::Router;
use http::{HeaderMap, HeaderName, HeaderValue};
use isr_core::{
    Beginning, Bind, BindOutcome, Clock, Collected, Cursor, Dialect, Epoch, Event, Front, Fronting,
    GraphStatistics, Heard, JobStore as _, News, PageTags, PageUrl, PageWork, Position, Receipt,
    Recorder, RevalidateOptions, RevalidationId, Revalidator, Secret, Sender, SenderId,
    SenderOptions, SenderReport, SenderState, SiteOrigin, Source, Standing, StoreError, Tag,
    TagGraph, TagHeader, Target, Targets, Timestamp, UrlChunk, UrlRules, WarmupKey, WorkerId,
    build_tag,
};
use isr_graph::{MemoryOptions, MemoryStore};
use isr_testkit::HandClock;
use isr_tower::{IsrLayer, IsrOptions, IsrParts, Site};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ORIGIN: &str = "https://blog.example";
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// A clock moved by hand that remembers who slept on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TestClock {
    hand: HandClock,
    slept: Arc<Mutex<Vec<Duration>>>,
}

impl TestClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.hand.advance(by);
    }

    /// Waits until somebody sleeps for so long.
    pub(crate) async fn sleeper(&self, duration: Duration) {
        until(|| self.slept.lock().contains(&duration)).await;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.hand.now()
    }

    fn time_of_day(&self) -> SystemTime {
        self.hand.time_of_day()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let sleep = self.hand.sleep(duration);
        self.slept.lock().push(duration);
        sleep
    }
}

/// Waits until something holds, and gives up after ten seconds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait)
        .await
        .expect("what was waited for never came");
}

/// Remembers what happened to binds.
#[derive(Debug, Default)]
pub(crate) struct Record(Mutex<Vec<&'static str>>);

impl Recorder for Record {
    fn record(&self, event: &Event<'_>) {
        self.0.lock().push(match event {
            Event::Bound => "bound",
            Event::Superseded => "superseded",
            Event::BindFailed => "bind failed",
            Event::StoreFailed { .. } => "store failed",
            _ => "something else",
        });
    }
}

/// A store that revalidations are asked of directly.
#[derive(Debug)]
struct Direct(Arc<MemoryStore>);

#[async_trait]
impl Revalidator for Direct {
    async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        self.0.invalidate(receipt).await
    }

    async fn receipt(&self, id: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        self.0.receipt(id).await
    }
}

/// A site, and what it is put together from.
pub(crate) struct World {
    pub(crate) clock: TestClock,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) parts: IsrParts,
    record: Arc<Record>,
}

impl World {
    /// A world whose sender stands before a foreign tier and has not heard from the store.
    pub(crate) fn unheard() -> Self {
        let clock = TestClock::default();
        let shared_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = Arc::new(MemoryStore::new(
            Arc::clone(&shared_clock),
            MemoryOptions::default(),
        ));
        let options = SenderOptions {
            tracks: true,
            lease: LEASE,
            ..SenderOptions::default()
        };
        let sender = Sender::new("test", options, shared_clock);
        sender.reported(clock.now());
        let record = Arc::new(Record::default());
        let tag_header = TagHeader::CacheTag;
        let limits = tag_header.limits();
        let parts = IsrParts {
            graph: Arc::clone(&store) as Arc<dyn TagGraph>,
            sender: Arc::clone(&sender),
            recorder: Arc::clone(&record) as Arc<dyn Recorder>,
            revalidator: Some(Arc::new(Direct(Arc::clone(&store)))),
            warmup: Some(WarmupKey::new(Secret::new("0123456789abcdef")).unwrap()),
            site: Site::new(SiteOrigin::parse(ORIGIN).unwrap()),
            url_rules: UrlRules::default(),
            fronting: Fronting::new([
                Front::speaking(Dialect::Standard),
                Front::reading(tag_header, limits),
            ]),
            build_tag: Some(build_tag("b1")),
            options: IsrOptions::default(),
        };
        Self {
            clock,
            store,
            sender,
            parts,
            record,
        }
    }

    /// A world whose sender has heard from the store.
    pub(crate) async fn new() -> Self {
        let world = Self::unheard();
        world.hear().await;
        world
    }

    pub(crate) fn layer(&self) -> IsrLayer {
        IsrLayer::new(self.parts.clone())
    }

    /// Lets the sender hear what is new.
    pub(crate) async fn hear(&self) {
        hear(&self.store, &self.sender).await;
    }

    /// Revalidates a tag in the store; nobody hears of it yet.
    pub(crate) async fn revalidate(&self, tag: Tag) -> Position {
        revalidate(&self.store, tag).await
    }

    /// What was recorded since this was last asked.
    pub(crate) fn recorded(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.record.0.lock())
    }

    /// The tags that a page is bound to; none when the store does not know it.
    pub(crate) async fn tags_of(&self, path: &str) -> Vec<String> {
        let page = self.store.tags_for(&url(path)).await.unwrap();
        let mut tags: Vec<String> = page
            .into_iter()
            .flat_map(|page| page.tags)
            .map(|bound| bound.tag.to_string())
            .collect();
        tags.sort();
        tags
    }

    /// The pages waiting to be purged and warmed again.
    pub(crate) async fn queued(&self) -> Vec<PageWork> {
        let worker = WorkerId("test".to_owned());
        let claimed = self.store.claim_pages(&worker, 100, LEASE).await.unwrap();
        claimed.into_iter().map(|claimed| claimed.work).collect()
    }

    /// How far the sender is clean, as a number.
    pub(crate) fn clean(&self) -> u64 {
        self.sender.report().unwrap().clean.numbers()[0]
    }
}

pub(crate) async fn hear(store: &MemoryStore, sender: &Sender) {
    let asked = sender.clock().now();
    let news = match sender.known() {
        Some(known) => store.news_since(&known, 1000).await.unwrap(),
        None => News {
            heard: Vec::new(),
            position: store.position().await.unwrap(),
            more: false,
            gap: false,
        },
    };
    sender.learn(&news, asked);
}

pub(crate) async fn revalidate(store: &MemoryStore, tag: Tag) -> Position {
    let targets = Targets::new([Target::Tag(tag)]).unwrap();
    let receipt = Receipt::new(targets, RevalidateOptions::default(), Source::Library);
    store.invalidate(receipt).await.unwrap().position.unwrap()
}

pub(crate) fn url(path: &str) -> PageUrl {
    PageUrl::parse(&format!("{ORIGIN}{path}")).unwrap()
}

/// A graph that does not answer as it should.
#[derive(Clone, Debug)]
pub(crate) enum Graph {
    /// It says that it cannot be reached.
    Failing,
    /// It never answers.
    Hanging,
    /// A tag is revalidated, and the sender hears of it, between the bind and its answer.
    Overtaken(Tag, Arc<MemoryStore>, Arc<Sender>),
}

const ONLY_BINDS: &str = "the layer only binds";

#[async_trait]
impl TagGraph for Graph {
    async fn bind(&self, binds: &[Bind]) -> Result<Vec<BindOutcome>, StoreError> {
        match self {
            Self::Failing => {
                let (store, source) = ("test".to_owned(), "gone".into());
                Err(StoreError::Unavailable { store, source })
            }
            Self::Hanging => std::future::pending().await,
            Self::Overtaken(tag, store, sender) => {
                let outcomes = store.bind(binds).await;
                revalidate(store, tag.clone()).await;
                hear(store, sender).await;
                outcomes
            }
        }
    }
    async fn position(&self) -> Result<Position, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn time(&self) -> Result<Timestamp, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn secret(&self) -> Result<Secret, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn unbind(&self, _: &[PageUrl]) -> Result<u64, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn urls_for(
        &self,
        _: &Target,
        _: Option<&Cursor>,
        _: usize,
    ) -> Result<UrlChunk, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn tags_for(&self, _: &PageUrl) -> Result<Option<PageTags>, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn invalidate(&self, _: Receipt) -> Result<Receipt, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn beginning(&self) -> Result<Option<Beginning>, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn dealt_with(&self, _: Epoch) -> Result<(), StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn news_since(&self, _: &Position, _: usize) -> Result<News, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn standing(&self, _: &PageUrl, _: &[Tag]) -> Result<Standing, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn history(
        &self,
        _: &PageUrl,
        _: Option<u64>,
        _: usize,
    ) -> Result<Vec<Heard>, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn report(&self, _: &SenderReport) -> Result<(), StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn senders(&self) -> Result<Vec<SenderState>, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn dismiss(&self, _: &SenderId) -> Result<(), StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn statistics(&self, _: usize) -> Result<GraphStatistics, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
    async fn collect_garbage(&self, _: usize) -> Result<Collected, StoreError> {
        unreachable!("{ONLY_BINDS}")
    }
}

/// A service on a socket, until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An answer, as it came over the socket.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Whatever came after the head, chunks and all.
    pub(crate) body: String,
}

impl Answer {
    /// A field's value; nothing when it is absent.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer has a head");
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let fields = lines.map(|line| line.split_once(": ").unwrap());
        let headers = fields
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        Self {
            status,
            headers,
            body: body.to_owned(),
        }
    }
}

impl Server {
    pub(crate) async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    /// Sends a request; its answer is whatever comes until the connection is closed.
    pub(crate) async fn open(
        &self,
        method: &str,
        target: &str,
        fields: &[(&str, &str)],
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!(
            "{method} {target} HTTP/1.1\r\nhost: whatever.example\r\nconnection: close\r\n"
        );
        for (name, value) in fields {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let mut stream = self.open(method, target, fields).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::read(&bytes)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[]).await
    }
}
