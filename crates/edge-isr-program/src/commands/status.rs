//! `edge-isr status`: what is known.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum as _;
use http::StatusCode;

use crate::admin::{PageView, ReceiptList, ReceiptView, TagView};
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

pub(super) async fn run(
    arguments: &cli::Status,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    if let Some(tag) = &arguments.tag {
        let view = whole_tag(&client, tag).await?;
        output.result(&view, || render::tag(&view));
    } else if let Some(url) = &arguments.url {
        let view: PageView = client.get(&["urls"], &[("url", url)]).await?;
        output.result(&view, || render::page(&view));
    } else if let Some(id) = &arguments.receipt {
        return receipt(&client, id, arguments, output).await;
    } else {
        let list: ReceiptList = client.get(&["receipts"], &[("limit", "20")]).await?;
        output.result(&list, || render::receipts(&list));
    }
    Ok(())
}

/// One revalidation, when it has come as far as is waited for.
async fn receipt(
    client: &Client,
    id: &str,
    arguments: &cli::Status,
    output: Output,
) -> Result<(), Failure> {
    let path = ["receipts", id];
    let Some(until) = arguments.wait else {
        let view: ReceiptView = client.get(&path, &[]).await?;
        output.result(&view, || render::receipt(&view, output));
        return Ok(());
    };
    let until = until.to_possible_value().expect("every one has a name");
    let wait = Duration::from_secs(arguments.timeout);
    let query = [
        ("wait", &*format!("{}s", arguments.timeout)),
        ("for", until.get_name()),
    ];
    let (status, view): (_, ReceiptView) = client.get_waiting(&path, &query, wait).await?;
    output.result(&view, || render::receipt(&view, output));
    let late = status != StatusCode::OK;
    super::revalidate::verdict(&view, late.then_some(arguments.timeout))
}

/// All pages of a tag, each once.
async fn whole_tag(client: &Client, tag: &str) -> Result<TagView, Failure> {
    let mut whole: TagView = client.get(&["tags", tag], &[("limit", "1000")]).await?;
    while let Some(after) = whole.next.take() {
        let chunk: TagView = client
            .get(&["tags", tag], &[("limit", "1000"), ("after", &after)])
            .await?;
        whole.pages.extend(chunk.pages);
        whole.next = chunk.next;
    }
    whole.pages.sort_unstable();
    whole.pages.dedup();
    Ok(whole)
}
