//! The page being rendered, as its handler sees it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::Extensions;
use http::request::Parts;
use isr_core::{Dialect, Generation, PageUrl, Policy, Tag, TagSet, Warmup};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::parts::Setup;
use crate::rejection::Unavailable;

/// The page being rendered: the extractor by which a handler says what it is made from.
///
/// Clones speak of the same page, so it can be handed to whatever loads the data. What is said once
/// the handler has returned its response comes too late, which matters to bodies that are streamed.
///
/// ```no_run
/// # use axum::extract::Path;
/// # use isr_core::tag;
/// # use isr_tower::Page;
/// # struct Post { author: u64 }
/// # async fn load(id: u64) -> Post { Post { author: 1 } }
/// # fn render(post: &Post) -> String { String::new() }
/// async fn post(Path(id): Path<u64>, page: Page) -> String {
///     let post = load(id).await;
///     page.tag(tag("author", post.author));
///     render(&post)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Page(Arc<State>);

#[derive(Debug)]
struct State {
    setup: Arc<Setup>,
    visit: Visit,
    draft: Mutex<Draft>,
}

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visit {
    /// The page; `None` when the request's target can be none.
    pub(crate) url: Option<PageUrl>,
    /// Whether the target was spelled as the page's URL is.
    pub(crate) canonical: bool,
    /// Taken before any data is read; `None` until the store has been heard from once.
    pub(crate) generation: Option<Generation>,
    /// What the crawler asks for, when it is the crawler.
    pub(crate) warmup: Option<Warmup>,
}

/// What has been said of the response so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Shared caches may keep it for this long; `None` when nobody has opted in.
    pub(crate) policy: Option<Policy>,
    /// What it is made from.
    pub(crate) tags: TagSet,
    /// Whether `tags` lacks some that belong there, so that binding would promise too much.
    pub(crate) incomplete: bool,
    /// Whether the handler has opted out.
    pub(crate) private: bool,
}

impl Draft {
    pub(crate) fn add(&mut self, tags: impl IntoIterator<Item = Tag>) {
        if self.tags.try_extend(tags).is_err() {
            self.incomplete = true;
        }
    }
}

impl Page {
    pub(crate) fn new(setup: Arc<Setup>, visit: Visit) -> Self {
        Self(Arc::new(State {
            setup,
            visit,
            draft: Mutex::default(),
        }))
    }

    /// The page that a layer put into a request.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get()
    }

    pub(crate) fn setup(&self) -> &Arc<Setup> {
        &self.0.setup
    }

    pub(crate) fn visit(&self) -> &Visit {
        &self.0.visit
    }

    /// How the tiers that keep the page are told lifetimes.
    pub(crate) fn dialects(&self) -> SmallVec<[Dialect; 2]> {
        self.setup().fronting.dialects(self.visit().url.as_ref())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut Draft)) {
        change(&mut self.0.draft.lock());
    }

    pub(crate) fn take_draft(&self) -> Draft {
        std::mem::take(&mut *self.0.draft.lock())
    }

    /// Says that the page shows data with this tag.
    ///
    /// A page takes [`TagSet::DEFAULT_LIMIT`] tags. With more it cannot be bound to all of them, and
    /// leaves with the short lifetime of [`IsrOptions::degraded_lifetime`]: bind it to a tag that
    /// stands for the group.
    ///
    /// [`IsrOptions::degraded_lifetime`]: crate::IsrOptions::degraded_lifetime
    pub fn tag(&self, tag: Tag) {
        self.tags([tag]);
    }

    /// Says that the page shows data with each of these tags; see [`Page::tag`].
    pub fn tags(&self, tags: impl IntoIterator<Item = Tag>) {
        // Drawn before the lock is taken: the iterator may be anything, even one that tags the page.
        let tags: Vec<Tag> = tags.into_iter().collect();
        self.change(|draft| draft.add(tags));
    }

    /// Keeps this response by another policy than its route's, or opts it in when its route has none.
    pub fn policy(&self, policy: Policy) {
        self.change(|draft| draft.policy = Some(policy));
    }

    /// Opts this response out: it is for this visitor alone. Nothing takes that back.
    pub fn private(&self) {
        self.change(|draft| draft.private = true);
    }

    /// The page's URL; `None` when the request's target can be no page's, such as `*`.
    #[must_use]
    pub fn url(&self) -> Option<&PageUrl> {
        self.visit().url.as_ref()
    }

    /// The generation that this response starts from, taken before the handler was called. `None`
    /// when the request is for no page, or the store has not been heard from yet.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.visit().generation
    }

    /// Whether the request comes from the site's own crawler, with a signature that was verified.
    #[must_use]
    pub fn is_warmup(&self) -> bool {
        self.visit().warmup.is_some()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Unavailable;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Unavailable> {
        Self::of(&parts.extensions)
            .cloned()
            .ok_or(Unavailable::LAYER)
    }
}
