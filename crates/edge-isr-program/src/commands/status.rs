//! `edge-isr status`: what is known.

use std::path::Path;

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
        let view: ReceiptView = client.get(&["receipts", id], &[]).await?;
        output.result(&view, || render::receipt(&view, output));
    } else {
        let list: ReceiptList = client.get(&["receipts"], &[("limit", "20")]).await?;
        output.result(&list, || render::receipts(&list.receipts));
    }
    Ok(())
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
