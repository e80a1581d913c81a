//! The templates.

use askama::Template;

use super::blog::{Category, Post};

/// What the foot of a page says about its making.
#[derive(Debug)]
pub(super) struct Rendering {
    /// How often the page was rendered, this time included.
    pub(super) count: u64,
    /// How long that takes at least.
    pub(super) milliseconds: u128,
    /// Its tags.
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Template)]
#[template(path = "index.html")]
pub(super) struct Index {
    pub(super) posts: Vec<Post>,
    pub(super) render: Rendering,
}

#[derive(Debug, Template)]
#[template(path = "post.html")]
pub(super) struct PostPage {
    pub(super) post: Post,
    pub(super) render: Rendering,
}

#[derive(Debug, Template)]
#[template(path = "category.html")]
pub(super) struct CategoryPage {
    pub(super) category: Category,
    pub(super) posts: Vec<Post>,
    pub(super) render: Rendering,
}

#[derive(Debug, Template)]
#[template(path = "about.html")]
pub(super) struct About {
    pub(super) render: Rendering,
}

#[derive(Debug, Template)]
#[template(path = "form.html")]
pub(super) struct Form {
    pub(super) action: String,
    pub(super) title: String,
    pub(super) body: String,
    pub(super) categories: Vec<Category>,
}
