//! Writing and editing posts. After a change is committed, and not before, the server in front is told.

use std::sync::Arc;
use std::time::Duration;

use askama::Template as _;
use axum::extract::{self, Path};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::header;
use serde::Deserialize;

use super::pages::NoPage;
use super::views::Form;
use super::{State, lock};
use crate::admin::{RevalidateAnswer, RevalidateRequest};

type Shared = extract::State<Arc<State>>;

/// A post as a visitor sends it.
#[derive(Debug, Deserialize)]
pub(super) struct Draft {
    title: String,
    body: String,
    /// Only for new posts.
    #[serde(default)]
    category: Option<i64>,
}

pub(super) async fn edit(
    extract::State(state): Shared,
    Path(id): Path<i64>,
) -> Result<Response, NoPage> {
    let post = state.blog.post(id)?.ok_or(NoPage::NotFound)?;
    let form = Form {
        action: format!("/posts/{id}"),
        title: post.title,
        body: post.body,
        categories: Vec::new(),
    };
    private(&form)
}

pub(super) async fn new(extract::State(state): Shared) -> Result<Response, NoPage> {
    let categories = state.blog.categories()?;
    private(&Form {
        action: "/posts".into(),
        title: String::new(),
        body: String::new(),
        categories,
    })
}

/// Saves a changed post: every page that shows something of it changes.
pub(super) async fn save(
    extract::State(state): Shared,
    Path(id): Path<i64>,
    extract::Form(draft): extract::Form<Draft>,
) -> Result<Response, NoPage> {
    if !state.blog.save(id, &draft.title, &draft.body)? {
        return Err(NoPage::NotFound);
    }
    tell(&state, vec![format!("post:{id}")]).await?;
    Ok(Redirect::to(&format!("/posts/{id}")).into_response())
}

/// Adds a post: the pages that list such posts change, though none of them can know it yet.
pub(super) async fn create(
    extract::State(state): Shared,
    extract::Form(draft): extract::Form<Draft>,
) -> Result<Response, NoPage> {
    let category = draft.category.unwrap_or(1);
    state.blog.category(category)?.ok_or(NoPage::NotFound)?;
    let id = state.blog.add(category, &draft.title, &draft.body)?;
    tell(
        &state,
        vec![
            "posts".into(),
            format!("category:{category}:posts"),
            format!("post:{id}"),
        ],
    )
    .await?;
    Ok(Redirect::to(&format!("/posts/{id}")).into_response())
}

/// Tells the server in front that the data behind these tags has changed.
async fn tell(state: &State, tags: Vec<String>) -> Result<(), NoPage> {
    let server = lock(&state.server).clone();
    if let Some(server) = server {
        let request = RevalidateRequest {
            tags,
            ..RevalidateRequest::default()
        };
        let (_, _): (_, RevalidateAnswer) = server
            .post(&["revalidate"], &request, Duration::ZERO)
            .await?;
    }
    Ok(())
}

fn private(form: &Form) -> Result<Response, NoPage> {
    Ok((
        [(header::CACHE_CONTROL, "private, no-store")],
        Html(form.render()?),
    )
        .into_response())
}
