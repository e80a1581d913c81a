//! Checks one `[[rule]]`.

use http::HeaderName;
use isr_core::{BoxError, CookieNames, Policy};
use isr_edge::{Pattern, Rule, TagTemplate};

use super::Faults;
use crate::config::model::RuleConfig;
use crate::config::raw;

/// Checks the rule at an index, counted from 0.
pub(super) fn check(index: usize, raw: &raw::Rule, faults: &mut Faults) -> RuleConfig {
    let key = |field: &str| format!("rule.{index}.{field}");
    let pattern = Pattern::parse(&raw.path);
    if let Err(fault) = &pattern {
        faults.push(key("path"), format!("cannot be used: {fault}"));
    }
    if let Err(fault) = templates(&raw.tags, pattern.ok()) {
        faults.push(key("tags"), format!("cannot be used: {fault}"));
    }
    if let Err(fault) = CookieNames::new(raw.ignore_cookies.iter().cloned()) {
        faults.push(key("ignore_cookies"), format!("cannot be used: {fault}"));
    }
    let policy = policy(raw, |field, message| faults.push(key(field), message));
    if policy.is_none() && !raw.ignore_cookies.is_empty() {
        faults.push(
            key("ignore_cookies"),
            "means nothing in a rule without lifetimes: add `s_maxage`",
        );
    }
    RuleConfig {
        path: raw.path.clone(),
        tags: raw.tags.clone(),
        policy,
        ignore_cookies: raw.ignore_cookies.clone(),
    }
}

/// Whether every template can be read, and uses only what the pattern captures.
fn templates(tags: &[String], pattern: Option<Pattern>) -> Result<(), BoxError> {
    let templates = tags
        .iter()
        .map(|tag| TagTemplate::parse(tag))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(pattern) = pattern {
        Rule::new(pattern).with_tags(templates)?;
    }
    Ok(())
}

/// The rule's policy; `None` when it says nothing about lifetimes.
fn policy(raw: &raw::Rule, mut fault: impl FnMut(&str, String)) -> Option<Policy> {
    let lifetimes = [
        raw.s_maxage,
        raw.stale_while_revalidate,
        raw.stale_if_error,
        raw.browser_max_age,
    ];
    if lifetimes.iter().all(Option::is_none) && raw.vary.is_empty() {
        return None;
    }
    let vary = raw.vary.iter().filter_map(|field| {
        let name = HeaderName::try_from(field.as_str());
        name.map_err(|_| fault("vary", format!("names `{field}`, which is no header field")))
            .ok()
    });
    let mut builder = Policy::builder().vary(vary);
    if let Some(lifetime) = raw.s_maxage {
        builder = builder.s_maxage(lifetime.0);
    }
    if let Some(lifetime) = raw.stale_while_revalidate {
        builder = builder.stale_while_revalidate(lifetime.0);
    }
    if let Some(lifetime) = raw.stale_if_error {
        builder = builder.stale_if_error(lifetime.0);
    }
    if let Some(lifetime) = raw.browser_max_age {
        builder = builder.browser_max_age(lifetime.0);
    }
    match builder.build() {
        Ok(policy) => Some(policy),
        Err(error) => {
            fault(
                "s_maxage",
                format!("and its neighbours make no policy: {error}"),
            );
            None
        }
    }
}
