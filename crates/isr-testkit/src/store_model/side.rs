//! One of the two stores: what is done to it, and its answers in words that both have in common.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use isr_core::{
    Bind, BindOutcome, Claim, Claimed, Epoch, Generation, JobKey, Leave, LeavePage, PageUrl,
    PageWork, Phase, Position, RateLimit, RateUnit, Receipt, RevalidateOptions, RevalidationId,
    SenderId, SenderReport, SenderRole, Source, Store, StoreError, Taken, Target, Targets,
    Timestamp, VariantKey,
};

use super::operation::{Aim, Back, Kind, Left, Name, Operation, Queued, Rendered, When};
use super::{Loss, Subject};
use crate::store_suite::make;

/// A history that no store has.
const OTHER: Epoch = Epoch::new(7);

/// Why a case has something held.
const HELD: isr_core::Held = isr_core::Held {
    above: 7,
    released: false,
};

/// More than anything of a case needs to come to its end.
const ROUNDS: usize = 1_000;

/// A claim, and what it was for where that is a revalidation.
#[derive(Clone, Debug)]
pub(super) struct Held {
    claim: Claim,
    receipt: Option<Receipt>,
}

/// A job that was claimed.
#[derive(Clone, Debug)]
pub(super) struct TakenJob {
    /// The job's key.
    pub(super) key: String,
    /// All of it, in common words.
    pub(super) shown: String,
    held: Held,
}

impl TakenJob {
    fn new(claim: Claim, attempt: u32, work: &str, receipt: Option<Receipt>) -> Self {
        Self {
            key: claim.job.clone(),
            shown: format!("attempt {attempt} of {work}"),
            held: Held { claim, receipt },
        }
    }
}

/// A store, with what its user remembers.
#[derive(Debug)]
pub(super) struct Side {
    subject: Box<dyn Subject>,
    pub(super) store: Arc<dyn Store>,
    /// The epochs of all its histories, the present one last.
    epochs: Vec<Epoch>,
    /// The number at which the present history began.
    since: u64,
    /// When the case began, by the store's clock.
    pub(super) begun: Timestamp,
    revalidations: Vec<Held>,
    pages: Vec<Held>,
    pub(super) now: Duration,
    /// When the lease of each sender's last report ends.
    pub(super) leases: BTreeMap<SenderId, Duration>,
    saved: Option<Saved>,
}

/// What its user remembered when the store was saved.
#[derive(Debug)]
struct Saved {
    revalidations: usize,
    pages: usize,
    leases: BTreeMap<SenderId, Duration>,
}

impl Side {
    pub(super) async fn new(subject: Box<dyn Subject>) -> Self {
        let store = subject.fixture().store();
        let epoch = store.position().await.expect("the store answers").epoch;
        let begun = store.time().await.expect("the store answers");
        Self {
            subject,
            store,
            epochs: vec![epoch],
            since: 0,
            begun,
            revalidations: Vec::new(),
            pages: Vec::new(),
            now: Duration::ZERO,
            leases: BTreeMap::new(),
            saved: None,
        }
    }

    pub(super) fn epoch(&self) -> Epoch {
        *self.epochs.last().expect("there is a history")
    }

    /// Which history it is, the first one being 0.
    pub(super) fn history_of(&self, epoch: Epoch) -> Option<usize> {
        self.epochs.iter().position(|&known| known == epoch)
    }

    pub(super) async fn pass(&mut self, time: Duration) {
        self.subject.fixture().pass(time).await;
        self.now += time;
    }

    /// Does something, and answers in common words.
    pub(super) async fn act(&mut self, operation: &Operation) -> String {
        match self.try_act(operation).await {
            Ok(answer) => answer,
            Err(StoreError::ClaimLost { job }) => format!("the claim on {job} is lost"),
            Err(StoreError::QueueFull { limit }) => format!("the queue is full with {limit}"),
            Err(StoreError::TooFarAhead { at, last }) => {
                format!("too far ahead by {:?}", at.since(last))
            }
            Err(other) => format!("{other:?}"),
        }
    }

