//! The cache of an nginx on this machine, as a tier.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use isr_core::{
    Capabilities, CdnConnector, Completion, ConnectorError, Finding, InvalidOption, PurgeBatch,
    PurgeReceipt, Reference, Target, excerpt_within,
};
use parking_lot::Mutex;

use super::index::{Fault, Index, Survey};
use super::keeper::Keeper;
use crate::capabilities;
use crate::options::CachePathSettings;

/// The most characters of a key that are shown.
const LONGEST_KEY: usize = 200;

/// The connector for a cache, whose index begins to be built.
pub(crate) fn connect(name: &str, settings: CachePathSettings) -> Result<CachePath, InvalidOption> {
    let template = settings.template.clone();
    let index = Index::new(&settings.path, template, settings.most_files);
    let index = Arc::new(Mutex::new(index));
    let keeper = Keeper::start(&index, settings.refresh_interval).map_err(|error| {
        InvalidOption::new(
            "path",
            format!("cannot be indexed, for want of a thread: {error}"),
        )
    })?;
    Ok(CachePath {
        name: name.to_owned(),
        capabilities: capabilities::of_cache_path(&settings),
        settings,
        index,
        _keeper: keeper,
    })
}

/// A folder of nginx's files.
#[derive(Debug)]
pub(crate) struct CachePath {
    name: String,
    settings: CachePathSettings,
    capabilities: Capabilities,
    index: Arc<Mutex<Index>>,
    _keeper: Keeper,
}

impl CachePath {
    /// Works with the index, where blocking is allowed. What takes too long is finished there all the same, so
    /// that the next attempt has less to do.
    async fn with_index<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Index) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let index = Arc::clone(&self.index);
        let task = tokio::task::spawn_blocking(move || work(&mut index.lock()));
        match tokio::time::timeout(self.settings.tier.timeout, task).await {
            Ok(Ok(done)) => done.map_err(|fault| self.error(fault)),
            Ok(Err(error)) => Err(self.unreachable(error.into())),
            Err(_elapsed) => Err(self.unreachable(
                format!(
                    "{} was not gone through in time: this goes on, and leaves less to do for the next attempt",
                    self.settings.path.display()
                )
                .into(),
            )),
        }
    }

    fn error(&self, fault: Fault) -> ConnectorError {
        match fault {
            Fault::Full(_) => self.refused(format!("{fault}: raise `max_index_entries`")),
            Fault::Io { path, source } => match source.kind() {
                io::ErrorKind::PermissionDenied => self.refused(format!(
                    "{path}: {source}: run this process as the user that nginx's workers run as, since the \
                     cache's folders are theirs alone"
                )),
                io::ErrorKind::NotFound => self.unreachable(
                    format!(
                        "{path}: {source}: nginx makes this folder when it starts; compare `path` with its \
                         `proxy_cache_path`"
                    )
                    .into(),
                ),
                _ => self.unreachable(Fault::Io { path, source }.into()),
            },
        }
    }

    fn unreachable(&self, source: isr_core::BoxError) -> ConnectorError {
        ConnectorError::unreachable(&self.name, source)
    }

    fn refused(&self, reason: String) -> ConnectorError {
        ConnectorError::refused(&self.name, reason)
    }

    fn findings(&self, survey: &Survey) -> Vec<Finding> {
        let path = self.settings.path.display();
        let mut findings = vec![if survey.is_writable {
            Finding::good(format!("{path} can be read and has {} files", survey.files))
        } else {
            Finding::bad(format!(
                "files in {path} cannot be removed: run this process as the user that nginx's workers run as"
            ))
        }];
        let misfits = survey.files - survey.pages;
        match &survey.misfit {
            // Other locations may keep other things in the same cache, but not all of it can be theirs.
            Some((name, key)) if survey.pages == 0 => findings.push(Finding::bad(match key {
                Some(key) => format!(
                    "none of the files fits `key`: {name} has the key `{}`; write what nginx's \
                     `proxy_cache_key` says",
                    excerpt_within(key, LONGEST_KEY)
                ),
                None => format!(
                    "none of the files has a key: {name} was not written by an nginx of 1.11.10 or later"
                ),
            })),
            Some(_) => findings.push(Finding::good(format!(
                "{misfits} files do not fit `key`: they go only when everything is purged"
            ))),
            None => {}
        }
        findings
    }
}

#[async_trait]
impl CdnConnector for CachePath {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn purge(&self, batch: &PurgeBatch) -> Result<PurgeReceipt, ConnectorError> {
        let aimable = |target: &&Target| self.settings.template.aim(target).is_some();
        let (targets, others): (Vec<&Target>, Vec<&Target>) =
            batch.targets().iter().partition(aimable);
        let reason = |target: &Target| {
            format!(
                "files of nginx's cache cannot be told by a target of kind {}, with this `key`",
                target.kind()
            )
        };
        if targets.is_empty() {
            let reason = reason(&batch.targets()[0]);
            return Err(ConnectorError::refused_over_targets(&self.name, reason));
        }
        let targets: Vec<Target> = targets.into_iter().cloned().collect();
        let accepted = targets.len() as u64;
        let copies = self.with_index(move |index| index.purge(&targets)).await?;
        let rejected = others.into_iter();
        Ok(PurgeReceipt {
            accepted,
            rejected: rejected.map(|it| (it.clone(), reason(it))).collect(),
            copies: Some(copies),
            ..PurgeReceipt::default()
        })
    }

    async fn poll(&self, _reference: &Reference) -> Result<Completion, ConnectorError> {
        // Purges are carried out when they are answered, so nothing is handed out to ask about.
        Ok(Completion::Complete)
    }

    async fn check(&self) -> Result<Vec<Finding>, ConnectorError> {
        match self.with_index(Index::survey).await {
            Ok(survey) => Ok(self.findings(&survey)),
            Err(ConnectorError::Refused { reason, .. }) => Ok(vec![Finding::bad(reason)]),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Options, PurgeMethod, Settings};

    #[test]
    fn who_may_not_remove_files_is_told_who_may() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            method: Some(PurgeMethod::CachePath),
            path: Some(folder.path().to_owned()),
            ..Options::default()
        };
        let Ok(Settings::CachePath(settings)) = options.check() else {
            panic!("the options are good");
        };
        let cache = connect("cache", settings).unwrap();
        let error = |kind: io::ErrorKind| {
            let path = "/c/7/87".to_owned();
            let source = kind.into();
            cache.error(Fault::Io { path, source })
        };
        let denied = error(io::ErrorKind::PermissionDenied);
        let text = denied.to_string();
        assert!(!denied.is_retryable());
        assert!(text.contains("/c/7/87") && text.contains("as the user that nginx's workers"));
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::StorageFull] {
            assert!(error(kind).is_retryable());
        }
        assert!(
            !cache
                .error(Fault::Full(std::num::NonZeroUsize::MIN))
                .is_retryable()
        );
    }
}
