//! A small site: pages that show versioned data.

use std::sync::Arc;

use isr_core::{Footprint, PageUrl, Tag, TagSet, Target};
use rand::RngExt;
use rand::rngs::StdRng;

/// The most data a site has.
pub(crate) const MOST_DATA: usize = 4;

/// The version of every datum.
pub(crate) type Data = [u64; MOST_DATA];

/// A copy of a page, by the data that it was made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub(crate) page: usize,
    pub(crate) data: Data,
}

/// Which page shows which data, and so has which tags.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) data: usize,
    /// By page and datum.
    shows: Vec<[bool; MOST_DATA]>,
    prints: Vec<Arc<Footprint>>,
}

impl Site {
    pub(crate) fn random(random: &mut StdRng) -> Self {
        let data = random.random_range(1..=MOST_DATA);
        let pages = random.random_range(1..=6);
        let shows: Vec<[bool; MOST_DATA]> = (0..pages)
            .map(|page| {
                let mut shown = [false; MOST_DATA];
                for datum in &mut shown[..data] {
                    *datum = random.random_bool(0.4);
                }
                shown[page % data] = true;
                shown
            })
            .collect();
        let prints = shows.iter().enumerate().map(|(page, shown)| {
            let tags = (0..data).filter(|&datum| shown[datum]).map(datum_tag);
            Arc::new(Footprint {
                url: PageUrl::parse(&format!("https://site.example/section/{page}"))
                    .expect("it is a page URL"),
                tags: TagSet::try_from_iter(tags).expect("they are few"),
            })
        });
        Self {
            data,
            prints: prints.collect(),
            shows,
        }
    }

    pub(crate) fn pages(&self) -> usize {
        self.prints.len()
    }

    pub(crate) fn shows(&self, page: usize, datum: usize) -> bool {
        self.shows[page][datum]
    }

    pub(crate) fn print(&self, page: usize) -> &Arc<Footprint> {
        &self.prints[page]
    }

    pub(crate) fn page_of(&self, url: &PageUrl) -> Option<usize> {
        self.prints.iter().position(|print| print.url == *url)
    }

    /// Whether a copy shows something older than `newest`.
    pub(crate) fn is_older(&self, copy: Copy, newest: &Data) -> bool {
        (0..self.data).any(|datum| self.shows(copy.page, datum) && copy.data[datum] < newest[datum])
    }

    pub(crate) fn concerns(&self, targets: &[Target], page: usize) -> bool {
        let print = self.print(page);
        let mut targets = targets.iter();
        targets.any(|target| target.concerns(&print.url, print.tags.iter()))
    }

    /// Every page that shows a datum.
    pub(crate) fn urls_with(&self, datum: usize) -> Vec<Target> {
        let pages = (0..self.pages()).filter(|&page| self.shows(page, datum));
        pages
            .map(|page| Target::Url(self.print(page).url.clone()))
            .collect()
    }
}

pub(crate) fn datum_tag(datum: usize) -> Tag {
    format!("datum:{datum}").parse().expect("it is a tag")
}
