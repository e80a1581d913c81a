//! Short ways to make what the cases bind, revalidate and look at.

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, Cursor, Generation, Mode, PageReason, PageUrl, PageWork, Receipt,
    RevalidateOptions, Source, Store, Tag, TagSet, Target, Targets, VariantKey, WorkerId,
};

/// Long enough not to end during a test.
pub const HOUR: Duration = Duration::from_hours(1);

/// A lease that does not end during a test.
pub const LONG_LEASE: Duration = Duration::from_mins(10);

/// A page of `https://site.example`.
#[must_use]
pub fn page(path: &str) -> PageUrl {
    PageUrl::parse(&format!("https://site.example{path}")).expect("the path is well-formed")
}

/// A tag by its text.
#[must_use]
pub fn tag(text: &str) -> Tag {
    Tag::new(text).expect("the tag is well-formed")
}

/// Tags by their texts.
#[must_use]
pub fn tags(texts: &[&str]) -> TagSet {
    TagSet::try_from_iter(texts.iter().map(|text| tag(text))).expect("there are few tags")
}

/// A bind of a page that may be kept for an hour.
#[must_use]
pub fn bind(path: &str, of: &[&str], generation: Generation) -> Bind {
    Bind {
        url: page(path),
        variant: VariantKey::default(),
        tags: tags(of),
        generation,
        lifetime: HOUR,
    }
}

/// The generation of a page now.
pub async fn generation(store: &dyn Store, path: &str) -> Generation {
    store
        .position()
        .await
        .expect("the store answers")
        .generation_of(&page(path))
}

/// Binds one page under the current generation.
pub async fn bind_now(store: &dyn Store, path: &str, of: &[&str]) -> BindOutcome {
    let now = generation(store, path).await;
    bind_one(store, bind(path, of, now)).await
}

/// Binds one page.
pub async fn bind_one(store: &dyn Store, bind: Bind) -> BindOutcome {
    store.bind(&[bind]).await.expect("the store answers")[0]
}

/// A soft revalidation of tags that nobody has stored.
#[must_use]
pub fn receipt_for(texts: &[&str]) -> Receipt {
    receipt_of(texts.iter().map(|text| Target::Tag(tag(text))), Mode::Soft)
}

/// A revalidation that nobody has stored.
#[must_use]
pub fn receipt_of(targets: impl IntoIterator<Item = Target>, mode: Mode) -> Receipt {
    let targets = Targets::new(targets).expect("there is a target");
    Receipt::new(
        targets,
        RevalidateOptions {
            mode: mode.into(),
            ..RevalidateOptions::default()
        },
        Source::Library,
    )
}

/// Revalidates tags softly.
pub async fn revalidate(store: &dyn Store, texts: &[&str]) -> Receipt {
    store
        .invalidate(receipt_for(texts))
        .await
        .expect("the store answers")
}

/// The paths of all pages of a target, walked in chunks of `limit`.
pub async fn paths(store: &dyn Store, target: &Target, limit: usize) -> BTreeSet<String> {
    walk(store, target, limit).await.0
}

/// The paths of all pages of a target, and how many chunks they came in.
pub async fn walk(store: &dyn Store, target: &Target, limit: usize) -> (BTreeSet<String>, usize) {
    let (mut found, mut chunks) = (BTreeSet::new(), 0);
    let mut cursor: Option<Cursor> = None;
    loop {
        let chunk = store
            .urls_for(target, cursor.as_ref(), limit)
            .await
            .expect("the store answers");
        found.extend(chunk.urls.iter().map(|url| url.path_and_query().to_owned()));
        chunks += 1;
        assert!(chunks < 100_000, "the walk does not end");
        cursor = chunk.next;
        if cursor.is_none() {
            return (found, chunks);
        }
    }
}

/// The paths of a tag's pages.
pub async fn pages_of(store: &dyn Store, text: &str) -> BTreeSet<String> {
    paths(store, &Target::Tag(tag(text)), 100).await
}

/// The tags of a page, as texts.
pub async fn tags_of(store: &dyn Store, path: &str) -> Option<BTreeSet<String>> {
    let known = store
        .tags_for(&page(path))
        .await
        .expect("the store answers")?;
    Some(
        known
            .tags
            .iter()
            .map(|bound| bound.tag.to_string())
            .collect(),
    )
}

/// A set of texts.
#[must_use]
pub fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A worker's name.
#[must_use]
pub fn worker(name: &str) -> WorkerId {
    WorkerId(name.to_owned())
}

/// A page to be queued.
#[must_use]
pub fn work(path: &str, generation: Generation) -> PageWork {
    PageWork::new(page(path), generation, PageReason::InFlight)
}
