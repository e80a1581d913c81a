//! Parts of a run as processes of their own.

use std::process::Stdio;

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};

/// This program once more, for one part. It is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Child {
    process: tokio::process::Child,
    output: BufReader<ChildStdout>,
    part: String,
}

impl Child {
    pub(super) fn start(part: &[String]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("cdn-part")
            .args(part)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = process.stdout.take().context("the output is piped")?;
        Ok(Self {
            process,
            output: BufReader::new(output),
            part: part.join(" "),
        })
    }

    /// The next line that it prints.
    pub(super) async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line).await?;
        ensure!(line.ends_with('\n'), "`{}` has ended", self.part);
        Ok(line.trim_end().to_owned())
    }
}

/// The rest of what it prints, once its standard input has ended and it has done its part.
pub(super) async fn answer_of(mut child: Child) -> anyhow::Result<String> {
    drop(child.process.stdin.take());
    let mut text = String::new();
    child.output.read_to_string(&mut text).await?;
    let status = child.process.wait().await?;
    ensure!(status.success(), "`{}` failed: {status}", child.part);
    Ok(text)
}
