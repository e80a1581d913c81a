//! `edge-isr purge`: every copy of these pages has to go.

use std::path::Path;

use crate::admin::{ModeView, RevalidateRequest};
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

pub(super) async fn run(
    arguments: &cli::Purge,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let request = RevalidateRequest {
        urls: arguments.urls.clone(),
        mode: Some(ModeView::Hard),
        warm: Some(false),
        hold: arguments.hold.asked(),
        ..RevalidateRequest::default()
    };
    let client = Client::new(&arguments.server, file, output).await?;
    super::revalidate::send(&client, request, &arguments.wait, output).await
}
