//! Credentials that the SDK finds by itself, or does not.
//!
//! What it finds depends on the environment of the process, which a test must not change: a profile that
//! nobody has is the one thing that can be asked for anywhere.

use std::time::Duration;

use isr_core::ConnectorError;

use crate::support::{batch, connector, model, options, url};

#[tokio::test]
async fn without_credentials_nothing_is_sent_and_it_is_said_what_to_do() {
    let (model, _) = model(|_| {}).await;
    let mut options = options(&model.uri());
    options.access_key_id = None;
    options.secret_access_key = None;
    options.session_token = None;
    options.profile = Some("a-profile-that-nobody-has".to_owned());
    options.timeout = Duration::from_secs(10);
    let connector = connector(options);
    let error = connector.purge(&batch(vec![url("/a")])).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("set access_key_id"), "{error}");
    assert_eq!(model.calls(), []);
    let findings = connector.check().await.unwrap();
    assert!(!findings[0].good, "{findings:?}");
}
