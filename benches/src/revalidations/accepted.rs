//! How many revalidations of one tag are accepted a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use isr_core::TagGraph as _;
use isr_testkit::RedisServer;

use super::{Options, one, open};
use crate::graph_redis::Timer;

/// How Redis keeps what it has, and what that is called.
const SETTINGS: [(&str, &[&str]); 3] = [
    ("nothing kept on disk", &["--appendonly", "no"]),
    ("log, `appendfsync everysec`", &["--appendonly", "yes"]),
    (
        "log, `appendfsync always`",
        &["--appendonly", "yes", "--appendfsync", "always"],
    ),
];

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    println!(
        "| revalidations of one tag, {} callers at once | accepted a second | server time each |",
        options.callers
    );
    println!("| --- | --- | --- |");
    for (what, arguments) in SETTINGS {
        let server = RedisServer::start_with(arguments).await;
        let store = open(&server)?;
        store.open().await?;
        let next = Arc::new(AtomicUsize::new(0));
        let timer = Timer::start(&server)?;
        let callers = (0..options.callers).map(|_| {
            let (store, next, all) = (Arc::clone(&store), Arc::clone(&next), options.revalidations);
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= all {
                        return anyhow::Ok(());
                    }
                    store.invalidate(one(number)?).await?;
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await??;
        }
        let rate = timer.rate_of(options.revalidations as u64)?;
        println!(
            "| {what} | {:.0} | {:.1} µs |",
            rate.per_second, rate.server_microseconds
        );
    }
    Ok(())
}
