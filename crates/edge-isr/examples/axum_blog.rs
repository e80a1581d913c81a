//! A blog on axum and SQLite that takes part in incremental static revalidation.
//!
//! Run the blog, and the cache in front of it, in one directory, so that they share their store:
//!
//! ```text
//! cargo run -p edge-isr --example axum_blog
//! EDGE_ISR_SITE__ORIGIN=http://127.0.0.1:3000 cargo run -- serve
//! ```
//!
//! Visit pages through the cache twice, edit a post, and visit them again. `Cache-Status` says what the
//! cache did: what shows the post was rendered anew, and the other posts are still hits.
//!
//! ```text
//! curl -i http://127.0.0.1:8080/posts/1
//! curl -i http://127.0.0.1:8080/posts/1 -d title=Edited -d body=Anew -d category=rust
//! ```

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Router, routing::get};
use edge_isr::core::{Policy, tag};
use edge_isr::tower::{IsrLayer, Page, Revalidate};
use edge_isr::{Engine, EngineOptions, config};
use http::StatusCode;
use rusqlite::{Connection, Params, Row};
use serde::Deserialize;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::start(config::load(None)?.config, EngineOptions::default())?;
    let routes = routes(&engine.layer(), open()?)?;
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, routes)
        .with_graceful_shutdown(stop)
        .await?;
    engine.stop().await;
    Ok(())
}

/// Every route with its policy and the tags that all its pages have. Handlers add what depends on
/// the data, so that each page is bound to exactly what it shows.
fn routes(isr: &IsrLayer, database: Database) -> Result<Router, Box<dyn Error>> {
    // Long lifetimes do no harm: what changes is revalidated.
    let day = Duration::from_hours(24);
    let pages = isr.page(
        Policy::builder()
            .s_maxage(day)
            .stale_while_revalidate(day)
            .build()?,
    );
    let index = Router::new()
        .route("/", get(index).post(create))
        .route_layer(pages.clone().tag("posts"));
    let categories = Router::new()
        .route("/categories/{category}", get(category))
        .route_layer(pages.clone().tag_param("category", "category"));
    let posts = Router::new()
        .route("/posts/{id}", get(show).post(edit))
        .route_layer(pages.tag_param("post", "id"));
    Ok(index.merge(categories).merge(posts).with_state(database))
}

async fn index(State(database): State<Database>, page: Page) -> Result<Response, Failure> {
    let posts = with(&database, |sql| select(sql, "1", ())).await?;
    list(&page, "All posts", &posts)
}

async fn category(
    State(database): State<Database>,
    Path(category): Path<String>,
    page: Page,
) -> Result<Response, Failure> {
    let title = category.clone();
    let posts = with(&database, move |sql| {
        select(sql, "category = ?1", [category])
    })
    .await?;
    list(&page, &title, &posts)
}

fn list(page: &Page, title: &str, posts: &[Post]) -> Result<Response, Failure> {
    page.tags(posts.iter().map(|post| tag("post", post.id)));
    Ok(Html(List { title, posts }.render()?).into_response())
}

/// A post that does not exist is a page too: it is bound to the post's tag, so that creating the
/// post revalidates the 404 that caches may have kept.
async fn show(State(database): State<Database>, Path(id): Path<i64>) -> Result<Response, Failure> {
    let posts = with(&database, move |sql| select(sql, "id = ?1", [id])).await?;
    match posts.first() {
        Some(post) => Ok(Html(post.render()?).into_response()),
        None => Ok((StatusCode::NOT_FOUND, "There is no such post.").into_response()),
    }
}

/// No page shows a new post yet, so the lists that it belongs on have tags of their own.
async fn create(
    State(database): State<Database>,
    revalidate: Revalidate,
    Form(post): Form<Post>,
) -> Result<Redirect, Failure> {
    let category = tag("category", &post.category);
    let insert = "INSERT INTO post (category, title, body) VALUES (?1, ?2, ?3) RETURNING id";
    let values = (post.category, post.title, post.body);
    let id: i64 = with(&database, |sql| {
        sql.query_row(insert, values, |row| row.get(0))
    })
    .await?;
    revalidate
        .tags(["posts".parse()?, category, tag("post", id)])
        .await?;
    Ok(Redirect::to(&format!("/posts/{id}")))
}

/// Whatever shows the post is bound to its tag; only a list that it moves to is not.
async fn edit(
    State(database): State<Database>,
    revalidate: Revalidate,
    Path(id): Path<i64>,
    Form(post): Form<Post>,
) -> Result<Redirect, Failure> {
    let category = tag("category", &post.category);
    let update = "UPDATE post SET category = ?2, title = ?3, body = ?4 WHERE id = ?1";
    let values = (id, post.category, post.title, post.body);
    with(&database, move |sql| sql.execute(update, values)).await?;
    // Once the change is committed, never before: a page rendered in between would pass for new.
    revalidate.tags([tag("post", id), category]).await?;
    Ok(Redirect::to(&format!("/posts/{id}")))
}

#[derive(Deserialize, Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html><title>{{ title }}</title><h1>{{ title }}</h1><p>{{ body }}</p>
<p>in <a href="/categories/{{ category|urlencode }}">{{ category }}</a></p>"#
)]
struct Post {
    #[serde(default)] // a form has none
    id: i64,
    category: String,
    title: String,
    body: String,
}

#[derive(Template)]
#[template(
    ext = "html",
    source = r#"<!doctype html><title>{{ title }}</title><h1>{{ title }}</h1>
{% for post in posts %}<p><a href="/posts/{{ post.id }}">{{ post.title }}</a></p>{% endfor %}"#
)]
struct List<'a> {
    title: &'a str,
    posts: &'a [Post],
}

/// The blog's own data, which has nothing to do with what edge-isr stores.
type Database = Arc<Mutex<Connection>>;

fn open() -> rusqlite::Result<Database> {
    let sql = Connection::open_in_memory()?;
    sql.execute_batch(
        "CREATE TABLE post (id INTEGER PRIMARY KEY, category TEXT, title TEXT, body TEXT);
         INSERT INTO post (category, title, body) VALUES ('rust', 'Ownership', 'One at a time.');
         INSERT INTO post (category, title, body) VALUES ('web', 'Caching', 'And still fresh.');",
    )?;
    Ok(Arc::new(Mutex::new(sql)))
}

fn select(sql: &Connection, which: &str, values: impl Params) -> rusqlite::Result<Vec<Post>> {
    let query = format!("SELECT id, category, title, body FROM post WHERE {which} ORDER BY id");
    let post = |row: &Row<'_>| {
        let (id, category, title, body) = row.try_into()?;
        Ok(Post {
            id,
            category,
            title,
            body,
        })
    };
    sql.prepare_cached(&query)?
        .query_map(values, post)?
        .collect()
}

/// Runs SQL where blocking holds nobody up. What it changes is committed when this returns.
async fn with<T, F>(database: &Database, run: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
{
    let database = Arc::clone(database);
    let work = move || run(&database.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(tokio::task::spawn_blocking(work).await??)
}

/// Anything that went wrong: a 500 that keeps the details to the log.
struct Failure;

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        tracing::error!(error = error.to_string(), "a request failed");
        Self
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.").into_response()
    }
}
