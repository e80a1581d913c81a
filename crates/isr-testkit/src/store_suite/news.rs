//! Revalidating, and hearing of it.

#![expect(missing_docs, reason = "the name of a case says what it holds")]

use std::time::Duration;

use isr_core::{
    Beginning, Epoch, Mode, Partition, Position, SenderId, SenderReport, SenderRole, Target,
};

use super::StoreFixture;
use super::make::{LONG_LEASE, receipt_for, receipt_of, revalidate, tag};

pub async fn each_revalidation_moves_the_position(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let before = store.position().await.unwrap();
    let first = revalidate(&*store, &["a"]).await.position.unwrap();
    let second = revalidate(&*store, &["b"]).await.position.unwrap();
    assert!(first.covers(&before) && !before.covers(&first));
    assert!(second.covers(&first) && !first.covers(&second));
    assert!(store.position().await.unwrap().covers(&second));
}

pub async fn a_revalidation_asked_for_twice_happens_once(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let receipt = receipt_for(&["a"]);
    let first = store.invalidate(receipt.clone()).await.unwrap();
    let again = store.invalidate(receipt).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(Some(store.position().await.unwrap()), first.position);
    assert_eq!(store.depth().await.unwrap().revalidations, 1);
}

pub async fn news_name_every_revalidation_in_order(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let start = store.position().await.unwrap();
    let soft = revalidate(&*store, &["a", "b"]).await;
    let hard = store
        .invalidate(receipt_of([Target::Tag(tag("c"))], Mode::Hard))
        .await
        .unwrap();
    let news = store.news_since(&start, 100).await.unwrap();
    assert!(!news.gap && !news.more);
    assert_eq!(news.position, store.position().await.unwrap());
    for partition in 0..start.partitions() {
        let mine: Vec<_> = news
            .heard
            .iter()
            .filter(|heard| heard.partition == Partition(partition))
            .collect();
        let ids: Vec<_> = mine.iter().map(|heard| heard.id).collect();
        assert_eq!(ids, [soft.id, hard.id]);
        assert_eq!(mine[0].targets, soft.targets.as_slice());
        assert_eq!((mine[0].mode, mine[1].mode), (Mode::Soft, Mode::Hard));
        let first = start.number(Partition(partition)) + 1;
        assert_eq!((mine[0].number, mine[1].number), (first, first + 1));
    }
}

pub async fn news_come_in_pieces(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let mut at = store.position().await.unwrap();
    let partitions = usize::from(at.partitions());
    for n in 0..10 {
        revalidate(&*store, &[&format!("t:{n}")]).await;
    }
    let mut heard = Vec::new();
    for round in 0.. {
        let news = store.news_since(&at, 3).await.unwrap();
        assert!(!news.gap && news.position.covers(&at));
        heard.extend(news.heard);
        at = news.position;
        if !news.more {
            break;
        }
        assert!(round < 100, "the news do not end");
    }
    assert_eq!(heard.len(), 10 * partitions);
    assert_eq!(at, store.position().await.unwrap());
}

pub async fn no_news_are_no_gap(fixture: &impl StoreFixture) {
    let store = fixture.store();
    for _ in 0..2 {
        let here = store.position().await.unwrap();
        let news = store.news_since(&here, 10).await.unwrap();
        assert_eq!((news.heard.len(), news.gap, news.more), (0, false, false));
        assert_eq!(news.position, here);
        revalidate(&*store, &["a"]).await;
    }
}

pub async fn news_for_another_epoch_are_a_gap(fixture: &impl StoreFixture) {
    let store = fixture.store();
    revalidate(&*store, &["a"]).await;
    let here = store.position().await.unwrap();
    let foreign = Position::new(
        Epoch::new(here.epoch.number() ^ 1),
        here.numbers().iter().copied(),
    );
    let ahead = Position::new(here.epoch, here.numbers().iter().map(|number| number + 1));
    for unknown in [foreign, ahead] {
        let news = store.news_since(&unknown, 10).await.unwrap();
        assert!(news.gap);
        assert_eq!(news.position, here);
    }
}

pub async fn a_beginning_is_told_until_it_has_been_dealt_with(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let epoch = store.position().await.unwrap().epoch;
    let expected = Some(Beginning { epoch, lost: false });
    assert_eq!(store.beginning().await.unwrap(), expected);
    store
        .dealt_with(Epoch::new(epoch.number() ^ 1))
        .await
        .unwrap();
    assert_eq!(store.beginning().await.unwrap(), expected);
    for _ in 0..2 {
        store.dealt_with(epoch).await.unwrap();
        assert_eq!(store.beginning().await.unwrap(), None);
    }
}

fn report(name: &str, position: &Position, lease: Duration) -> SenderReport {
    SenderReport {
        id: SenderId(name.to_owned()),
        role: SenderRole::Edge,
        address: Some("http://127.0.0.1:1".to_owned()),
        known: position.clone(),
        clean: position.clone(),
        lease,
    }
}

pub async fn senders_are_alive_until_their_lease_ends(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let start = store.position().await.unwrap();
    store
        .report(&report("long", &start, LONG_LEASE))
        .await
        .unwrap();
    store
        .report(&report("short", &start, Duration::from_millis(50)))
        .await
        .unwrap();
    revalidate(&*store, &["a"]).await;
    let position = store.position().await.unwrap();
    store
        .report(&report("long", &position, LONG_LEASE))
        .await
        .unwrap();
    fixture.pass(Duration::from_millis(60)).await;
    let senders = store.senders().await.unwrap();
    let seen: Vec<_> = senders
        .iter()
        .map(|state| (state.report.clone(), state.alive))
        .collect();
    let expected = [
        (report("long", &position, LONG_LEASE), true),
        (report("short", &start, Duration::from_millis(50)), false),
    ];
    assert_eq!(seen.len(), expected.len());
    assert!(
        expected.iter().all(|state| seen.contains(state)),
        "{seen:?}"
    );
}

pub async fn a_dismissed_sender_is_forgotten(fixture: &impl StoreFixture) {
    let store = fixture.store();
    let position = store.position().await.unwrap();
    store
        .report(&report("one", &position, LONG_LEASE))
        .await
        .unwrap();
    store.dismiss(&SenderId("one".into())).await.unwrap();
    store.dismiss(&SenderId("unknown".into())).await.unwrap();
    assert_eq!(store.senders().await.unwrap(), []);
}
