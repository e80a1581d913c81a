//! CloudFront's API, as far as it is used.

use std::error::Error;
use std::time::{Duration, SystemTime};

use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudfront::Client;
use aws_sdk_cloudfront::config::StalledStreamProtectionConfig;
use aws_sdk_cloudfront::config::http::HttpResponse;
use aws_sdk_cloudfront::config::retry::RetryConfig;
use aws_sdk_cloudfront::config::timeout::TimeoutConfig;
use aws_sdk_cloudfront::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudfront::types::{DistributionConfig, InvalidationBatch, Paths};
use aws_smithy_http_client::tls;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use isr_core::BoxError;
use tokio::sync::OnceCell;

use crate::options::{Credentials, Scope, Settings};

/// Where CloudFront's API signs for; there is one for the whole world.
const REGION: &str = "us-east-1";

/// The field in which AWS names a delay in milliseconds.
const DELAY: &str = "x-amz-retry-after";

/// The API of one distribution or tenant. Credentials are looked for when it is first called.
#[derive(Debug)]
pub(crate) struct Service {
    settings: Settings,
    client: OnceCell<Client>,
}

/// Why a call to the API came to nothing.
#[derive(Debug)]
pub(crate) enum Fault {
    /// CloudFront answered that it does not do it.
    Answered {
        status: u16,
        /// AWS's name for the fault; empty where the answer has none.
        code: String,
        message: String,
        retry_after: Option<Duration>,
    },
    /// There is nothing to sign with.
    NoCredentials(String),
    /// No answer came, or one that cannot be read.
    NotReached(BoxError),
}

/// What a tenant is.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) enabled: bool,
    pub(crate) distribution: Option<String>,
}

impl Service {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            client: OnceCell::new(),
        }
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Starts an invalidation, or finds the one that was started by the same reference with the same
    /// items; gives CloudFront's name for it.
    pub(crate) async fn create_invalidation(
        &self,
        reference: &str,
        items: &[String],
    ) -> Result<String, Fault> {
        let batch = batch(reference, items)?;
        let client = self.client().await;
        let invalidation = match &self.settings.scope {
            Scope::Distribution(id) => {
                let call = client.create_invalidation().distribution_id(id);
                let answer = call.invalidation_batch(batch).send().await;
                answer.map_err(fault)?.invalidation
            }
            Scope::Tenant(id) => {
                let call = client.create_invalidation_for_distribution_tenant().id(id);
                let answer = call.invalidation_batch(batch).send().await;
                answer.map_err(fault)?.invalidation
            }
        };
        whole(invalidation).map(|invalidation| invalidation.id)
    }

    /// How far an invalidation has come: `InProgress` or `Completed`.
    pub(crate) async fn status(&self, invalidation: &str) -> Result<String, Fault> {
        let client = self.client().await;
        let found = match &self.settings.scope {
            Scope::Distribution(id) => {
                let call = client.get_invalidation().distribution_id(id);
                let answer = call.id(invalidation).send().await;
                answer.map_err(fault)?.invalidation
            }
            Scope::Tenant(id) => {
                let call = client.get_invalidation_for_distribution_tenant();
                let answer = call.distribution_tenant_id(id).id(invalidation).send();
                answer.await.map_err(fault)?.invalidation
            }
        };
        whole(found).map(|invalidation| invalidation.status)
    }

    pub(crate) async fn distribution(&self, id: &str) -> Result<DistributionConfig, Fault> {
        let call = self.client().await.get_distribution_config().id(id);
        let answer = call.send().await.map_err(fault)?;
        whole(answer.distribution_config)
    }

    pub(crate) async fn tenant(&self, id: &str) -> Result<Tenant, Fault> {
        let call = self.client().await.get_distribution_tenant().identifier(id);
        let answer = call.send().await.map_err(fault)?;
        whole(answer.distribution_tenant).map(|tenant| Tenant {
            enabled: tenant.enabled.unwrap_or(true),
            distribution: tenant.distribution_id,
        })
    }

    async fn client(&self) -> &Client {
        let make = async || Client::new(&loader(&self.settings).load().await);
        self.client.get_or_init(make).await
    }
}

