//! A site whose server does not run: its store, asked through an admin API in this process.
//!
//! An application with the layer has no admin API of its own, and a change can be announced while
//! `serve` is down; its workers carry out what they find in the store when they run.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use bytes::Bytes;
use edge_isr::SiteHandle;
use edge_isr::config::{Config, StoreConfig};
use edge_isr::connectors::Registry;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tower_service::Service as _;

use super::Request;
use crate::admin::{self, Admin};
use crate::failure::Failure;

/// A site's store.
#[derive(Debug)]
pub(super) struct Direct {
    name: String,
    api: Router,
}

impl Direct {
    /// The store of a configuration. `nobody` says why it is asked.
    ///
    /// # Errors
    ///
    /// A store that no other process can share, that cannot be reached, or that is not there: to make an empty one would only
    /// hide that the command was called in the wrong folder.
    pub(super) async fn open(config: Config, nobody: &str) -> Result<Self, Failure> {
        let name = match &config.store {
            StoreConfig::Memory => {
                return Err(Failure::Unreachable(format!(
                    "{nobody}, and the memory store is known to its server alone"
                )));
            }
            StoreConfig::Sqlite { path } if !path.exists() => {
                return Err(Failure::Unreachable(format!(
                    "{nobody}, and no sqlite store at {}: run `edge-isr serve`, or name the site's \
                     configuration with --config",
                    path.display()
                )));
            }
            StoreConfig::Sqlite { path } => format!("sqlite store {}", path.display()),
            // Its URL may hold a password.
            store => format!("{} store", store.kind()),
        };
        let handle = SiteHandle::open(config, &Registry::built_in(), Vec::new());
        let handle =
            handle.map_err(|error| Failure::Usage(format!("{:#}", anyhow::Error::from(error))))?;
        handle.share_key().await.map_err(|error| {
            Failure::Unreachable(format!("{nobody}, and {:#}", anyhow::Error::from(error)))
        })?;
        let api = admin::router(Arc::new(Admin::of(&handle)));
        Ok(Self { name, api })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn send(&self, request: Request) -> Result<(StatusCode, Bytes), Failure> {
        let body = request.body.map_or_else(Body::empty, Body::from);
        let request = http::Request::builder()
            .method(request.method)
            .uri(request.url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(Failure::asked)?;
        let Ok(response) = self.api.clone().call(request).await;
        let status = response.status();
        let body = to_bytes(response.into_body(), usize::MAX).await;
        Ok((status, body.map_err(Failure::asked)?))
    }
}
