//! The connector against moto, which was written by others from Amazon's own description of the API.

use std::path::Path;

use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_cloudfront::types::{
    CustomOriginConfig, DefaultCacheBehavior, DistributionConfig, Origin, OriginProtocolPolicy,
    Origins, ViewerProtocolPolicy,
};
use aws_smithy_http_client::tls;
use isr_core::{Completion, ConnectorError, Reference, Target};
use isr_testkit::MotoServer;

use crate::support::{batch, connector, options, page, url};

async fn moto() -> MotoServer {
    MotoServer::start(Path::new(env!("CARGO_TARGET_TMPDIR"))).await
}

fn sdk(uri: &str) -> Client {
    let ring = tls::rustls_provider::CryptoMode::Ring;
    let http = aws_smithy_http_client::Builder::new().tls_provider(tls::Provider::Rustls(ring));
    let config = aws_sdk_cloudfront::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(uri)
        .credentials_provider(Credentials::new("AKIDTEST", "secret", None, None, "test"))
        .http_client(http.build_https())
        .build();
    Client::from_conf(config)
}

/// Makes a distribution and gives its ID.
async fn distribution(sdk: &Client) -> String {
    let from = CustomOriginConfig::builder()
        .http_port(80)
        .https_port(443)
        .origin_protocol_policy(OriginProtocolPolicy::HttpsOnly);
    let origin = Origin::builder()
        .id("origin")
        .domain_name("origin.example.com")
        .custom_origin_config(from.build().unwrap());
    let origins = Origins::builder()
        .quantity(1)
        .items(origin.build().unwrap());
    let behaviour = DefaultCacheBehavior::builder()
        .target_origin_id("origin")
        .viewer_protocol_policy(ViewerProtocolPolicy::RedirectToHttps);
    let config = DistributionConfig::builder()
        .caller_reference("made-by-a-test")
        .comment("")
        .enabled(true)
        .origins(origins.build().unwrap())
        .default_cache_behavior(behaviour.build().unwrap());
    let made = sdk
        .create_distribution()
        .distribution_config(config.build().unwrap())
        .send();
    made.await.unwrap().distribution.unwrap().id
}

#[tokio::test]
async fn an_invalidation_is_made_read_back_and_complete() {
    let moto = moto().await;
    let sdk = sdk(&moto.uri());
    let id = distribution(&sdk).await;
    let mut options = options(&moto.uri());
    options.distribution = Some(id.clone());
    options.tag_header = Some("x-tags".into());
    options.timeout = std::time::Duration::from_secs(10);
    let connector = connector(options);

    let targets = vec![
        url("/caf%C3%A9?a=1&b=<2>"),
        Target::Tag("post:1".parse().unwrap()),
        Target::Prefix(page("/blog")),
    ];
    let batch = batch(&targets);
    let receipt = connector.purge(&batch).await.unwrap();
    assert_eq!(receipt.accepted, 3);
    let reference = receipt.reference.unwrap();

    let read = sdk.get_invalidation().distribution_id(&id).id(&reference.0);
    let invalidation = read.send().await.unwrap().invalidation.unwrap();
    let read = invalidation.invalidation_batch.unwrap();
    assert_eq!(read.caller_reference, batch.id().to_string());
    let paths = read.paths.unwrap();
    assert_eq!(
        paths.items(),
        [
            "/caf%C3%A9?a=1&b=%3C2%3E",
            "#post:1",
            "/blog?*",
            "/blog/*",
            "/blog"
        ]
    );
    assert_eq!(paths.quantity, 5);
    assert_eq!(
        connector.poll(&reference).await.unwrap(),
        Completion::Complete
    );

    let findings = connector.check().await.unwrap();
    assert!(
        findings[0].good && findings[0].text.contains("is enabled"),
        "{findings:?}"
    );
    let follow = findings.last().unwrap();
    assert!(
        follow.good && follow.text.contains("followed"),
        "{findings:?}"
    );
}

#[tokio::test]
async fn what_moto_does_not_know_is_refused() {
    let moto = moto().await;
    let mut options = options(&moto.uri());
    options.timeout = std::time::Duration::from_secs(10);
    let connector = connector(options);
    let error = connector.purge(&batch(&[url("/a")])).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("check `distribution`"),
        "{error}"
    );
    let error = connector.poll(&Reference("I1".into())).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Refused { .. }), "{error:?}");
}
