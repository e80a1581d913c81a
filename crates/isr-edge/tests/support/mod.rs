//! A whole site for a test: a scripted origin, a store in memory, and the cache on a real socket.

pub(crate) mod log;
pub(crate) mod origin;
pub(crate) mod store;
pub(crate) mod tls;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use isr_core::{
    BoxError, Clock, Event, Mode, PageUrl, Policy, Receipt, Recorder, RevalidateOptions,
    RevalidationId, Revalidator, Secret, Sender, SenderOptions, SenderRole, SiteOrigin, Source,
    StoreError, Tag, TagGraph as _, Target, Targets, WarmupKey,
};
use isr_edge::{
    Edge, EdgeOptions, EdgeParts, HttpOrigin, HttpOriginOptions, Pattern, Rule, ServeOptions,
    TagTemplate, serve,
};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};

use self::origin::ScriptedOrigin;
use self::store::FlakyStore;

/// A clock that goes by itself and can be put forward.
#[derive(Debug)]
pub(crate) struct TestClock {
    began: Instant,
    ahead: Mutex<Duration>,
}

impl TestClock {
    fn new() -> Arc<Self> {
        // Not from zero, which would leave no room before the first moment.
        Arc::new(Self {
            began: Instant::now(),
            ahead: Mutex::new(Duration::from_secs(1)),
        })
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.ahead.lock() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.began.elapsed() + *self.ahead.lock()
    }

    fn time_of_day(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Takes note of what found no room and of what the store did not take, by the event's name and fields.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<Vec<String>>);

impl Noted {
    pub(crate) fn count(&self, event: &str) -> usize {
        self.0.lock().iter().filter(|noted| *noted == event).count()
    }
}

impl Recorder for Noted {
    fn record(&self, event: &Event<'_>) {
        if matches!(
            event,
            Event::OriginAtCapacity { .. } | Event::CrowdedOut | Event::StoreFailed { .. }
        ) {
            self.0.lock().push(format!("{event:?}"));
        }
    }
}

/// Waits for a condition.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let patience = tokio::time::timeout(Duration::from_secs(20), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    patience.await.expect("the condition was never met");
}

/// Accepts revalidations into the store and makes the sender learn of them.
#[derive(Debug)]
struct Accept {
    store: Arc<FlakyStore>,
    sender: Arc<Sender>,
}

#[async_trait]
impl Revalidator for Accept {
    async fn revalidate(&self, receipt: Receipt) -> Result<Receipt, StoreError> {
        let receipt = self.store.invalidate(receipt).await?;
        follow(&self.store, &self.sender).await?;
        Ok(receipt)
    }

    async fn receipt(&self, _: &RevalidationId) -> Result<Option<Receipt>, StoreError> {
        Ok(None)
    }
}

/// Makes the sender learn all there is to learn.
async fn follow(store: &FlakyStore, sender: &Sender) -> Result<(), StoreError> {
    loop {
        let asked = sender.clock().now();
        let known = match sender.known() {
            Some(known) => known,
            None => store.position().await?,
        };
        let news = store.news_since(&known, 100).await?;
        sender.learn(&news, asked);
        if !news.more {
            return Ok(());
        }
    }
}

/// What a test changes about its site before it starts.
pub(crate) struct Setup {
    pub(crate) options: EdgeOptions,
    pub(crate) sender: SenderOptions,
    pub(crate) origin: HttpOriginOptions,
    /// Where the origin is, unless that is where the scripted one listens.
    pub(crate) url: Option<String>,
    /// Whether the sender has heard from the store.
    pub(crate) informed: bool,
}

pub(crate) const HOST: &str = "a.example";
pub(crate) const KEY: &str = "a key of the tests' own";

impl Setup {
    pub(crate) fn new() -> Self {
        let hosts = vec![SiteOrigin::parse(&format!("https://{HOST}")).unwrap()];
        // A day, so that putting the clock forward does not make the sender fall behind.
        let day = Duration::from_hours(24);
        Self {
            options: EdgeOptions::new(hosts).unwrap(),
            sender: SenderOptions {
                role: SenderRole::Edge,
                max_lag: day,
                ..SenderOptions::default()
            },
            origin: HttpOriginOptions::default(),
            url: None,
            informed: true,
        }
    }

