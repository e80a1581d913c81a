//! Workers on one Redis, before a service that counts the calls of all of them together.

use std::sync::Arc;
use std::time::Duration;

use edge_isr::core::Clock;
use edge_isr::pipeline::TokioClock;
use http::{Method, StatusCode};
use isr_testkit::RedisServer;
use isr_testkit::fakes::cloudflare::{TOKEN, ZONE};
use isr_testkit::fakes::{Cloudflare, CloudflareAccount, Exchange, Fault, Front};
use serde_json::{Value, json};

use crate::process::{Place, Serving, http};

/// What only a fault takes longer than, and the pause between two looks.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(5);

/// What the plan "Pro" has: 25 calls, of which the connector uses 24, and five more a second.
const PLAN: &str = "pro";

/// The service that the workers call. It gives eleven calls more at once than the plan, so that what a
/// busy machine adds on the way, up to two seconds, is not taken for a rate that was not kept to. Two
/// workers of which each uses the whole plan ask for 48, and for ten a second.
const SERVICE: CloudflareAccount = CloudflareAccount {
    bucket: 36,
    requests_a_second: 5.0,
    ..CloudflareAccount::FREE
};

/// Calls that two workers would make at once if each used the whole plan, and two more.
const CALLS: usize = 50;

/// Two workers, and what they purge.
struct Pair {
    service: Cloudflare,
    workers: [Worker; 2],
}

/// A worker, and its own way to the service, by which its calls are told from the other's.
struct Worker {
    way: Front,
    process: Serving,
    _place: Place,
}

impl Pair {
    /// Starts a worker for each of two stores, which may be the same. Each works on so many
    /// revalidations at once.
    async fn start(stores: [&RedisServer; 2], concurrency: usize) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::new());
        let service = Cloudflare::start(SERVICE, &clock).await;
        let [one, other] = stores.map(|store| Worker::start(store, &service, concurrency));
        let workers = [one.await, other.await];
        // When it has started, each looks at its token and at the zone.
        for worker in &workers {
            let looks = || worker.requests(&Method::GET);
            until("a worker has looked", async || answered(&looks()) == 2).await;
        }
        Self { service, workers }
    }

    /// Asks for revalidations of one tag each, of both workers in turn, and answers with their names.
    async fn ask(&self, tags: impl IntoIterator<Item = String>) -> Vec<String> {
        let mut ids = Vec::new();
        for (tag, worker) in tags.into_iter().zip(self.workers.iter().cycle()) {
            ids.push(worker.ask(&tag).await);
        }
        ids
    }

    /// The receipts of revalidations, once they are settled.
    async fn settled(&self, ids: &[String]) -> Vec<Value> {
        let mut receipts = Vec::new();
        for id in ids {
            let mut receipt = self.workers[0].receipt(id).await;
            until("it settles", async || {
                receipt = self.workers[0].receipt(id).await;
                receipt["settled"] == true
            })
            .await;
            receipts.push(receipt);
        }
        receipts
    }

    /// Every call, as it came to the service.
    fn calls(&self) -> Vec<Exchange> {
        requests(self.service.front(), &Method::POST)
    }

    /// How many calls each worker made.
    fn calls_of_each(&self) -> [usize; 2] {
        let calls = |worker: &Worker| worker.requests(&Method::POST).len();
        self.workers.each_ref().map(calls)
    }

    /// How many calls the service refused for coming too fast.
    fn throttled(&self) -> usize {
        let calls = self.calls();
        let statuses = calls.iter().filter_map(|call| call.answer.as_ref());
        statuses
            .filter(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS)
            .count()
    }

    /// The tags that the service has purged, sorted.
    fn purged(&self) -> Vec<String> {
        let calls = self.service.calls().into_iter();
        let done = calls.filter(|call| call.carried_out);
        let mut tags: Vec<String> = done.flat_map(|call| call.items).collect();
        tags.sort_unstable();
        tags
    }
}

impl Worker {
    async fn start(store: &RedisServer, service: &Cloudflare, concurrency: usize) -> Self {
        let address = service.front().address().to_string();
        let way = Front::before(&address, |status| format!("not called for: {status}")).await;
        let place = Place::new(&format!(
            r#"
            [site]
            hosts = ["https://example.com"]
            [listen]
            admin = "127.0.0.1:0"
            [store]
            kind = "redis"
            url = "{store}"
            [revalidate]
            warm = false
            [worker]
            concurrency = {concurrency}
            poll = "20ms"
            [[connector]]
            kind = "cloudflare"
            zone = "{ZONE}"
            token = "{TOKEN}"
            account = "acme"
            plan = "{PLAN}"
            batch_items = 1
            api_base = "{way}/client/v4"
            "#,
            store = store.url(),
            way = way.uri(),
        ));
        Self {
            process: place.start(&["worker"]).await,
            way,
            _place: place,
        }
    }

