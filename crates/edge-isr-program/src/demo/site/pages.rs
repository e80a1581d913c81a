//! The pages that caches may keep, each with the tags of the data it shows.
//!
//! - `post:3`, `category:2`: one record, on every page that shows something of it;
//! - `posts`, `category:2:posts`: a collection, on the pages that list it, so that they are refreshed
//!   when something joins it that no page could know of yet.

use std::sync::Arc;

use askama::Template;
use axum::extract::{self, Path};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::views::{About, CategoryPage, Index, PostPage, Rendering};
use super::{RENDER_TIME, State, lock};

/// For how long caches may keep a page: an hour, a day more while it is revalidated or the site is
/// down. Browsers ask every time, because nobody can purge them.
const CACHE_CONTROL: &str =
    "public, max-age=0, s-maxage=3600, stale-while-revalidate=86400, stale-if-error=86400";

type Shared = extract::State<Arc<State>>;

/// Why there is no page.
#[derive(Debug)]
pub(super) enum NoPage {
    /// It does not exist.
    NotFound,
    /// The site is broken.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for NoPage {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

impl IntoResponse for NoPage {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such page.\n").into_response(),
            Self::Broken(error) => {
                tracing::error!(%error, "the sample site failed");
                (StatusCode::INTERNAL_SERVER_ERROR, "The site is broken.\n").into_response()
            }
        }
    }
}

pub(super) async fn index(extract::State(state): Shared) -> Result<Response, NoPage> {
    let posts = state.blog.posts(None)?;
    let mut tags = vec!["posts".to_owned()];
    tags.extend(posts.iter().map(|post| format!("post:{}", post.id)));
    page(&state, "/", tags, |render| Index { posts, render }).await
}

pub(super) async fn about(extract::State(state): Shared) -> Result<Response, NoPage> {
    page(&state, "/about", vec!["about".to_owned()], |render| About {
        render,
    })
    .await
}

pub(super) async fn post(
    extract::State(state): Shared,
    Path(id): Path<i64>,
) -> Result<Response, NoPage> {
    let post = state.blog.post(id)?.ok_or(NoPage::NotFound)?;
    let tags = vec![
        format!("post:{id}"),
        format!("category:{}", post.category_id),
    ];
    page(&state, &format!("/posts/{id}"), tags, |render| PostPage {
        post,
        render,
    })
    .await
}

pub(super) async fn category(
    extract::State(state): Shared,
    Path(id): Path<i64>,
) -> Result<Response, NoPage> {
    let category = state.blog.category(id)?.ok_or(NoPage::NotFound)?;
    let posts = state.blog.posts(Some(id))?;
    let mut tags = vec![format!("category:{id}"), format!("category:{id}:posts")];
    tags.extend(posts.iter().map(|post| format!("post:{}", post.id)));
    let path = format!("/categories/{id}");
    page(&state, &path, tags, |render| CategoryPage {
        category,
        posts,
        render,
    })
    .await
}

/// Renders a page, slowly, and counts it.
async fn page<T: Template>(
    state: &State,
    path: &str,
    tags: Vec<String>,
    view: impl FnOnce(Rendering) -> T,
) -> Result<Response, NoPage> {
    let _share = state.may_render.read().await;
    tokio::time::sleep(RENDER_TIME).await;
    let count = {
        let mut renders = lock(&state.renders);
        let count = renders.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    let cache_tag = tags.join(",");
    let render = Rendering {
        count,
        milliseconds: RENDER_TIME.as_millis(),
        tags,
    };
    let html = view(render).render()?;
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, CACHE_CONTROL),
    ];
    Ok((headers, [("cache-tag", cache_tag)], html).into_response())
}
