//! The layer: what holds for the routes within it.

use std::fmt;
use std::sync::Arc;

use isr_core::{Policy, Tag};
use tower_layer::Layer;

use crate::parts::{IsrParts, Setup};
use crate::route::{Route, TagParameter};
use crate::service::IsrService;

/// Makes pages of the responses of the routes within it.
///
/// One is made for the whole service. Put as it is around a router, it opts nothing in, and lets
/// the extractors [`Page`](crate::Page) and [`Revalidate`](crate::Revalidate) work. What
/// [`IsrLayer::page`] returns opts routes in:
///
/// ```no_run
/// # use axum::{Router, routing::{get, post}};
/// # use isr_core::Policy;
/// # use isr_tower::IsrLayer;
/// # async fn index() {}
/// # async fn show() {}
/// # async fn edit() {}
/// # fn routes(isr: IsrLayer) -> Router {
/// let lists = Router::new()
///     .route("/", get(index))
///     .route_layer(isr.page(Policy::default()).tag("posts"));
/// let posts = Router::new()
///     .route("/posts/{id}", get(show))
///     .route_layer(isr.page(Policy::default()).tag_param("post", "id"));
/// let edits = Router::new().route("/posts/{id}/edit", post(edit));
/// lists.merge(posts).merge(edits).layer(isr)
/// # }
/// ```
///
/// Layers of the same service may stand within one another: the outermost does the work and the
/// others add to it, the innermost policy counting. A layer that changes bodies, such as one that
/// compresses them, belongs inside of it: entity tags are made from what passes through here.
#[derive(Clone, Debug)]
pub struct IsrLayer {
    setup: Arc<Setup>,
    route: Arc<Route>,
}

impl IsrLayer {
    /// A layer that opts nothing in.
    #[must_use]
    pub fn new(parts: IsrParts) -> Self {
        Self {
            setup: Arc::new(parts.into()),
            route: Arc::default(),
        }
    }

    /// A layer that opts routes in: their GET and HEAD responses may be kept by shared caches as
    /// `policy` says, unless they turn out private. It has the tags of this one.
    #[must_use]
    pub fn page(&self, policy: Policy) -> Self {
        self.clone().changed(|route| route.policy = Some(policy))
    }

    /// Says that every page of the routes shows data with this tag.
    ///
    /// # Panics
    ///
    /// When the text is no [`Tag`], or there are more than a page can have: routes are put together
    /// when a service starts, and from constants.
    #[must_use]
    pub fn tag<T>(self, tag: T) -> Self
    where
        T: TryInto<Tag>,
        T::Error: fmt::Display,
    {
        let tag = tag.try_into().unwrap_or_else(|invalid| panic!("{invalid}"));
        self.changed(|route| {
            route
                .tags
                .insert(tag)
                .unwrap_or_else(|too_many| panic!("{too_many}"));
        })
    }

    /// Says that every page of the routes shows the data named by a parameter of its path: with
    /// `tag_param("post", "id")` on `/posts/{id}`, the page `/posts/42` has the tag `post:42`.
    ///
    /// The parameter is percent-decoded, and the tag is the same that [`isr_core::tag`] makes. A page
    /// whose path has no such parameter cannot be bound and leaves with a short lifetime.
    #[must_use]
    pub fn tag_param(self, namespace: impl Into<String>, parameter: impl Into<String>) -> Self {
        let wanted = TagParameter {
            namespace: namespace.into(),
            parameter: parameter.into(),
        };
        self.changed(|route| route.parameters.push(wanted))
    }

    fn changed(mut self, change: impl FnOnce(&mut Route)) -> Self {
        change(Arc::make_mut(&mut self.route));
        self
    }
}

impl<S> Layer<S> for IsrLayer {
    type Service = IsrService<S>;

    fn layer(&self, inner: S) -> IsrService<S> {
        IsrService::new(inner, Arc::clone(&self.setup), Arc::clone(&self.route))
    }
}
