//! A connector of one's own: for a cache that this project knows nothing of.
//!
//! ```sh
//! cargo run -p edge-isr --example own_connector
//! ```
//!
//! The cache here is a file in which every purge becomes a line, which is enough to see the three things
//! that a connector is: options that the configuration names, what the cache can do as data, and a call
//! that purges. It is registered under a kind, and the configuration then names it like any other.

mod purge_log;

use edge_isr::core::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let folder = std::env::temp_dir().join(format!("edge-isr-example-{}", std::process::id()));
    tokio::fs::create_dir_all(&folder).await?;
    let purged = purge_log::run(folder.join("purged")).await?;
    tokio::fs::remove_dir_all(&folder).await?;
    #[expect(clippy::print_stdout, reason = "it is what the example shows")]
    {
        print!("{purged}");
    }
    Ok(())
}
