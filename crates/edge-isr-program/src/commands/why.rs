//! `edge-isr why`: what has happened to a page.

use std::path::Path;

use crate::admin::PageHistoryView;
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

pub(super) async fn run(
    arguments: &cli::Why,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    let limit = arguments.limit.to_string();
    let query = [("url", &*arguments.url), ("limit", &*limit)];
    let history: PageHistoryView = client.get(&["urls", "history"], &query).await?;
    output.result(&history, || render::page_history(&history, output));
    Ok(())
}