    /// Opts pages in for 100 s, then 20 s while they are revalidated or 50 s when the origin fails.
    pub(crate) fn rule(mut self, pattern: &str, tags: &[&str]) -> Self {
        let policy = Policy::builder()
            .s_maxage(Duration::from_secs(100))
            .stale_while_revalidate(Duration::from_secs(20))
            .stale_if_error(Duration::from_secs(50));
        let tags = tags.iter().map(|tag| TagTemplate::parse(tag).unwrap());
        let rule = Rule::new(Pattern::parse(pattern).unwrap())
            .with_tags(tags)
            .unwrap()
            .with_policy(policy.build().unwrap());
        self.options.rules.push(rule);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) async fn start(self, origin: ScriptedOrigin) -> Site {
        let clock = TestClock::new();
        let store = Arc::new(FlakyStore::new(clock.clone()));
        let sender = Sender::new("edge", self.sender, clock.clone());
        if self.informed {
            follow(&store, &sender).await.unwrap();
            sender.reported(clock.now());
        }
        let listens = || format!("http://{}", origin.address);
        let url = self.url.unwrap_or_else(listens);
        let http = HttpOrigin::new(&url, &self.origin).unwrap();
        let revalidator = Arc::new(Accept {
            store: store.clone(),
            sender: sender.clone(),
        });
        let noted = Arc::new(Noted::default());
        let parts = EdgeParts {
            graph: store.clone(),
            sender: sender.clone(),
            recorder: noted.clone(),
            clock: clock.clone(),
            warmup_key: Some(WarmupKey::new(Secret::new(KEY)).unwrap()),
            revalidator: revalidator.clone(),
        };
        let edge = Edge::new(self.options, Arc::new(http), parts);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = serve(
            listener,
            edge.clone(),
            ServeOptions::default(),
            std::future::pending(),
        );
        let task = tokio::spawn(async move {
            served.await;
        });
        Site {
            origin,
            clock,
            noted,
            store,
            sender,
            revalidator,
            edge,
            address,
            task,
        }
    }
}

/// A running site.
pub(crate) struct Site {
    pub(crate) origin: ScriptedOrigin,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) noted: Arc<Noted>,
    pub(crate) store: Arc<FlakyStore>,
    pub(crate) sender: Arc<Sender>,
    revalidator: Arc<Accept>,
    pub(crate) edge: Edge,
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub(crate) fn request(&self, method: Method, target: &str) -> Ask {
        let builder = Request::builder()
            .method(method)
            .uri(target)
            .header("host", HOST);
        Ask {
            address: self.address,
            builder,
            body: Bytes::new(),
        }
    }

    pub(crate) fn ask(&self, target: &str) -> Ask {
        self.request(Method::GET, target)
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.ask(target).send().await
    }

    /// As [`Site::get`], to be spawned.
    pub(crate) fn get_owned(&self, target: &str) -> impl Future<Output = Answer> + use<> {
        self.ask(target).send()
    }

    /// Revalidates one tag, as the instance that accepts it does.
    pub(crate) async fn revalidate(&self, tag: &str, mode: Mode) {
        let targets = Targets::new([Target::Tag(Tag::new(tag).unwrap())]).unwrap();
        let options = RevalidateOptions {
            mode: mode.into(),
            ..RevalidateOptions::default()
        };
        let receipt = Receipt::new(targets, options, Source::Api);
        self.revalidator.revalidate(receipt).await.unwrap();
    }

    /// Revalidates one tag, as another instance does: this one learns nothing of it.
    pub(crate) async fn revalidate_elsewhere(&self, tag: &str, mode: Mode) {
        let targets = Targets::new([Target::Tag(Tag::new(tag).unwrap())]).unwrap();
        let options = RevalidateOptions {
            mode: mode.into(),
            ..RevalidateOptions::default()
        };
        self.store
            .invalidate(Receipt::new(targets, options, Source::Api))
            .await
            .unwrap();
    }

    /// Learns everything that was revalidated elsewhere.
    pub(crate) async fn follow(&self) {
        follow(&self.store, &self.sender).await.unwrap();
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The page at a path of the site.
pub(crate) fn page(target: &str) -> PageUrl {
    PageUrl::parse(&format!("https://{HOST}{target}")).unwrap()
}

/// A request to be sent.
pub(crate) struct Ask {
    address: SocketAddr,
    builder: http::request::Builder,
    body: Bytes,
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.builder = self.builder.header(name, value.as_ref());
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request on a connection of its own and gives back the response's head.
    pub(crate) async fn open(self) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let request = self.builder.body(Full::new(self.body)).unwrap();
        let response = sender.send_request(request).await.unwrap();
        // The connection ends with its only sender, but not before the response has.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(sender);
        });
        response
    }

    pub(crate) async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// As [`Ask::send`], but the body may break off.
    pub(crate) async fn try_send(self) -> Result<Answer, BoxError> {
        let (parts, body) = self.open().await.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            text,
        })
    }
}

/// A whole response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// All lines of a field, joined by commas; empty when there are none.
    pub(crate) fn field(&self, name: &str) -> String {
        let lines = self
            .headers
            .get_all(name)
            .iter()
            .map(|value| value.to_str().unwrap());
        lines.collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn cache_status(&self) -> String {
        self.field("cache-status")
    }

    #[track_caller]
    pub(crate) fn assert_hit(&self) -> &Self {
        let status = self.cache_status();
        assert!(
            status.starts_with("edge-isr; hit") && !status.contains("ttl=-"),
            "{status}"
        );
        self
    }

    #[track_caller]
    pub(crate) fn assert_stale(&self) -> &Self {
        let status = self.cache_status();
        assert!(status.starts_with("edge-isr; hit; ttl=-"), "{status}");
        self.assert_unshared()
    }

    #[track_caller]
    pub(crate) fn assert_forwarded(&self, why: &str) -> &Self {
        let status = self.cache_status();
        assert!(
            status.starts_with(&format!("edge-isr; fwd={why}")),
            "{status}"
        );
        self
    }

    /// No shared cache may keep it.
    #[track_caller]
    pub(crate) fn assert_unshared(&self) -> &Self {
        let control = self.field("cache-control");
        assert!(
            control.contains("private") && !control.contains("s-maxage"),
            "{control}"
        );
        self
    }
}