    async fn try_act(&mut self, operation: &Operation) -> Result<String, StoreError> {
        match operation {
            Operation::Pass(time) => {
                self.pass(*time).await;
                Ok(String::new())
            }
            Operation::Bind(rendered) => self.bind(rendered).await,
            Operation::Unbind(urls) => said(self.store.unbind(&pages(urls)).await),
            Operation::Invalidate {
                name,
                targets,
                mode,
                wait,
            } => {
                let mut receipt = revalidation(*name, targets, *mode);
                if let Some(wait) = wait {
                    receipt.options.at = Some(self.store.time().await?.after(*wait));
                }
                let receipt = self.store.invalidate(receipt).await?;
                Ok(self.show_receipt(&receipt))
            }
            Operation::Cancel(name) => {
                let receipt = self.store.cancel(&id(*name)).await?;
                Ok(self.show_known(receipt.as_ref()))
            }
            Operation::Release(claim) => {
                let Some((_, receipt)) = self.revalidation(*claim) else {
                    return Ok(String::new());
                };
                let receipt = self.store.release(&receipt.id).await?;
                Ok(self.show_known(receipt.as_ref()))
            }
            Operation::QueuePages { pages, delay } => self.queue(pages, *delay).await,
            Operation::Claim { .. } => unreachable!("claims are compared by themselves"),
            Operation::Save { .. }
            | Operation::Leave { .. }
            | Operation::RenewPages { .. }
            | Operation::LeavePages(_) => self.with_claims(operation).await,
            Operation::HandBack(worker) => said(self.store.hand_back(&make::worker(worker)).await),
            Operation::ReplayRevalidations(names) => {
                let jobs = names.iter().map(|&name| JobKey::Revalidation(id(name)));
                said(self.store.replay(&jobs.collect::<Vec<_>>()).await)
            }
            Operation::ReplayPages(urls) => {
                let jobs = pages(urls).into_iter().map(JobKey::Page);
                said(self.store.replay(&jobs.collect::<Vec<_>>()).await)
            }
            Operation::Report {
                sender,
                clean,
                lease,
            } => self.report(sender, *clean, *lease).await,
            Operation::Dismiss(sender) => {
                let sender = SenderId((*sender).to_owned());
                self.leases.remove(&sender);
                said(self.store.dismiss(&sender).await)
            }
            Operation::Take {
                bucket,
                tokens,
                patience,
            } => self.take(bucket, *tokens, *patience).await,
            Operation::Pause { bucket, pause } => {
                said(self.store.pause(&rate_limit(bucket), *pause).await)
            }
            Operation::Collect { limit } => self.collect(*limit).await,
            Operation::Keep => {
                self.save().await;
                Ok(String::new())
            }
            Operation::Lose(loss) => self.lose(*loss).await,
            Operation::DealWith(when) => {
                let beginning = self.position(*when).await?.epoch;
                said(self.store.dealt_with(beginning).await)
            }
            Operation::Look(look) => self.look(look).await,
        }
    }

    async fn bind(&self, rendered: &[Rendered]) -> Result<String, StoreError> {
        let mut binds = Vec::new();
        for response in rendered {
            binds.push(Bind {
                url: page(response.page),
                variant: variant(response.variant),
                tags: make::tags(&response.tags),
                generation: self.generation(response.page, response.when).await?,
                lifetime: response.lifetime,
            });
        }
        let outcomes = self.store.bind(&binds).await?;
        let shown = outcomes.iter().map(|outcome| match outcome {
            BindOutcome::Bound { current } => format!("bound at {}", self.show(*current)),
            BindOutcome::Superseded { current, mode } => {
                format!("superseded at {}, {}", self.show(*current), mode.as_str())
            }
        });
        Ok(shown.collect::<Vec<_>>().join("; "))
    }

    async fn queue(&self, queued: &[Queued], delay: Duration) -> Result<String, StoreError> {
        let mut works = Vec::new();
        for queued in queued {
            let generation = self.generation(queued.page, queued.when).await?;
            works.push(PageWork::new(page(queued.page), generation, queued.reason));
        }
        said(self.store.queue_pages(&works, delay).await)
    }

