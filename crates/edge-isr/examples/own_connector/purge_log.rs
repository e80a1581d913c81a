//! A connector to a file: each purge becomes a line in it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use edge_isr::config;
use edge_isr::connectors::{ConnectorKind, Registry};
use edge_isr::core::{
    Ability, BoxError, Capabilities, CdnConnector, Completion, ConnectorError, Finding,
    InvalidOption, PurgeBatch, PurgeReceipt, Reference, tag,
};
use edge_isr::pipeline::Awaited;
use edge_isr::{Engine, EngineOptions};
use serde::Deserialize;
use tokio::fs::OpenOptions;
use tokio::io::AsyncWriteExt as _;

/// What `[[connector]] kind = "purge-log"` may say beside what every connector has.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Options {
    /// The file that takes the place of a cache.
    file: PathBuf,
}

/// The connector.
#[derive(Debug)]
pub(crate) struct PurgeLog {
    name: String,
    file: PathBuf,
    capabilities: Capabilities,
}

/// Makes the connector of a section of the configuration. Nothing is opened yet.
///
/// # Errors
///
/// When the section does not name the file.
pub(crate) fn connect(
    name: &str,
    options: Options,
) -> Result<Vec<Arc<dyn CdnConnector>>, InvalidOption> {
    if options.file.as_os_str().is_empty() {
        return Err(InvalidOption::new(
            "file",
            "is missing: name a file to write to",
        ));
    }
    Ok(vec![Arc::new(PurgeLog {
        name: name.to_owned(),
        file: options.file,
        // The rest follows from this: that it is told tags and URLs, several at a time.
        capabilities: Capabilities {
            tag: Some(Ability::UNLIMITED),
            url: Some(Ability::UNLIMITED),
            mixed_calls: true,
            ..Capabilities::default()
        },
    })])
}

impl PurgeLog {
    async fn append(&self, text: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new();
        let mut file = file.create(true).append(true).open(&self.file).await?;
        file.write_all(text.as_bytes()).await?;
        file.flush().await
    }
}

#[async_trait]
impl CdnConnector for PurgeLog {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let mut lines = String::new();
        for target in batch.targets() {
            lines.push_str(&target.to_string());
            lines.push('\n');
        }
        match self.append(&lines).await {
            Ok(()) => Ok(PurgeReceipt::accepted(batch)),
            Err(error) => Err(ConnectorError::Unreachable {
                connector: self.name.clone(),
                source: error.into(),
            }),
        }
    }

    async fn poll(&self, _: &Reference) -> Result<Completion, ConnectorError> {
        Ok(Completion::Complete) // never asked: a line is written when the call returns
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        let folder = self.file.parent().is_some_and(std::path::Path::is_dir);
        Ok(vec![if folder {
            Finding::good("the folder of the file is there")
        } else {
            Finding::bad("the folder of the file is not there: make it, or name another file")
        }])
    }
}

/// Starts a site that has this connector, announces a change, and answers with what the file holds once
/// nothing is left to do.
///
/// # Errors
///
/// Whatever goes wrong on the way.
pub(crate) async fn run(file: PathBuf) -> Result<String, BoxError> {
    let toml = format!(
        "[site]\nhosts = [\"https://www.example.com\"]\n\
         [store]\nkind = \"memory\"\n\
         [[connector]]\nkind = \"purge-log\"\nfile = '{}'\n",
        file.display()
    );
    let options = EngineOptions {
        registry: Registry::built_in().and(ConnectorKind::new("purge-log", connect)),
        ..EngineOptions::default()
    };
    let engine = Engine::start(config::parse(&toml)?.config, options)?;
    let receipt = engine
        .revalidate([tag("post", 42), tag("posts", "all")])
        .await?;
    let patience = Duration::from_secs(30);
    engine.wait(&receipt.id, Awaited::Done, patience).await?;
    engine.stop().await;
    Ok(tokio::fs::read_to_string(file).await?)
}
