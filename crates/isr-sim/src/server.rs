//! A process that sends responses, some of which it has stored.

use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, Clock, Flight, Generation, Memo, NoRecorder, Sender, SenderOptions,
    SenderRole, Store, TagGraph as _, VariantKey, Verdict,
};
use isr_pipeline::{Follower, FollowerOptions, Intake};
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use crate::fault::Fault;
use crate::host::Host;
use crate::link::Link;
use crate::net::{Net, SETTLING};
use crate::random::{below, millis};
use crate::site::{Copy, Data};

/// What a response is going to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    page: usize,
    /// Answered with what is stored, if anything is: a hit, or just so a 304, by which a CDN keeps what it
    /// has for longer.
    from_store: bool,
    /// Until the data are read, until the page is made of them, and until the last byte has left.
    takes: [Duration; 3],
    /// How much longer each takes at most, where it is slow.
    slow: Option<[Duration; 3]>,
    /// How far behind its replica is, as a part of the stated lag: clocks differ by less than the rest.
    lag: f64,
    /// The least generation that the render must have, as a warm-up request states it.
    pub(crate) least: Option<Generation>,
}

impl Errand {
    pub(crate) fn random(random: &mut StdRng, page: usize) -> Self {
        let mut takes = || {
            let (short, long) = (below(random, 20), below(random, 400));
            if random.random_bool(0.5) { short } else { long }
        };
        let takes = [takes(), takes(), takes()];
        let slow = [(); 3].map(|()| below(random, 5_000));
        Self {
            page,
            from_store: random.random_bool(0.4),
            takes,
            slow: random.random_bool(0.25).then_some(slow),
            lag: random.random_range(0.0..0.9),
            least: None,
        }
    }

    /// The same for a warm-up: rendered anew.
    pub(crate) fn rendered(self, least: Option<Generation>) -> Self {
        Self {
            from_store: false,
            least,
            ..self
        }
    }
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) host: Arc<Host>,
    pub(crate) follower: Arc<Follower>,
    pub(crate) intake: Intake,
    sender: Arc<Sender>,
    pub(crate) link: Arc<Link>,
    net: Arc<Net>,
    /// By page.
    stored: Mutex<Vec<Option<(Generation, Data)>>>,
}

impl Server {
    pub(crate) fn new(link: &Arc<Link>, clock: Arc<dyn Clock>, wake: Arc<Notify>) -> Arc<Self> {
        let (host, net) = (&link.host, &link.net);
        let options = SenderOptions {
            role: SenderRole::Edge,
            address: Some(format!("http://{}:80", host.name)),
            tracks: true,
            settling_time: net.rules.settling_time(SETTLING),
            ..SenderOptions::default()
        };
        let sender = Sender::new(host.name.clone(), options, clock);
        let store = Arc::clone(link) as Arc<dyn Store>;
        let recorder = Arc::new(NoRecorder);
        let follower = Arc::new(Follower::new(
            Arc::clone(&sender),
            Arc::clone(&store),
            Arc::clone(&recorder) as _,
            FollowerOptions::default(),
        ));
        Arc::new(Self {
            host: Arc::clone(host),
            intake: Intake::new(store, Some(Arc::clone(&follower)), recorder, wake),
            follower,
            sender,
            link: Arc::clone(link),
            net: Arc::clone(net),
            stored: Mutex::new(vec![None; net.truth.site.pages()]),
        })
    }

    /// Answers a request; says whether what left may be kept by a tier.
    pub(crate) async fn respond(&self, errand: Errand) -> bool {
        let number = self.net.next_response();
        let departed = if errand.from_store && self.stored(errand.page).is_some() {
            self.hit(errand).await
        } else {
            self.render(errand).await
        };
        let Some((data, flight)) = departed.filter(|(_, flight)| flight.may_go_on()) else {
            return false;
        };
        self.send(number, errand, data, flight).await
    }

    fn stored(&self, page: usize) -> Option<(Generation, Data)> {
        self.stored.lock()[page]
    }

