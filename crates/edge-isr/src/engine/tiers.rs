//! From the configuration's connectors to tiers.

use std::collections::BTreeSet;
use std::time::Duration;

use isr_core::{Finding, Tier, chain};

use super::StartError;
use crate::config::{Config, ConnectorConfig};
use crate::connectors::Registry;

/// How long a tier may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes every connector of a configuration once, to see that its options can be used. Nothing is
/// connected to.
///
/// # Errors
///
/// [`StartError::Connector`] for the first that cannot be used, and [`StartError::SameName`].
pub fn check_connectors(config: &Config, registry: &Registry) -> Result<(), StartError> {
    // Clients that speak TLS want to know by whose hand when they are made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    require_names_of_their_own(&connectors(config, registry)?)
}

/// The tiers of every connector in the configuration.
pub(super) fn connectors(config: &Config, registry: &Registry) -> Result<Vec<Tier>, StartError> {
    let mut tiers = Vec::new();
    for connector in &config.connectors {
        tiers.extend(tiers_of(connector, registry)?);
    }
    Ok(tiers)
}

fn tiers_of(
    config: &ConnectorConfig,
    registry: &Registry,
) -> Result<impl Iterator<Item = Tier>, StartError> {
    let connectors = registry
        .connect(&config.kind, &config.section)
        .map_err(|source| StartError::Connector {
            name: config.name().to_owned(),
            source,
        })?;
    let (hosts, escalation) = (config.hosts.clone(), config.escalation);
    let group = config.name().to_owned();
    Ok(connectors.into_iter().map(move |connector| Tier {
        connector,
        group: group.clone(),
        hosts: hosts.clone(),
        escalation,
    }))
}

/// Refuses tiers that could not be told apart on receipts and in metrics.
pub(super) fn require_names_of_their_own(tiers: &[Tier]) -> Result<(), StartError> {
    let mut names = BTreeSet::new();
    match tiers.iter().find(|tier| !names.insert(tier.name())) {
        None => Ok(()),
        Some(twice) => Err(StartError::SameName {
            name: twice.name().to_owned(),
        }),
    }
}

/// Looks whether a tier can be reached and lets itself be purged, without purging anything. A tier that
/// cannot even be looked at is a bad finding.
pub async fn examine(tier: &Tier) -> Vec<Finding> {
    match tokio::time::timeout(PATIENCE, tier.connector.check()).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![Finding::bad(chain(&error))],
        Err(_) => vec![Finding::bad(format!("{} does not answer", tier.name()))],
    }
}

/// Says in the log what is wrong with tiers when a process starts.
pub(super) async fn look_at(tiers: Vec<Tier>) {
    for tier in tiers.iter().filter(|tier| tier.capabilities().foreign) {
        for finding in examine(tier).await {
            if finding.good {
                tracing::debug!(tier = tier.name(), "{}", finding.text);
            } else {
                tracing::warn!(tier = tier.name(), "{}", finding.text);
            }
        }
    }
}
