//! A look at a distribution.

use aws_sdk_cloudfront::types::{CacheTagConfig, DistributionConfig};
use http::HeaderName;
use isr_core::Finding;

use crate::answer::rights;
use crate::options::{Scope, Settings};
use crate::service::{Fault, Service};

/// The name of an invalidation that nobody has made.
const NO_INVALIDATION: &str = "I00000000000000000000000000";

/// Adds what is found; a fault ends the look.
pub(crate) async fn look(service: &Service, findings: &mut Vec<Finding>) -> Result<(), Fault> {
    let settings = service.settings();
    let distribution = match &settings.scope {
        Scope::Distribution(id) => Some(id.clone()),
        Scope::Tenant(id) => look_at_tenant(service, id, findings).await?,
    };
    if let Some(id) = distribution {
        look_at_distribution(service, &id, findings).await?;
    }
    findings.push(may_follow(service, settings).await?);
    Ok(())
}

/// Gives the ID of the distribution that the tenant belongs to.
async fn look_at_tenant(
    service: &Service,
    id: &str,
    findings: &mut Vec<Finding>,
) -> Result<Option<String>, Fault> {
    match service.tenant(id).await {
        Ok(tenant) => {
            findings.push(is_enabled(
                &format!("distribution tenant {id}"),
                tenant.enabled,
            ));
            Ok(tenant.distribution)
        }
        Err(fault) if is_denied(&fault) => {
            findings.push(not_allowed("cloudfront:GetDistributionTenant"));
            Ok(None)
        }
        Err(fault) => Err(fault),
    }
}

async fn look_at_distribution(
    service: &Service,
    id: &str,
    findings: &mut Vec<Finding>,
) -> Result<(), Fault> {
    match service.distribution(id).await {
        Ok(found) => {
            findings.push(is_enabled(&format!("distribution {id}"), found.enabled));
            findings.push(looks_for_tags(id, service.settings(), &found));
            Ok(())
        }
        Err(fault) if is_denied(&fault) => {
            findings.push(not_allowed("cloudfront:GetDistributionConfig"));
            Ok(())
        }
        Err(fault) => Err(fault),
    }
}

fn is_enabled(what: &str, enabled: bool) -> Finding {
    if enabled {
        Finding::good(format!("{what} is enabled"))
    } else {
        Finding::bad(format!(
            "{what} is disabled: enable it, or remove this connector"
        ))
    }
}

/// Whether the distribution looks for tags where responses will name them.
fn looks_for_tags(id: &str, settings: &Settings, found: &DistributionConfig) -> Finding {
    let looks_at = found.cache_tag_config().map(CacheTagConfig::header_name);
    let wanted = settings.tag_header.as_ref().map(HeaderName::as_str);
    match (wanted, looks_at) {
        (Some(wanted), Some(there)) if there.eq_ignore_ascii_case(wanted) => {
            Finding::good(format!("distribution {id} looks for tags in {there}"))
        }
        (Some(wanted), Some(there)) => Finding::bad(format!(
            "distribution {id} looks for tags in {there}: set tag_header to that, or its CacheTagConfig \
             to {wanted}"
        )),
        (Some(wanted), None) => Finding::bad(format!(
            "distribution {id} does not look for tags: set HeaderName of its CacheTagConfig to {wanted}, \
             or remove tag_header, so that pages are purged by their paths"
        )),
        (None, Some(there)) => Finding::good(format!(
            "distribution {id} looks for tags in {there}, which is not used: set tag_header to that to \
             purge by tag"
        )),
        (None, None) => Finding::good(format!(
            "distribution {id} does not look for tags, and pages are purged by their paths"
        )),
    }
}

/// Whether invalidations can be followed, found out by asking for one that nobody has made. Whether they
/// can be created cannot be found out without creating one.
async fn may_follow(service: &Service, settings: &Settings) -> Result<Finding, Fault> {
    match service.status(NO_INVALIDATION).await {
        Err(fault) if is_denied(&fault) => Ok(not_allowed(rights(&settings.scope)[1])),
        Ok(_) => Ok(followed()),
        Err(Fault::Answered { code, .. }) if is_unknown_invalidation(&settings.scope, &code) => {
            Ok(followed())
        }
        Err(fault) => Err(fault),
    }
}

fn followed() -> Finding {
    Finding::good("invalidations can be followed until they are complete")
}

/// A tenant's unknown invalidation may come as an unknown entity; that the tenant itself is known has
/// been seen before.
fn is_unknown_invalidation(scope: &Scope, code: &str) -> bool {
    code == "NoSuchInvalidation" || (matches!(scope, Scope::Tenant(_)) && code == "EntityNotFound")
}

fn is_denied(fault: &Fault) -> bool {
    matches!(fault, Fault::Answered { code, .. } if code == "AccessDenied")
}

fn not_allowed(action: &str) -> Finding {
    Finding::bad(format!(
        "the credentials do not allow {action}: add it to their policy"
    ))
}
