//! Receipts and dead letters, listed piece by piece.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{
    Cursor, DeadLetter, JobKey, Leave, LeavePage, Phase, Receipt, ReceiptFilter, RevalidationId,
    Source, Store, Target,
};

use super::StoreFixture;
use super::make::{LONG_LEASE, generation, page, receipt_for, revalidate, tag, work, worker};

/// More than any case takes.
const ROUNDS: usize = 1_000;

async fn listed(store: &dyn Store, wanted: &ReceiptFilter, limit: usize) -> Vec<RevalidationId> {
    let (mut found, mut cursor) = (Vec::new(), None::<Cursor>);
    for _ in 0..ROUNDS {
        let chunk = store.receipts(wanted, cursor.as_ref(), limit).await;
        let chunk = chunk.unwrap();
        assert!(chunk.receipts.len() <= limit);
        found.extend(chunk.receipts.iter().map(|receipt| receipt.id));
        cursor = chunk.next;
        if cursor.is_none() {
            return found;
        }
    }
    panic!("the walk does not end");
}

/// Gives up on revalidations of `from..to`, and on as many pages.
async fn give_up(store: &dyn Store, from: u32, to: u32) {
    let one = worker("one");
    for n in from..to {
        revalidate(store, &[&format!("t:{n}")]).await;
        let path = format!("/{n}");
        let now = generation(store, &path).await;
        let queued = store.queue_pages(&[work(&path, now)], Duration::ZERO).await;
        queued.unwrap();
    }
    let jobs = store.claim_revalidations(&one, 100, LONG_LEASE);
    for mut job in jobs.await.unwrap() {
        (job.work.phase, job.work.error) = (Phase::Failed, Some("no CDN".to_owned()));
        let left = store.leave(&job.claim, &job.work, &Leave::Dead).await;
        left.unwrap();
    }
    let jobs = store.claim_pages(&one, 100, LONG_LEASE);
    for job in jobs.await.unwrap() {
        let error = "no CDN".to_owned();
        let left = [(job.claim, LeavePage::Dead { error })];
        store.leave_pages(&left).await.unwrap();
    }
}

async fn all_dead(store: &dyn Store, limit: usize) -> Vec<DeadLetter> {
    let (mut found, mut cursor) = (Vec::new(), None::<Cursor>);
    for _ in 0..ROUNDS {
        let chunk = store.dead_letters(cursor.as_ref(), limit).await.unwrap();
        found.extend(chunk.letters);
        cursor = chunk.next;
        if cursor.is_none() {
            return found;
        }
    }
    panic!("the walk does not end");
}

pub async fn receipts_come_newest_first(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let mut ids = Vec::new();
    for text in ["a", "b", "c"] {
        ids.push(revalidate(&*store, &[text]).await.id);
    }
    ids.reverse();
    let found = store
        .receipts(&ReceiptFilter::default(), None, 2)
        .await
        .unwrap()
        .receipts;
    assert_eq!(
        found.iter().map(|receipt| receipt.id).collect::<Vec<_>>(),
        ids[..2]
    );
    assert_eq!(
        store
            .receipt(&isr_core::RevalidationId::new())
            .await
            .unwrap(),
        None
    );
}

pub async fn receipts_come_newest_first_whatever_their_names(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let ids = ["67", "e0", "03"].map(|head| {
        let text = format!("{head}000000-0000-4000-8000-000000000000");
        text.parse().unwrap()
    });
    for id in ids {
        let receipt = receipt_for(&["a"]).with_id(id);
        store.invalidate(receipt).await.unwrap();
        fixture.pass(Duration::from_millis(2)).await;
    }
    let found = store
        .receipts(&ReceiptFilter::default(), None, 2)
        .await
        .unwrap()
        .receipts;
    let found: Vec<_> = found.iter().map(|receipt| receipt.id).collect();
    assert_eq!(found, [ids[2], ids[1]]);
}

