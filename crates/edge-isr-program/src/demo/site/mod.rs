//! The sample site: a blog whose pages are slow, and say which data they were made from.
//!
//! It is an origin like any other: it knows nothing of the cache in front of it but the headers it
//! sends and the admin API it calls after a change.

mod blog;
mod forms;
mod pages;
mod views;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};
use tokio_util::sync::CancellationToken;

use self::blog::Blog;
use crate::client::Client;

/// How long each page takes to render, on purpose.
pub(crate) const RENDER_TIME: Duration = Duration::from_millis(200);

/// The running site.
#[derive(Debug)]
pub(crate) struct Site {
    address: SocketAddr,
    state: Arc<State>,
}

/// What its handlers share.
#[derive(Debug)]
struct State {
    blog: Blog,
    /// Rendering needs a share of it; somebody who has it whole keeps every page from being rendered.
    may_render: Arc<RwLock<()>>,
    /// How often each path was rendered.
    renders: Mutex<BTreeMap<String, u64>>,
    /// Where changes are told; nothing before the admin API is there.
    server: Mutex<Option<Arc<Client>>>,
}

impl Site {
    /// Starts the site on a free port of this machine; it ends with `stop`.
    ///
    /// # Errors
    ///
    /// No port, or no database.
    pub(crate) async fn start(stop: CancellationToken) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            blog: Blog::open()?,
            may_render: Arc::default(),
            renders: Mutex::default(),
            server: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let app = router(Arc::clone(&state));
        tokio::spawn(async move {
            let served = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "the sample site ended");
            }
        });
        Ok(Self { address, state })
    }

    /// Where the site itself listens, as `http://host:port`.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Tells the site which server to call after a change.
    pub(crate) fn tell_changes_to(&self, server: Arc<Client>) {
        *lock(&self.state.server) = Some(server);
    }

    /// Keeps pages from being rendered until what it answers with is dropped, so that the time in
    /// between can be looked at.
    pub(crate) async fn hold_renders(&self) -> OwnedRwLockWriteGuard<()> {
        Arc::clone(&self.state.may_render).write_owned().await
    }

    /// How often each path has been rendered so far.
    pub(crate) fn renders(&self) -> BTreeMap<String, u64> {
        lock(&self.state.renders).clone()
    }
}

fn router(state: Arc<State>) -> Router {
    Router::new()
        .route("/", get(pages::index))
        .route("/about", get(pages::about))
        .route("/categories/{id}", get(pages::category))
        .route("/posts/{id}", get(pages::post).post(forms::save))
        .route("/posts/{id}/edit", get(forms::edit))
        .route("/posts/new", get(forms::new))
        .route("/posts", post(forms::create))
        .with_state(state)
}

/// Locks what no panic can leave half changed.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