    async fn ask(&self, tag: &str) -> String {
        let url = format!("{}/v1/revalidate", self.process.admin);
        let asked = http().post(url).json(&json!({ "tags": [tag] })).send();
        let answer: Value = asked.await.unwrap().json().await.unwrap();
        let id = answer["receipt"]["id"].as_str();
        id.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn receipt(&self, id: &str) -> Value {
        let url = format!("{}/v1/receipts/{id}", self.process.admin);
        http().get(url).send().await.unwrap().json().await.unwrap()
    }

    fn requests(&self, method: &Method) -> Vec<Exchange> {
        requests(&self.way, method)
    }
}

fn requests(front: &Front, method: &Method) -> Vec<Exchange> {
    let mut requests = front.exchanges();
    requests.retain(|request| request.method == *method);
    requests
}

fn answered(requests: &[Exchange]) -> usize {
    requests.iter().filter(|it| it.answer.is_some()).count()
}

/// What a receipt says of the service.
fn tier(receipt: &Value) -> &Value {
    let tiers = receipt["tiers"].as_array();
    let found = tiers.and_then(|tiers| tiers.iter().find(|tier| tier["tier"] == "cloudflare"));
    found.unwrap_or_else(|| panic!("{receipt}"))
}

/// Waits for a condition.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    let held = tokio::time::timeout(PATIENCE, held).await;
    assert!(held.is_ok(), "in vain it was waited until {what}");
}

/// Tags in the order in which they sort.
fn tags(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("post:{n:04}")).collect()
}

#[tokio::test]
async fn workers_on_one_store_keep_to_a_services_rate_together() {
    let redis = RedisServer::start().await;
    let pair = Pair::start([&redis, &redis], 4).await;
    let ids = pair.ask(tags(CALLS)).await;
    for receipt in pair.settled(&ids).await {
        let tier = tier(&receipt);
        let told = [&tier["state"], &tier["calls"], &tier["accepted"]];
        assert_eq!(told, [&json!("settled"), &json!(1), &json!(1)], "{receipt}");
    }
    assert_eq!(pair.throttled(), 0);
    assert_eq!(pair.purged(), tags(CALLS));
    let calls = pair.calls_of_each();
    assert!(calls.iter().all(|&calls| calls > 0), "{calls:?}");
    assert_eq!(calls.iter().sum::<usize>(), CALLS);
}

/// What the test above would see if nothing were shared.
#[tokio::test]
async fn workers_on_stores_of_their_own_ask_a_service_for_too_much() {
    let (one, other) = (RedisServer::start().await, RedisServer::start().await);
    let pair = Pair::start([&one, &other], 4).await;
    // Enough for twice the rate, should the machine be too slow to ask for all of it at once.
    pair.ask(tags(4 * CALLS)).await;
    until("a call is refused", async || pair.throttled() > 0).await;
}

#[tokio::test]
async fn a_service_that_asks_one_worker_for_a_pause_has_it_from_all() {
    const SECONDS: u64 = 2;
    let redis = RedisServer::start().await;
    // The one who is asked for the pause keeps what he has, and leaves all else to the other.
    let pair = Pair::start([&redis, &redis], 1).await;
    pair.service
        .front()
        .next(Fault::Throttled { seconds: SECONDS });
    let mut ids = pair.ask(["first".to_owned()]).await;
    // Until the pause is written down, the other may call. Without it, a bucket from which one token was
    // taken is full again within 200 milliseconds.
    until("the pause is told", async || {
        let left = redis.execute(&["PTTL", "isr-budget:cloudflare:acme:requests"]);
        left.await.trim_start_matches(':').parse::<i64>().unwrap() > 200
    })
    .await;
    ids.extend(pair.ask(tags(4)).await);
    let receipts = pair.settled(&ids).await;
    assert_eq!(tier(&receipts[0])["calls"], 2, "{}", receipts[0]);

    let calls = pair.calls();
    assert_eq!(calls.len(), 6);
    let over = calls[0].at + Duration::from_secs(SECONDS);
    for (number, call) in calls.iter().enumerate().skip(1) {
        let early = over.saturating_duration_since(call.at);
        assert_eq!(early, Duration::ZERO, "call {number} came in the pause");
    }
    let calls = pair.calls_of_each();
    assert!(calls.iter().all(|&calls| calls > 0), "{calls:?}");
}
