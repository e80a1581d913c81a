//! From the configuration's rules to the edge's.

use isr_core::{BoxError, CookieNames};
use isr_edge::{Pattern, Rule, TagTemplate};

use super::StartError;
use crate::config::RuleConfig;

pub(super) fn rule(config: &RuleConfig) -> Result<Rule, StartError> {
    build(config).map_err(|source| StartError::Rule {
        path: config.path.clone(),
        source,
    })
}

fn build(config: &RuleConfig) -> Result<Rule, BoxError> {
    let tags: Vec<TagTemplate> = config
        .tags
        .iter()
        .map(|tag| TagTemplate::parse(tag))
        .collect::<Result<_, _>>()?;
    let rule = Rule::new(Pattern::parse(&config.path)?)
        .with_tags(tags)?
        .ignoring_cookies(CookieNames::new(config.ignore_cookies.iter().cloned())?);
    Ok(match &config.policy {
        Some(policy) => rule.with_policy(policy.clone()),
        None => rule,
    })
}
