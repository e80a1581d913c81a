//! One call's pages, each named once.

use std::collections::HashMap;

use isr_core::{Generation, PageUrl, WarmOutcome, WarmRequest};

/// The pages of one call, and which of them answers which request.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pages: Vec<WarmRequest>,
    page_of_request: Vec<usize>,
}

impl Batch {
    /// Requests for one page in one place become a single one that asks for the most that any of
    /// them does. Only generations of two epochs, neither of which covers the other, keep apart.
    pub(crate) fn of(requests: &[WarmRequest]) -> Self {
        let mut batch = Self::default();
        let mut known: HashMap<(&PageUrl, Option<&str>), Vec<usize>> = HashMap::new();
        for request in requests {
            let alike = known
                .entry((&request.url, request.via.as_deref()))
                .or_default();
            let page = alike
                .iter()
                .copied()
                .find(|&page| batch.take_in(page, request.least));
            let page = page.unwrap_or_else(|| {
                batch.pages.push(request.clone());
                alike.push(batch.pages.len() - 1);
                batch.pages.len() - 1
            });
            batch.page_of_request.push(page);
        }
        batch
    }

    /// The pages to ask for.
    pub(crate) fn pages(&self) -> &[WarmRequest] {
        &self.pages
    }

    /// The outcome of every request, from those of the pages, in the order of [`Batch::pages`].
    pub(crate) fn spread(&self, outcomes: &[WarmOutcome]) -> Vec<WarmOutcome> {
        self.page_of_request
            .iter()
            .map(|&page| outcomes[page].clone())
            .collect()
    }

    fn take_in(&mut self, page: usize, least: Option<Generation>) -> bool {
        let asked = &mut self.pages[page].least;
        if covers(least, *asked) {
            *asked = least;
        }
        covers(*asked, least)
    }
}

/// Whether a page rendered under no less than `more` is good enough for whoever asks for `less`.
pub(crate) fn covers(more: Option<Generation>, less: Option<Generation>) -> bool {
    match (more, less) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(more), Some(less)) => more.covers(less),
    }
}

#[cfg(test)]
mod tests {
    use isr_core::Epoch;

    use super::*;

    fn generation(epoch: u64, number: u64) -> Generation {
        Generation {
            epoch: Epoch::new(epoch),
            number,
        }
    }

    fn request(path: &str, via: Option<&str>, least: Option<Generation>) -> WarmRequest {
        let url = PageUrl::parse(&format!("https://example.com{path}")).unwrap();
        WarmRequest {
            url,
            via: via.map(str::to_owned),
            least,
        }
    }

    #[test]
    fn a_page_named_twice_is_one_page_and_asks_for_the_most() {
        let orders = [
            [None, Some(3), Some(5)],
            [Some(5), None, Some(3)],
            [Some(3), Some(5), None],
        ];
        for order in orders {
            let requests =
                order.map(|number| request("/a", None, number.map(|n| generation(1, n))));
            let batch = Batch::of(&requests);
            assert_eq!(batch.pages(), [request("/a", None, Some(generation(1, 5)))]);
        }
    }

    #[test]
    fn other_pages_places_and_epochs_are_kept_apart() {
        let requests = [
            request("/a", None, Some(generation(1, 1))),
            request("/b", None, Some(generation(1, 1))),
            request("/a", Some("http://127.0.0.1:1"), Some(generation(1, 1))),
            request("/a", None, Some(generation(2, 1))),
        ];
        assert_eq!(Batch::of(&requests).pages(), requests);
    }

    #[test]
    fn every_request_gets_its_page_s_outcome_in_the_order_given() {
        let requests = ["/a", "/b", "/a", "/c", "/b"].map(|path| request(path, None, None));
        let batch = Batch::of(&requests);
        let outcome = |status| WarmOutcome::Gone { status };
        let outcomes = batch.spread(&[outcome(1), outcome(2), outcome(3)]);
        assert_eq!(outcomes, [1, 2, 1, 3, 2].map(outcome));
    }
}
