//! Rules: what the site's owner says about pages whose origin says nothing.

use http::HeaderName;
use isr_core::{CookieNames, PageUrl, Policy, ShareRules, TagSet, TooManyTags};

use crate::pattern::Pattern;
use crate::template::TagTemplate;

/// What the site's owner says about the pages whose path matches a pattern.
#[derive(Clone, Debug)]
pub struct Rule {
    pattern: Pattern,
    tags: Vec<TagTemplate>,
    policy: Option<Policy>,
    ignored_cookies: CookieNames,
}

/// A tag template that uses a capture its rule's pattern does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a tag template uses capture {{{used}}}, and the pattern has {captures}: name one it has")]
pub struct MissingCapture {
    /// The capture that is used.
    pub used: usize,
    /// How many captures there are.
    pub captures: usize,
}

impl Rule {
    /// A rule that says nothing yet about the pages whose path matches `pattern`.
    #[must_use]
    pub fn new(pattern: Pattern) -> Self {
        Self {
            pattern,
            tags: Vec::new(),
            policy: None,
            ignored_cookies: CookieNames::default(),
        }
    }

    /// Binds the pages to these tags too.
    ///
    /// # Errors
    ///
    /// A template that uses a capture which the pattern does not have is refused.
    pub fn with_tags(
        mut self,
        tags: impl IntoIterator<Item = TagTemplate>,
    ) -> Result<Self, MissingCapture> {
        let captures = self.pattern.wildcards();
        for template in tags {
            let used = template.captures_used();
            if used > captures {
                return Err(MissingCapture { used, captures });
            }
            self.tags.push(template);
        }
        Ok(self)
    }

    /// Opts the pages in: this is their policy when the origin gives them no `Cache-Control`.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Answers requests from the cache although they carry these cookies, which say nothing about the
    /// page and are withheld from the origin. A request with any other cookie bypasses the cache.
    /// Default: none.
    #[must_use]
    pub fn ignoring_cookies(mut self, cookies: CookieNames) -> Self {
        self.ignored_cookies = cookies;
        self
    }
}

/// What all rules together say about one page.
#[derive(Debug)]
pub(crate) struct Route<'r> {
    /// The tags of every rule that matches, or why there are too many.
    pub(crate) tags: Result<TagSet, TooManyTags>,
    /// The policy of the first rule that matches and has one.
    pub(crate) policy: Option<&'r Policy>,
    /// What the rule that gave the policy says of sharing, since only that rule opts the page in.
    pub(crate) share: &'r ShareRules,
}

/// The rules in the order they were given. The tags of all that match add up; the first policy wins,
/// and brings the cookies that its rule ignores.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    rules: Vec<(Rule, ShareRules)>,
    /// For pages without a policy.
    unruled: ShareRules,
}

impl Rules {
    /// `targets` are the targeted fields that govern this cache (RFC 9213 §2.2).
    pub(crate) fn new(rules: Vec<Rule>, targets: &[HeaderName]) -> Self {
        let share = |ignored_cookies, has_policy| ShareRules {
            ignored_cookies,
            targets: targets.to_vec(),
            has_policy,
        };
        let with_share = |rule: Rule| {
            let share = share(rule.ignored_cookies.clone(), rule.policy.is_some());
            (rule, share)
        };
        Self {
            rules: rules.into_iter().map(with_share).collect(),
            unruled: share(CookieNames::default(), false),
        }
    }

    pub(crate) fn route(&self, page: &PageUrl) -> Route<'_> {
        let mut route = Route {
            tags: Ok(TagSet::new()),
            policy: None,
            share: &self.unruled,
        };
        for (rule, share) in &self.rules {
            let Some(captures) = rule.pattern.captures(page.path()) else {
                continue;
            };
            if route.policy.is_none() && rule.policy.is_some() {
                route.policy = rule.policy.as_ref();
                route.share = share;
            }
            route.tags = route.tags.and_then(|mut tags| {
                tags.try_extend(rule.tags.iter().map(|template| template.expand(&captures)))?;
                Ok(tags)
            });
        }
        route
    }

    /// What holds for a page that no rule opts in.
    pub(crate) const fn unruled(&self) -> &ShareRules {
        &self.unruled
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use isr_core::Tag;

    use super::*;

    fn rule(pattern: &str, tags: &[&str]) -> Rule {
        let tags = tags.iter().map(|tag| TagTemplate::parse(tag).unwrap());
        Rule::new(Pattern::parse(pattern).unwrap())
            .with_tags(tags)
            .unwrap()
    }

    fn policy(seconds: u64) -> Policy {
        Policy::builder()
            .s_maxage(Duration::from_secs(seconds))
            .build()
            .unwrap()
    }

    #[test]
    fn tags_add_up_and_the_first_policy_wins() {
        let all = CookieNames::new(["*"]).unwrap();
        let rules = Rules::new(
            vec![
                rule("/**", &["site"]),
                rule("/blog/*", &["post:{1}"])
                    .with_policy(policy(10))
                    .ignoring_cookies(all.clone()),
                rule("/blog/**", &["posts"]).with_policy(policy(20)),
                rule("/other", &["other"]).with_policy(policy(30)),
            ],
            &[],
        );
        let route = rules.route(&PageUrl::parse("https://a.example/blog/7?x=1").unwrap());
        let tags = route.tags.unwrap();
        assert_eq!(
            tags.iter().map(Tag::as_str).collect::<Vec<_>>(),
            ["post:7", "posts", "site"]
        );
        assert_eq!(route.policy, Some(&policy(10)));
        assert_eq!(route.share.ignored_cookies, all);
        let none = rules.route(&PageUrl::parse("https://a.example/about").unwrap());
        assert_eq!(none.policy, None);
    }

    #[test]
    fn a_template_cannot_use_a_capture_that_is_not_there() {
        let rule = Rule::new(Pattern::parse("/blog/*").unwrap());
        let refused = rule.with_tags([TagTemplate::parse("post:{2}").unwrap()]);
        assert_eq!(
            refused.unwrap_err(),
            MissingCapture {
                used: 2,
                captures: 1
            }
        );
    }
}
