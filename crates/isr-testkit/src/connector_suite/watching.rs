//! Cases about polls, looks, and what is shown to people.

use std::error::Error;

use isr_core::{Completion, ConnectorError, Mode};

use super::ConnectorFixture;
use super::make::{batch, capabilities, every_kind, one_of_each};
use crate::fakes::Fault;

/// How often a model is polled before it has had time enough; none takes any by the clock.
const POLLS: usize = 100;

/// Ways to fail whose errors might show something.
pub(super) const TELLING: [Fault; 7] = [
    Fault::Status(401),
    Fault::Status(403),
    Fault::Status(500),
    Fault::Throttled { seconds: 1 },
    Fault::Reset,
    Fault::Garbage,
    Fault::Truncated,
];

/// A purge that can be followed is complete at last, and one that cannot has nothing to follow it by.
pub async fn what_is_under_way_is_complete_in_the_end(fixture: &dyn ConnectorFixture) {
    let connector = fixture.connector();
    let observes = capabilities(fixture).observes_completion;
    for target in one_of_each(fixture) {
        let purged = connector.purge(&batch(&[target], Mode::Hard)).await;
        let reference = purged.expect("it is purged").reference;
        assert_eq!(reference.is_some(), observes);
        let Some(reference) = reference else {
            continue;
        };
        let mut polls = 0;
        while connector.poll(&reference).await.expect("it is polled") != Completion::Complete {
            polls += 1;
            assert!(polls < POLLS, "{reference:?} is never complete");
        }
    }
}

/// Where all is well, nothing else is said.
pub async fn a_healthy_service_has_good_findings_only(fixture: &dyn ConnectorFixture) {
    let findings = fixture
        .connector()
        .check()
        .await
        .expect("it can be looked at");
    assert_ne!(findings, []);
    for finding in findings {
        assert!(finding.good, "{}", finding.text);
        let sentence = !finding.text.is_empty() && !finding.text.ends_with('.');
        assert!(sentence, "{:?}", finding.text);
    }
}

/// To look at a service changes nothing there.
pub async fn a_look_purges_nothing(fixture: &dyn ConnectorFixture) {
    fixture
        .connector()
        .check()
        .await
        .expect("it can be looked at");
    assert_eq!(fixture.calls().await, []);
}

/// Credentials are in no error, no finding, no name, and nothing that is printed for debugging.
pub async fn no_secret_is_shown(fixture: &dyn ConnectorFixture) {
    let connector = fixture.connector();
    let mut shown = vec![
        format!("{connector:?}"),
        format!("{:?}", connector.capabilities()),
        connector.name().to_owned(),
    ];
    for target in every_kind(fixture) {
        let batch = batch(&[target], Mode::Hard);
        for fault in TELLING
            .into_iter()
            .filter(|&fault| fixture.is_failure(fault))
        {
            if connector.capabilities().takes(&batch.targets()[0]) {
                fixture.next(fault).await;
            }
            let error = connector.purge(&batch).await.expect_err("it fails");
            shown.extend(all_of(&error));
        }
    }
    for fault in TELLING.into_iter().map(Some).chain([None]) {
        if let Some(fault) = fault {
            fixture.next(fault).await;
        }
        match connector.check().await {
            Ok(findings) => shown.push(format!("{findings:?}")),
            Err(error) => shown.extend(all_of(&error)),
        }
    }
    for (secret, text) in fixture
        .secrets()
        .iter()
        .flat_map(|s| shown.iter().map(move |t| (s, t)))
    {
        assert!(!text.contains(secret.as_str()), "{text}");
    }
}

/// Everything that an error says: for debugging, and each level of it.
fn all_of(error: &ConnectorError) -> Vec<String> {
    let mut said = vec![format!("{error:?}")];
    let mut level: Option<&dyn Error> = Some(error);
    while let Some(error) = level {
        said.push(error.to_string());
        level = error.source();
    }
    said
}
