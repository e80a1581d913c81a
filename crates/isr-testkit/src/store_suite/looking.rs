//! What is known of one page beside its tags.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::time::Duration;

use isr_core::{Generation, LeavePage, Mode, PageJobState, Target, Verdict};

use super::StoreFixture;
use super::make::{
    LONG_LEASE, bind, bind_now, bind_one, generation, page, receipt_of, revalidate, tag, work,
    worker,
};

pub async fn the_history_of_a_page_goes_back_from_the_newest(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let url = page("/1");
    assert_eq!(store.history(&url, None, 5).await.unwrap(), []);
    let mut made = Vec::new();
    for text in ["a", "b", "c", "d", "e"] {
        made.push(revalidate(&*store, &[text]).await);
    }
    made.reverse();
    for limit in [1, 2, 5, 100] {
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let some = store.history(&url, before, limit).await.unwrap();
            assert!(some.len() <= limit);
            let Some(last) = some.last() else { break };
            before = Some(last.number);
            found.extend(some);
        }
        let expected = made.iter().map(|receipt| {
            let position = receipt.position.as_ref().unwrap();
            let number = position.generation_of(&url).number;
            (receipt.id, number, receipt.targets.as_slice().to_vec())
        });
        let found = found.into_iter().map(|it| (it.id, it.number, it.targets));
        assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

pub async fn a_page_stands_as_its_binds_are_judged(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let start = generation(&*store, "/a/1").await;
    let tags = [tag("t"), tag("u")];
    let aims = [
        (Target::Tag(tag("t")), Mode::Soft, Verdict::Stale),
        (Target::Tag(tag("other")), Mode::Hard, Verdict::Stale),
        (Target::Url(page("/a/1")), Mode::Hard, Verdict::Expired),
        (Target::Prefix(page("/a")), Mode::Soft, Verdict::Expired),
        (
            Target::Host("site.example".into()),
            Mode::Soft,
            Verdict::Expired,
        ),
    ];
    let url = page("/a/1");
    let standing = store.standing(&url, &tags).await.unwrap();
    assert_eq!((standing.current, standing.targets.len()), (start, 0));
    assert_eq!(standing.verdict(start), Verdict::Current);
    for (aim, mode, verdict) in aims {
        let receipt = receipt_of([aim.clone()], mode);
        store.invalidate(receipt).await.unwrap();
        let standing = store.standing(&url, &tags).await.unwrap();
        assert_eq!(standing.verdict(start), verdict, "after {aim}");
        assert_eq!(standing.verdict(standing.current), Verdict::Current);
        let is_listed = standing.targets.iter().any(|(target, _)| *target == aim);
        assert_eq!(is_listed, aim != Target::Tag(tag("other")));
        let judged = bind_one(&*store, bind("/a/1", &["t", "u"], start)).await;
        assert!(!judged.is_bound());
    }
    let future = Generation {
        number: start.number + 100,
        ..start
    };
    let standing = store.standing(&url, &tags).await.unwrap();
    assert_eq!(standing.verdict(future), Verdict::Expired);
    assert!(bind_now(&*store, "/a/1", &["t", "u"]).await.is_bound());
}

pub async fn what_is_to_be_done_for_a_page_is_known_at_every_stage(fixture: &impl StoreFixture) {
    const HOUR: Duration = Duration::from_hours(1);
    let store = fixture.store();
    let url = page("/1");
    assert_eq!(store.page_job(&url).await.unwrap(), None);
    let queued = work("/1", generation(&*store, "/1").await);
    let one = std::slice::from_ref(&queued);
    store.queue_pages(one, HOUR).await.unwrap();
    let job = store.page_job(&url).await.unwrap().unwrap();
    assert_eq!((&job.work, job.attempts, job.again), (&queued, 0, false));
    let PageJobState::Waiting { due_in } = job.state else {
        panic!("{job:?}");
    };
    assert!(due_in <= HOUR && due_in > HOUR / 2, "{due_in:?}");
    let other = work("/2", generation(&*store, "/2").await);
    store.queue_pages(&[other], Duration::ZERO).await.unwrap();
    let claimed = store.claim_pages(&worker("one"), 9, LONG_LEASE).await;
    let claimed = claimed.unwrap().remove(0);
    let again = work("/2", generation(&*store, "/2").await);
    store.queue_pages(&[again], Duration::ZERO).await.unwrap();
    let job = store.page_job(&page("/2")).await.unwrap().unwrap();
    assert!(matches!(job.state, PageJobState::Claimed { lease } if lease <= LONG_LEASE));
    assert_eq!((job.attempts, job.again), (1, true));
    let left = [(claimed.claim, LeavePage::Done)];
    store.leave_pages(&left).await.unwrap();
    let claimed = store.claim_pages(&worker("one"), 9, LONG_LEASE).await;
    let claimed = claimed.unwrap().remove(0);
    let error = "no CDN".to_owned();
    let left = [(
        claimed.claim,
        LeavePage::Dead {
            error: error.clone(),
        },
    )];
    store.leave_pages(&left).await.unwrap();
    let job = store.page_job(&page("/2")).await.unwrap().unwrap();
    assert_eq!(job.state, PageJobState::Dead { error });
}