    async fn take(&self, errand: &Errand, stage: usize) {
        let slow = errand.slow.map(|slow| slow[stage]).unwrap_or_default();
        let slow = if self.net.strikes(Fault::SlowRender, !slow.is_zero()) {
            slow
        } else {
            Duration::ZERO
        };
        let long = errand.takes[stage] + slow;
        self.sender.clock().sleep(long).await;
    }

    /// A stored response, judged here instead of bound.
    async fn hit(&self, errand: Errand) -> Option<(Data, Flight)> {
        let print = self.net.truth.site.print(errand.page);
        let (generation, data) = self.stored(errand.page)?;
        let flight = self.sender.depart(print, generation);
        self.take(&errand, 0).await;
        let verdict = self.sender.verdict(print, generation, &Memo::default());
        // Whoever is behind judges by what he last knew, so what he serves then is not to be kept by others.
        if verdict != Verdict::Current || self.sender.is_behind() {
            flight.cancel();
            return None;
        }
        Some((data, flight))
    }

    async fn render(&self, errand: Errand) -> Option<(Data, Flight)> {
        let page = errand.page;
        let print = self.net.truth.site.print(page);
        let generation = self.sender.generation(&print.url)?;
        if errand.least.is_some_and(|least| !generation.covers(least)) {
            return None;
        }
        self.take(&errand, 0).await;
        let data = self.net.read_data(errand.lag);
        self.take(&errand, 1).await;
        let flight = self.sender.depart(print, generation);
        let bind = Bind {
            url: print.url.clone(),
            variant: VariantKey::default(),
            tags: print.tags.clone(),
            generation,
            lifetime: Duration::from_hours(1),
        };
        let outcomes = self.link.bind(&[bind]).await.unwrap_or_default();
        let bound = outcomes.first().map(BindOutcome::is_bound);
        self.note(format_args!(
            "binds page {page} of {data:?} under {}: {}",
            generation.number,
            match bound {
                Some(true) => "bound",
                Some(false) => "superseded",
                None => "no answer",
            }
        ));
        if bound != Some(true) {
            flight.cancel();
            return None;
        }
        self.stored.lock()[page] = Some((generation, data));
        Some((data, flight))
    }

    async fn send(&self, number: u64, errand: Errand, data: Data, flight: Flight) -> bool {
        let (page, flight) = (errand.page, Arc::new(flight));
        let copy = Copy { page, data };
        self.note(format_args!("begins to send page {page} of {data:?}"));
        let truth = &self.net.truth;
        truth.leaves(number, &self.host.name, copy, &flight);
        self.take(&errand, 2).await;
        let whole = flight.may_go_on();
        truth.left(number);
        drop(flight);
        self.note(format_args!("ends page {page} of {data:?}, whole: {whole}"));
        if whole {
            self.net.send(number, copy);
        }
        whole
    }

    /// A page that would be served here as current, and is older than some data.
    pub(crate) fn outdated(&self, newest: &Data) -> Option<(usize, Data)> {
        let site = &self.net.truth.site;
        (0..site.pages()).find_map(|page| {
            let (generation, data) = self.stored(page)?;
            let verdict = self
                .sender
                .verdict(site.print(page), generation, &Memo::default());
            let old = verdict == Verdict::Current && site.is_older(Copy { page, data }, newest);
            old.then_some((page, data))
        })
    }

    /// The same for one that has heard from the store lately.
    pub(crate) fn knows_better(&self, newest: &Data) -> Option<(usize, Data)> {
        self.outdated(newest).filter(|_| !self.sender.is_behind())
    }

    /// A page that would be served here as current, from a history that is known here to be over.
    pub(crate) fn believes(&self) -> Option<usize> {
        let site = &self.net.truth.site;
        let known = self.sender.known()?;
        (0..site.pages()).find(|&page| {
            let Some((generation, _)) = self.stored(page) else {
                return false;
            };
            let judged = self
                .sender
                .verdict(site.print(page), generation, &Memo::default());
            generation.epoch != known.epoch && judged == Verdict::Current
        })
    }

    fn note(&self, line: std::fmt::Arguments<'_>) {
        let name = &self.host.name;
        self.net.truth.journal.note(format_args!("{name} {line}"));
    }
}

/// The longest that a warm-up waits for a response.
pub(crate) const PATIENCE: Duration = millis(3_000);
