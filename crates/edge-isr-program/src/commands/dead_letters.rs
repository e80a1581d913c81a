//! `edge-isr dead-letters`: jobs that were given up on.

use std::path::Path;
use std::time::Duration;

use crate::admin::{DeadLetterList, ReplayAnswer, ReplayRequest};
use crate::cli;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::render;

pub(super) async fn run(
    what: &cli::DeadLetters,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    match what {
        cli::DeadLetters::List(server) => {
            let client = Client::new(server, file, output).await?;
            let list = whole_list(&client).await?;
            output.result(&list, || render::dead_letters(&list.dead_letters));
            Ok(())
        }
        cli::DeadLetters::Replay(arguments) => replay(arguments, file, output).await,
    }
}

/// All of them, each once.
async fn whole_list(client: &Client) -> Result<DeadLetterList, Failure> {
    let path = ["dead-letters"];
    let mut whole: DeadLetterList = client.get(&path, &[]).await?;
    while let Some(after) = whole.next.take() {
        let part: DeadLetterList = client.get(&path, &[("after", &after)]).await?;
        whole.dead_letters.extend(part.dead_letters);
        whole.next = part.next;
    }
    Ok(whole)
}

async fn replay(
    arguments: &cli::Replay,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let client = Client::new(&arguments.server, file, output).await?;
    let jobs = arguments.jobs.iter().cloned();
    let (pages, revalidations) = jobs.partition(|job| job.contains("://"));
    let request = ReplayRequest {
        revalidations,
        pages,
        all: arguments.all,
    };
    let (_, answer): (_, ReplayAnswer) = client
        .post(&["dead-letters", "replay"], &request, Duration::ZERO)
        .await?;
    output.result(&answer, || match answer.replayed {
        1 => "1 job was queued again".into(),
        jobs => format!("{jobs} jobs were queued again"),
    });
    match arguments.jobs.len() as u64 {
        asked if answer.replayed < asked => Err(Failure::Asked(format!(
            "{} of {asked} jobs had not been given up on, or are unknown",
            asked - answer.replayed
        ))),
        _ => Ok(()),
    }
}
