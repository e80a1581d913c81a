//! Reading the items of a request, so that every one at fault is named.

use std::str::FromStr;

use edge_isr::core::{PageUrl, Tag};
use http::StatusCode;

use super::problem::{ItemFault, Problem};
use super::site_pages::SitePages;

/// Reads items and keeps what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Items {
    faults: Vec<ItemFault>,
}

impl Items {
    /// Reads tags; `place` is where they stand in the request.
    pub(super) fn tags(&mut self, place: &str, texts: &[String]) -> Vec<Tag> {
        self.each(place, texts, Tag::new)
    }

    /// Reads URLs of the site's pages.
    pub(super) fn urls(
        &mut self,
        place: &str,
        texts: &[String],
        pages: &SitePages,
    ) -> Vec<PageUrl> {
        self.each(place, texts, |text| pages.page(text))
    }

    /// Reads URLs of pages that the site has, or had under other hosts.
    pub(super) fn former_urls(
        &mut self,
        place: &str,
        texts: &[String],
        pages: &SitePages,
    ) -> Vec<PageUrl> {
        self.each(place, texts, |text| pages.former_page(text))
    }

    /// Reads one item that may be missing.
    pub(super) fn parsed<T: FromStr<Err: ToString>>(
        &mut self,
        place: &str,
        text: Option<&String>,
    ) -> Option<T> {
        text.and_then(|text| self.note(place, text.parse()))
    }

    /// Keeps what a reading found.
    pub(super) fn note<T, E: ToString>(&mut self, item: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(fault) => {
                self.faults.push(ItemFault {
                    item: item.to_owned(),
                    detail: fault.to_string(),
                });
                None
            }
        }
    }

    /// Refuses the request when an item was at fault.
    ///
    /// # Errors
    ///
    /// A problem that names every such item.
    pub(super) fn done(self) -> Result<(), Problem> {
        if self.faults.is_empty() {
            Ok(())
        } else {
            Err(Problem::with_items(self.faults))
        }
    }

    fn each<T, E: ToString>(
        &mut self,
        place: &str,
        texts: &[String],
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let read_one =
            |(index, text): (usize, &String)| self.note(&format!("{place}[{index}]"), read(text));
        texts.iter().enumerate().filter_map(read_one).collect()
    }
}

/// Reads the one URL of a request's query.
///
/// # Errors
///
/// A problem that names the parameter.
pub(super) fn url_parameter(pages: &SitePages, text: &str) -> Result<PageUrl, Problem> {
    let mut items = Items::default();
    let url = items.note("url", pages.page(text));
    items.done()?;
    Ok(url.expect("a URL without a fault was read"))
}

/// Refuses a list that is longer than one call takes.
///
/// # Errors
///
/// 422 with both numbers.
pub(super) fn at_most(what: &str, given: usize, limit: usize) -> Result<(), Problem> {
    if given <= limit {
        return Ok(());
    }
    let detail = format!("{given} {what} given, and one call takes at most {limit}: split it");
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail))
}