    /// Claims jobs, in the store's order. They can be named once they have been remembered.
    pub(super) async fn claim(
        &self,
        kind: Kind,
        worker: &str,
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<TakenJob>, StoreError> {
        let worker = make::worker(worker);
        match kind {
            Kind::Revalidations => {
                let taken = self.store.claim_revalidations(&worker, limit, lease).await;
                let remembered = |taken: Claimed<Receipt>| {
                    let shown = self.show_receipt(&taken.work);
                    TakenJob::new(taken.claim, taken.attempt, &shown, Some(taken.work))
                };
                Ok(taken?.into_iter().map(remembered).collect())
            }
            Kind::Pages => {
                let taken = self.store.claim_pages(&worker, limit, lease).await;
                let remembered = |taken: Claimed<PageWork>| {
                    let shown = self.show_work(&taken.work);
                    TakenJob::new(taken.claim, taken.attempt, &shown, None)
                };
                Ok(taken?.into_iter().map(remembered).collect())
            }
        }
    }

    pub(super) fn remember(&mut self, kind: Kind, taken: Vec<TakenJob>) {
        let claims = match kind {
            Kind::Revalidations => &mut self.revalidations,
            Kind::Pages => &mut self.pages,
        };
        claims.extend(taken.into_iter().map(|taken| taken.held));
    }

    async fn with_claims(&mut self, operation: &Operation) -> Result<String, StoreError> {
        match operation {
            Operation::Save {
                claim,
                looks,
                lease,
            } => {
                let Some((claim, mut receipt)) = self.revalidation(*claim) else {
                    return Ok(String::new());
                };
                receipt.progress.looks = *looks;
                said(self.store.save(&claim, &receipt, *lease).await)
            }
            Operation::Leave { claim, how } => {
                let Some((claim, mut receipt)) = self.revalidation(*claim) else {
                    return Ok(String::new());
                };
                receipt.failures += 1;
                receipt.error = matches!(how, Left::Dead).then(|| "given up".to_owned());
                if matches!(how, Left::Held) {
                    receipt.phase = Phase::Held;
                    receipt.held = Some(HELD);
                }
                said(self.store.leave(&claim, &receipt, &leave(*how)).await)
            }
            Operation::RenewPages { claims, lease } => {
                let claims = claims.iter().filter_map(|&claim| self.page(claim));
                let claims: Vec<Claim> = claims.collect();
                said(self.store.renew_pages(&claims, *lease).await)
            }
            Operation::LeavePages(claims) => {
                let left = claims
                    .iter()
                    .filter_map(|(claim, how)| Some((self.page(*claim)?, leave_page(*how))));
                said(self.store.leave_pages(&left.collect::<Vec<_>>()).await)
            }
            other => unreachable!("{other:?} has no claims"),
        }
    }

    fn revalidation(&self, claim: Back) -> Option<(Claim, Receipt)> {
        let held = back(&self.revalidations, claim)?;
        Some((held.claim.clone(), held.receipt.clone()?))
    }

    fn page(&self, claim: Back) -> Option<Claim> {
        Some(back(&self.pages, claim)?.claim.clone())
    }

    async fn report(
        &mut self,
        sender: &str,
        clean: When,
        lease: Duration,
    ) -> Result<String, StoreError> {
        let position = self.position(clean).await?;
        let report = SenderReport {
            id: SenderId(sender.to_owned()),
            role: SenderRole::Edge,
            address: None,
            known: position.clone(),
            clean: position,
            lease,
        };
        self.store.report(&report).await?;
        self.leases.insert(report.id, self.now + lease);
        Ok(String::new())
    }

    async fn take(
        &self,
        bucket: &str,
        tokens: u32,
        patience: Duration,
    ) -> Result<String, StoreError> {
        let taken = self
            .store
            .take(&rate_limit(bucket), tokens, patience)
            .await?;
        Ok(match taken {
            Taken::After(wait) => format!("after {wait:?}"),
            Taken::TooLong(wait) => format!("not before {wait:?}"),
        })
    }

    async fn collect(&self, limit: usize) -> Result<String, StoreError> {
        let (mut edges, mut pages, mut receipts, mut given_up) = (0, 0, 0, 0);
        for _ in 0..ROUNDS {
            let collected = self.store.collect_garbage(limit).await?;
            edges += collected.edges;
            pages += collected.pages;
            receipts += collected.receipts;
            given_up += collected.given_up;
            if !collected.more {
                return Ok(format!(
                    "{edges} pairs, {pages} pages, {receipts} receipts, {given_up} given up"
                ));
            }
        }
        Ok("the collection does not end".to_owned())
    }

    /// A moment by the store's clock, as how long after the first of the case it is.
    pub(super) fn show_time(&self, time: Timestamp) -> String {
        format!("{:?}", time.since(self.begun))
    }

    async fn save(&mut self) {
        self.subject.save().await;
        self.saved = Some(Saved {
            revalidations: self.revalidations.len(),
            pages: self.pages.len(),
            leases: self.leases.clone(),
        });
    }

    /// Where nothing was saved, nothing more than certainty is lost.
    async fn lose(&mut self, loss: Loss) -> Result<String, StoreError> {
        match (&self.saved, loss) {
            (Some(saved), Loss::SinceSaved) => {
                // What a claim of a lost history may still do is not said: its name may be given again.
                self.revalidations.truncate(saved.revalidations);
                self.pages.truncate(saved.pages);
                self.leases.clone_from(&saved.leases);
                self.subject.lose(loss).await;
            }
            _ => self.subject.lose(Loss::Certainty).await,
        }
        self.store = self.subject.fixture().store();
        let position = self.store.position().await?;
        if self.history_of(position.epoch).is_none() {
            self.epochs.push(position.epoch);
            self.since = position.numbers().first().copied().unwrap_or_default();
        }
        Ok(self.show_position(&position))
    }

    async fn generation(&self, url: &str, when: When) -> Result<Generation, StoreError> {
        Ok(self.position(when).await?.generation_of(&page(url)))
    }

    pub(super) async fn position(&self, when: When) -> Result<Position, StoreError> {
        let now = self.store.position().await?;
        let (epoch, moved): (Epoch, &dyn Fn(u64) -> u64) = match when {
            When::Now => (now.epoch, &|number| number),
            When::Before(count) => (now.epoch, &move |number| {
                number.saturating_sub(count).max(self.since)
            }),
            When::After(count) => (now.epoch, &move |number| number + count),
            When::OtherEpoch(count) => (OTHER, &move |_| count),
            When::LastEpoch(count) => {
                let before = self.epochs.iter().rev().nth(1);
                let before = before.copied().unwrap_or(OTHER);
                (before, &move |number| number.saturating_sub(count))
            }
        };
        let numbers: Vec<u64> = now.numbers().iter().map(|&number| moved(number)).collect();
        Ok(Position::new(epoch, numbers))
    }
}

fn said<T: Debug>(answer: Result<T, StoreError>) -> Result<String, StoreError> {
    answer.map(|answer| format!("{answer:?}"))
}

fn back(claims: &[Held], Back(index): Back) -> Option<&Held> {
    claims.len().checked_sub(1 + index).map(|at| &claims[at])
}

fn leave(how: Left) -> Leave {
    match how {
        Left::Done => Leave::Done,
        Left::Later { delay, failed } => Leave::Later { delay, failed },
        Left::Dead => Leave::Dead,
        Left::Held => Leave::Held,
    }
}

fn leave_page(how: Left) -> LeavePage {
    match how {
        Left::Done | Left::Held => LeavePage::Done,
        Left::Later { delay, .. } => LeavePage::Later { delay },
        Left::Dead => LeavePage::Dead {
            error: "given up".to_owned(),
        },
    }
}

pub(super) fn page(url: &str) -> PageUrl {
    PageUrl::parse(url).expect("it is the URL of a page")
}

fn pages(urls: &[&str]) -> Vec<PageUrl> {
    urls.iter().map(|url| page(url)).collect()
}

fn variant(is_other: bool) -> VariantKey {
    if is_other {
        "A".repeat(22).parse().expect("it is a variant's key")
    } else {
        VariantKey::default()
    }
}

/// Their order is not that in which they come to be.
pub(super) fn id(Name(name): Name) -> RevalidationId {
    let scattered = name.wrapping_mul(103);
    let text = format!("{scattered:02x}000000-0000-4000-8000-000000000000");
    text.parse().expect("it is a UUID")
}

fn revalidation(name: Name, aim: &Aim, mode: isr_core::Mode) -> Receipt {
    let targets = match aim {
        Aim::Everything => Targets::everything(),
        aim => Targets::new(targets(aim)).expect("there is a target, and not too many"),
    };
    let options = RevalidateOptions {
        mode: mode.into(),
        ..RevalidateOptions::default()
    };
    Receipt::new(targets, options, Source::Library).with_id(id(name))
}

pub(super) fn targets(aim: &Aim) -> Vec<Target> {
    match aim {
        Aim::Tags(tags) => tags.iter().map(|tag| Target::Tag(make::tag(tag))).collect(),
        Aim::Url(url) => vec![Target::Url(page(url))],
        Aim::Prefix(url) => vec![Target::Prefix(page(url))],
        Aim::Host(host) => vec![Target::Host((*host).to_owned())],
        Aim::Everything => vec![Target::Everything],
    }
}

/// A bucket of three tokens, one of which comes back every ten seconds.
fn rate_limit(bucket: &str) -> RateLimit {
    RateLimit {
        bucket: bucket.to_owned(),
        unit: RateUnit::Calls,
        burst: 3.try_into().unwrap(),
        refill: 1.try_into().unwrap(),
        period: Duration::from_secs(10),
        per_account: true,
    }
}
