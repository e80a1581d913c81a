//! The memory store: pages by URL, bounded by bytes.

use std::sync::Arc;

use http::HeaderMap;
use isr_core::{PageUrl, VariantKey, VaryRule};
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

use crate::stored::StoredResponse;

/// Shards of the cache: enough that a few cores seldom wait for one another, and so few that one
/// large response fits into a shard's part of the budget.
const SHARDS: usize = 4;

/// All stored variants of a page, newest first. Replaced whole, never changed.
#[derive(Clone, Debug)]
struct Page {
    variants: Arc<[Arc<StoredResponse>]>,
    weight: u64,
}

#[derive(Clone, Debug)]
struct ByBytes;

impl Weighter<PageUrl, Page> for ByBytes {
    fn weight(&self, url: &PageUrl, page: &Page) -> u64 {
        page.weight + url.as_str().len() as u64
    }
}

/// What is stored for a request.
#[derive(Debug)]
pub(crate) enum Lookup {
    Nothing,
    /// Variants that other requests select.
    OtherVariants,
    Response(Arc<StoredResponse>),
}

/// How much is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Pages.
    pub(crate) pages: u64,
    /// Bytes.
    pub(crate) bytes: u64,
}

/// The memory store.
#[derive(Debug)]
pub(crate) struct Storage {
    pages: Cache<PageUrl, Page, ByBytes>,
    variants_per_page: usize,
    /// The most that all variants of a page weigh together.
    page_limit: u64,
    /// Held while a page is replaced, so that two new variants do not displace one another.
    replacing: Mutex<()>,
}

impl Storage {
    pub(crate) fn new(memory_bytes: u64, variants_per_page: usize) -> Self {
        /// A guess that only sizes tables at first.
        const TYPICAL_PAGE: u64 = 32 * 1024;
        let expected = usize::try_from(memory_bytes / TYPICAL_PAGE).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(expected.clamp(64, 1 << 20))
            .weight_capacity(memory_bytes)
            .build()
            .expect("every option is given");
        let hasher = DefaultHashBuilder::default();
        Self {
            pages: Cache::with_options(options, ByBytes, hasher, DefaultLifecycle::default()),
            variants_per_page: variants_per_page.max(1),
            page_limit: largest_response(memory_bytes),
            replacing: Mutex::new(()),
        }
    }

    /// The response that a request for the page selects (RFC 9111 §4.1), the newest of several.
    pub(crate) fn lookup(&self, url: &PageUrl, request: &HeaderMap) -> Lookup {
        let Some(page) = self.pages.get(url) else {
            return Lookup::Nothing;
        };
        let mut last: Option<(&VaryRule, Option<VariantKey>)> = None;
        for response in page.variants.iter() {
            let rule = &response.terms.vary;
            let selected = match last {
                Some((known, selected)) if known == rule => selected,
                _ => VariantKey::select(rule, request),
            };
            if selected == Some(response.variant) {
                return Lookup::Response(Arc::clone(response));
            }
            last = Some((rule, selected));
        }
        Lookup::OtherVariants
    }

    /// What selects the variants of a page, by its newest response.
    pub(crate) fn vary_of(&self, url: &PageUrl) -> Option<VaryRule> {
        self.pages
            .peek(url)?
            .variants
            .first()
            .map(|response| response.terms.vary.clone())
    }

    /// Stores a response in place of the one it replaces. A page keeps its newest variants only.
    pub(crate) fn insert(&self, response: &Arc<StoredResponse>) {
        let url = response.footprint.url.clone();
        let _replacing = self.replacing.lock();
        let mut weight = response.weight();
        let mut variants = vec![Arc::clone(response)];
        if let Some(page) = self.pages.peek(&url) {
            for other in page.variants.iter() {
                let replaced =
                    other.variant == response.variant && other.terms.vary == response.terms.vary;
                let room = variants.len() < self.variants_per_page
                    && weight + other.weight() <= self.page_limit;
                if !replaced && room {
                    weight += other.weight();
                    variants.push(Arc::clone(other));
                }
            }
        }
        self.pages.insert(
            url,
            Page {
                variants: variants.into(),
                weight,
            },
        );
    }

    /// Removes a response, if it is still there.
    pub(crate) fn remove(&self, response: &StoredResponse) {
        let url = &response.footprint.url;
        let _replacing = self.replacing.lock();
        let Some(page) = self.pages.peek(url) else {
            return;
        };
        let same = |other: &Arc<StoredResponse>| std::ptr::eq(Arc::as_ptr(other), response);
        let variants: Vec<_> = page
            .variants
            .iter()
            .filter(|other| !same(other))
            .map(Arc::clone)
            .collect();
        if variants.is_empty() {
            self.pages.remove(url);
        } else {
            let weight = variants.iter().map(|variant| variant.weight()).sum();
            self.pages.insert(
                url.clone(),
                Page {
                    variants: variants.into(),
                    weight,
                },
            );
        }
    }

    pub(crate) fn held(&self) -> Held {
        Held {
            pages: self.pages.len() as u64,
            bytes: self.pages.weight(),
        }
    }
}

/// The largest response that a store of this size takes: half of a shard.
pub(crate) const fn largest_response(memory_bytes: u64) -> u64 {
    memory_bytes / SHARDS as u64 / 2
}
