//! A small site: pages that show versioned data, and the processes that send them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use isr_core::{
    Bind, Flight, Footprint, Generation, Memo, NoRecorder, Sender, SenderOptions, Store, Tag,
    TagGraph, VariantKey, Verdict,
};
use isr_pipeline::{Follower, FollowerOptions};

use super::cdn::{Copy, Truth};
use crate::support::footprint;

/// The version of every datum.
pub(super) type Data = [u64; 2];

/// The first shows the first datum, the second the second, the third both.
pub(super) const PAGES: [&str; 3] = ["/a", "/b", "/both"];

/// How long a CDN may take to store what it has received.
pub(super) const SETTLING: Duration = Duration::from_secs(2);

pub(super) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) fn shows(page: usize, datum: usize) -> bool {
    page == datum || page == 2
}

/// What each page shows.
static PRINTS: LazyLock<[Arc<Footprint>; 3]> = LazyLock::new(|| {
    [
        footprint(PAGES[0], &["datum:0"]),
        footprint(PAGES[1], &["datum:1"]),
        footprint(PAGES[2], &["datum:0", "datum:1"]),
    ]
});

pub(super) fn print_of(page: usize) -> &'static Arc<Footprint> {
    &PRINTS[page]
}

pub(super) fn datum_tag(datum: usize) -> Tag {
    format!("datum:{datum}").parse().unwrap()
}

/// What a process is about to do next for a response.
enum Stage {
    Read,
    Depart(Data),
    Bind(Data, Flight),
    /// A hit: judged here instead of bound.
    Judge(Data, Flight, Memo),
    End(Data, Flight),
}

struct Response {
    page: usize,
    generation: Generation,
    stage: Stage,
}

/// A process that sends responses, some of which it has stored.
pub(super) struct Process {
    pub(super) name: String,
    pub(super) sender: Arc<Sender>,
    pub(super) follower: Arc<Follower>,
    responses: Vec<Response>,
    stored: [Option<(Generation, Data)>; 3],
    /// It does nothing before this moment.
    pub(super) hangs_until: Option<tokio::time::Instant>,
}

impl Process {
    pub(super) fn new(
        name: String,
        store: Arc<dyn Store>,
        clock: Arc<dyn isr_core::Clock>,
    ) -> Self {
        let options = SenderOptions {
            tracks: true,
            settling_time: SETTLING,
            ..SenderOptions::default()
        };
        let sender = Sender::new(name.clone(), options, clock);
        let follower = Follower::new(
            Arc::clone(&sender),
            store,
            Arc::new(NoRecorder),
            FollowerOptions::default(),
        );
        Self {
            name,
            sender,
            follower: Arc::new(follower),
            responses: vec![],
            stored: [None; 3],
            hangs_until: None,
        }
    }

    pub(super) fn hangs(&self) -> bool {
        self.hangs_until
            .is_some_and(|until| tokio::time::Instant::now() < until)
    }

    pub(super) fn busy(&self) -> usize {
        self.responses.len()
    }

    /// A request comes for a page; `from_store` answers it with what is stored, if anything is.
    pub(super) fn start(&mut self, page: usize, from_store: bool) {
        let (generation, stage) = match self.stored[page] {
            Some((generation, data)) if from_store => {
                let flight = self.sender.depart(print_of(page), generation);
                (generation, Stage::Judge(data, flight, Memo::default()))
            }
            _ => match self.sender.generation(&print_of(page).url) {
                Some(generation) => (generation, Stage::Read),
                None => return,
            },
        };
        self.responses.push(Response {
            page,
            generation,
            stage,
        });
    }

    /// Takes one response one step further; gives the copy whose last byte has left.
    pub(super) async fn advance(
        &mut self,
        which: usize,
        truth: &Truth,
        newest: Data,
    ) -> Option<Copy> {
        let Response {
            page,
            generation,
            stage,
        } = self.responses.swap_remove(which);
        let stage = match stage {
            Stage::Read => Stage::Depart(newest),
            Stage::Depart(data) => {
                Stage::Bind(data, self.sender.depart(print_of(page), generation))
            }
            Stage::Bind(data, flight) => {
                let outcome = truth
                    .store
                    .bind(&[bind_of(page, generation)])
                    .await
                    .unwrap()[0];
                if !outcome.is_bound() {
                    flight.cancel();
                    return None;
                }
                self.stored[page] = Some((generation, data));
                head_leaves(data, flight)?
            }
            Stage::Judge(data, flight, memo) => {
                let verdict = self.sender.verdict(print_of(page), generation, &memo);
                if verdict != Verdict::Current {
                    flight.cancel();
                    return None;
                }
                head_leaves(data, flight)?
            }
            Stage::End(data, flight) => {
                let whole = flight.may_go_on();
                drop(flight);
                truth.note(format_args!(
                    "{} ends {} {data:?}, whole: {whole}",
                    self.name, PAGES[page]
                ));
                return whole.then_some(Copy { page, data });
            }
        };
        self.responses.push(Response {
            page,
            generation,
            stage,
        });
        None
    }

    /// The responses whose head has left and that are still being sent.
    pub(super) fn sending(&self) -> impl Iterator<Item = Copy> {
        self.responses
            .iter()
            .filter_map(|response| match &response.stage {
                Stage::End(data, flight) if flight.may_go_on() => Some(Copy {
                    page: response.page,
                    data: *data,
                }),
                _ => None,
            })
    }
}

/// The head leaves, unless the store has not heard of the process for too long.
fn head_leaves(data: Data, flight: Flight) -> Option<Stage> {
    flight.may_go_on().then_some(Stage::End(data, flight))
}

fn bind_of(index: usize, generation: Generation) -> Bind {
    Bind {
        url: print_of(index).url.clone(),
        variant: VariantKey::default(),
        tags: print_of(index).tags.clone(),
        generation,
        lifetime: Duration::from_hours(1),
    }
}