/// How calls are made: signed for the one region there is, within the timeouts, and once.
fn loader(settings: &Settings) -> ConfigLoader {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .operation_timeout(settings.timeout)
        .build();
    let app = AppName::new("edge-isr").expect("letters and a dash make a name");
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .app_name(app)
        .region(Region::from_static(REGION))
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    match &settings.credentials {
        Credentials::Chain { profile: None } => loader,
        Credentials::Chain {
            profile: Some(name),
        } => loader.profile_name(name),
        Credentials::Key {
            id,
            secret,
            session_token,
        } => loader.credentials_provider(aws_credential_types::Credentials::from_keys(
            id.expose(),
            secret.expose(),
            session_token
                .as_ref()
                .map(|token| token.expose().to_owned()),
        )),
    }
}

fn batch(reference: &str, items: &[String]) -> Result<InvalidationBatch, Fault> {
    let never = |error| Fault::NotReached(Box::new(error));
    let quantity = i32::try_from(items.len()).map_err(|error| Fault::NotReached(error.into()))?;
    let paths = Paths::builder()
        .quantity(quantity)
        .set_items(Some(items.to_vec()))
        .build()
        .map_err(never)?;
    InvalidationBatch::builder()
        .paths(paths)
        .caller_reference(reference)
        .build()
        .map_err(never)
}

/// What an answer has to hold.
fn whole<T>(part: Option<T>) -> Result<T, Fault> {
    part.ok_or_else(|| Fault::NotReached("the answer does not hold what was asked for".into()))
}

fn fault<E>(error: SdkError<E, HttpResponse>) -> Fault
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let Some(reason) = lacks_credentials(&error) {
        return Fault::NoCredentials(reason);
    }
    match error {
        SdkError::ServiceError(answer) if answer.raw().status().as_u16() >= 400 => {
            let meta = answer.err().meta();
            Fault::Answered {
                status: answer.raw().status().as_u16(),
                code: meta.code().unwrap_or_default().to_owned(),
                message: meta.message().unwrap_or_default().to_owned(),
                retry_after: delay(answer.raw()),
            }
        }
        other => Fault::NotReached(said(&other).into()),
    }
}

/// What the SDK says when it has found no credentials, or some that make no sense. That finding them took
/// too long, or that whoever gives them out was not reached, may pass.
fn lacks_credentials(error: &(dyn Error + 'static)) -> Option<String> {
    let mut level = Some(error);
    while let Some(error) = level {
        match error.downcast_ref::<CredentialsError>() {
            Some(CredentialsError::ProviderTimedOut(_) | CredentialsError::ProviderError(_)) => {
                return None;
            }
            Some(lacking) => return Some(said(lacking)),
            None => level = error.source(),
        }
    }
    None
}

/// What an error says at each of its levels. Its form for debugging would show whole answers.
fn said(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut level = error.source();
    while let Some(error) = level {
        text.push_str(": ");
        text.push_str(&error.to_string());
        level = error.source();
    }
    text
}

/// The delay that an answer names, in either of the fields there are for it.
fn delay(answer: &HttpResponse) -> Option<Duration> {
    let own = answer.headers().get(DELAY);
    if let Some(millis) = own.and_then(|value| value.parse().ok()) {
        return Some(Duration::from_millis(millis));
    }
    let standard: HeaderName = header::RETRY_AFTER;
    let value = HeaderValue::from_str(answer.headers().get(standard.as_str())?).ok()?;
    isr_core::retry_after(
        &HeaderMap::from_iter([(standard, value)]),
        SystemTime::now(),
    )
}

/// The name of an invalidation's state when it is complete. Amazon writes `Completed`; imitations differ
/// in case.
pub(crate) fn is_completed(status: &str) -> bool {
    status.eq_ignore_ascii_case("completed")
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudfront::error::ConnectorError;
    use aws_sdk_cloudfront::operation::create_invalidation::CreateInvalidationError;

    use super::*;

    fn of(error: CredentialsError) -> Fault {
        let error = ConnectorError::other(error.into(), None);
        fault(SdkError::<CreateInvalidationError, _>::dispatch_failure(
            error,
        ))
    }

    #[test]
    fn only_credentials_that_are_not_there_are_a_reason_to_give_up() {
        for lacking in [
            CredentialsError::not_loaded("the chain is at its end"),
            CredentialsError::invalid_configuration("no such profile"),
            CredentialsError::unhandled("error already taken"),
        ] {
            assert!(matches!(of(lacking), Fault::NoCredentials(_)));
        }
        let passing = of(CredentialsError::provider_error("metadata did not answer"));
        let Fault::NotReached(error) = passing else {
            panic!("it may pass: {passing:?}");
        };
        assert!(
            error.to_string().ends_with("metadata did not answer"),
            "{error}"
        );
    }
}
