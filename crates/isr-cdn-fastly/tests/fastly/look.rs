//! A look at the token and the service, and what is said when they are not as they should be.

use isr_core::Finding;
use isr_testkit::fakes::FastlyService;

use crate::support::{ID, model};

/// Makes a service other than it should be.
type Change = fn(&mut FastlyService);

async fn findings(change: impl FnOnce(&mut FastlyService)) -> Vec<Finding> {
    let (_model, connector) = model(change).await;
    connector.check().await.unwrap()
}

async fn bad(change: impl FnOnce(&mut FastlyService)) -> Vec<String> {
    let bad = findings(change)
        .await
        .into_iter()
        .filter(|finding| !finding.good);
    bad.map(|finding| finding.text).collect()
}

#[tokio::test]
async fn a_token_for_nothing_but_purging_is_enough() {
    let found = findings(|it| it.scope = "purge_select".into()).await;
    assert!(found.iter().all(|finding| finding.good), "{found:?}");
    assert!(found[0].text.contains("not everything"), "{found:?}");
    assert!(
        found[1].text.contains("cannot be seen with this token"),
        "{found:?}"
    );
    assert_eq!(bad(|it| it.scope = "global".into()).await, [""; 0]);
    assert_eq!(bad(|it| it.services = vec![ID.into()]).await, [""; 0]);
}

#[tokio::test]
async fn what_keeps_it_from_purging_is_found() {
    let rows: [(Change, &str); 5] = [
        (|it| it.token = "another".into(), "the token is not valid"),
        (
            |it| it.scope = "global:read".into(),
            "not the scope purge_select",
        ),
        (
            |it| it.services = vec!["other".into()],
            "is for other services",
        ),
        (|it| it.id = "other".into(), "there is no service"),
        (|it| it.active = false, "has no active version"),
    ];
    for (change, expected) in rows {
        let found = bad(change).await;
        assert!(
            matches!(found.as_slice(), [text] if text.contains(expected)),
            "{expected}: {found:?}"
        );
    }
}