pub async fn receipts_come_in_pieces_each_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(revalidate(&*store, &[&format!("t:{n}")]).await.id);
        fixture.pass(Duration::from_millis(2)).await;
    }
    ids.reverse();
    for limit in [1, 2, 3, 7, 100] {
        let all = ReceiptFilter::default();
        assert_eq!(listed(&*store, &all, limit).await, ids, "{limit} at a time");
    }
    let first = store.receipts(&ReceiptFilter::default(), None, 2).await;
    let next = first.unwrap().next;
    revalidate(&*store, &["new"]).await;
    let second = store
        .receipts(&ReceiptFilter::default(), next.as_ref(), 2)
        .await;
    let second: Vec<_> = second.unwrap().receipts.iter().map(|it| it.id).collect();
    assert_eq!(
        second,
        ids[2..4],
        "what is accepted meanwhile moves nothing"
    );
}

pub async fn receipts_are_found_by_what_is_said_of_them(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let mut made = Vec::<Receipt>::new();
    for (tags, source) in [
        (&["a", "b"][..], Source::Api),
        (&["b"], Source::Library),
        (&["c"], Source::Api),
    ] {
        let mut receipt = receipt_for(tags);
        receipt.source = source;
        made.push(store.invalidate(receipt).await.unwrap());
        fixture.pass(Duration::from_millis(5)).await;
    }
    let mut done = store
        .claim_revalidations(&worker("one"), 1, LONG_LEASE)
        .await
        .unwrap()
        .remove(0);
    (done.work.phase, done.work.settled) = (Phase::Done, true);
    let left = store.leave(&done.claim, &done.work, &Leave::Done).await;
    left.unwrap();
    let all = ReceiptFilter::default;
    let cases = [
        (all(), vec![2, 1, 0]),
        (
            ReceiptFilter {
                phases: vec![Phase::Done, Phase::Failed],
                ..all()
            },
            vec![0],
        ),
        (
            ReceiptFilter {
                settled: Some(false),
                ..all()
            },
            vec![2, 1],
        ),
        (
            ReceiptFilter {
                target: Some(Target::Tag(tag("b"))),
                ..all()
            },
            vec![1, 0],
        ),
        (
            ReceiptFilter {
                target: Some(Target::Url(page("/b"))),
                ..all()
            },
            vec![],
        ),
        (
            ReceiptFilter {
                source: Some(Source::Api),
                ..all()
            },
            vec![2, 0],
        ),
        (
            ReceiptFilter {
                since: made[1].made,
                ..all()
            },
            vec![2, 1],
        ),
        (
            ReceiptFilter {
                until: made[1].made,
                ..all()
            },
            vec![1, 0],
        ),
        (
            ReceiptFilter {
                since: made[1].made,
                until: made[1].made,
                source: Some(Source::Library),
                ..all()
            },
            vec![1],
        ),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|&at: &usize| made[at].id).collect();
        for limit in [1, 10] {
            assert_eq!(
                listed(&*store, &filter, limit).await,
                expected,
                "{filter:?}"
            );
        }
    }
}

pub async fn dead_letters_come_in_pieces_each_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    give_up(&*store, 0, 6).await;
    for limit in [1, 4, 5, 12, 100] {
        let found = all_dead(&*store, limit).await;
        let jobs: BTreeSet<String> = found.iter().map(|it| format!("{:?}", it.job)).collect();
        assert_eq!((found.len(), jobs.len()), (12, 12), "{limit} at a time");
        let is_page = |letter: &DeadLetter| matches!(letter.job, JobKey::Page(_));
        assert!(found.is_sorted_by_key(is_page), "revalidations come first");
    }
}

pub async fn dead_letters_are_listed_whole_while_they_are_replayed(fixture: &impl StoreFixture) {
    let store = fixture.store();
    give_up(&*store, 0, 6).await;
    let (mut seen, mut cursor) = (0, None::<Cursor>);
    for _ in 0..ROUNDS {
        let chunk = store.dead_letters(cursor.as_ref(), 2).await.unwrap();
        let jobs: Vec<JobKey> = chunk.letters.into_iter().map(|it| it.job).collect();
        seen += jobs.len();
        assert_eq!(store.replay(&jobs).await.unwrap(), jobs.len() as u64);
        cursor = chunk.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen, store.depth().await.unwrap().dead), (12, 0));
}
