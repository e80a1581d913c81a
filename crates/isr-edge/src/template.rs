//! Tag templates: the tags that a rule gives to the pages it matches.

use std::str::FromStr;

use isr_core::{InvalidTag, Tag, tag};
use percent_encoding::percent_decode_str;

use crate::pattern::Captures;

/// A tag, or a way to make one out of what a [`Pattern`](crate::Pattern) captured: `post:{1}`.
///
/// Captures are percent-decoded and then put into the tag as [`isr_core::tag`] would put them, so a
/// template makes the very tags that an application makes from its own data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagTemplate(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Constant(Tag),
    Made { namespace: Vec<Part>, id: Vec<Part> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A capture, counted from 0.
    Capture(usize),
}

/// Why a text is not a [`TagTemplate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTemplate {
    /// Without captures it is a tag, and not a valid one.
    #[error("tag template `{template}` is no valid tag")]
    Tag {
        /// The template.
        template: String,
        /// What is wrong with it.
        #[source]
        source: InvalidTag,
    },
    /// A brace that belongs to no `{1}` to `{16}`.
    #[error(
        "tag template `{template}` has a stray brace: captures are written {{1}}, {{2}} and so on"
    )]
    Brace {
        /// The template.
        template: String,
    },
    /// Captures, and no colon to keep them apart from other kinds of tags.
    #[error("tag template `{template}` has captures but no namespace: write it as name:{{1}}")]
    NoNamespace {
        /// The template.
        template: String,
    },
}

impl TagTemplate {
    /// Compiles a template.
    ///
    /// # Errors
    ///
    /// See [`InvalidTemplate`].
    pub fn parse(template: &str) -> Result<Self, InvalidTemplate> {
        let name = || template.to_owned();
        if !template.contains(['{', '}']) {
            let tag = Tag::new(template).map_err(|source| InvalidTemplate::Tag {
                template: name(),
                source,
            })?;
            return Ok(Self(Kind::Constant(tag)));
        }
        let (namespace, id) = template
            .split_once(':')
            .ok_or_else(|| InvalidTemplate::NoNamespace { template: name() })?;
        let parts = |text| parts(text).ok_or_else(|| InvalidTemplate::Brace { template: name() });
        Ok(Self(Kind::Made {
            namespace: parts(namespace)?,
            id: parts(id)?,
        }))
    }

    /// The highest capture it uses, counted from 1; 0 when it uses none.
    #[must_use]
    pub fn captures_used(&self) -> usize {
        let Kind::Made { namespace, id } = &self.0 else {
            return 0;
        };
        let used = |part: &Part| match part {
            Part::Text(_) => 0,
            Part::Capture(index) => index + 1,
        };
        namespace.iter().chain(id).map(used).max().unwrap_or(0)
    }

    /// The tag for these captures.
    pub(crate) fn expand(&self, captures: &Captures<'_>) -> Tag {
        match &self.0 {
            Kind::Constant(tag) => tag.clone(),
            Kind::Made { namespace, id } => tag(&join(namespace, captures), join(id, captures)),
        }
    }
}

impl FromStr for TagTemplate {
    type Err = InvalidTemplate;

    fn from_str(template: &str) -> Result<Self, Self::Err> {
        Self::parse(template)
    }
}

fn parts(mut text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    while !text.is_empty() {
        let brace = text.find(['{', '}']).unwrap_or(text.len());
        if brace > 0 {
            parts.push(Part::Text(text[..brace].to_owned()));
            text = &text[brace..];
            continue;
        }
        let (number, rest) = text.strip_prefix('{')?.split_once('}')?;
        let number: usize = number.parse().ok()?;
        parts.push(Part::Capture(number.checked_sub(1)?));
        text = rest;
    }
    Some(parts)
}

fn join(parts: &[Part], captures: &Captures<'_>) -> String {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Capture(index) => {
            let raw = captures.get(*index).copied().unwrap_or_default();
            percent_decode_str(raw).decode_utf8_lossy().into_owned()
        }
    };
    parts.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pattern;

    #[test]
    fn a_template_makes_the_tag_that_an_application_would() {
        let rows = [
            ("/blog/*", "/blog/42", "post:{1}", tag("post", 42)),
            ("/blog/*", "/blog/42", "posts", Tag::new("posts").unwrap()),
            ("/*/*", "/library/os", "{1}:{2}", tag("library", "os")),
            (
                "/by/*",
                "/by/caf%C3%A9",
                "author:{1}",
                tag("author", "café"),
            ),
            (
                "/by/*",
                "/by/Ann%20Lee",
                "author:x-{1}",
                tag("author", "x-Ann Lee"),
            ),
            ("/**", "/a/b", "under:{1}", tag("under", "a/b")),
        ];
        for (pattern, path, template, expected) in rows {
            let captures = Pattern::parse(pattern).unwrap();
            let captures = captures.captures(path).unwrap();
            let template = TagTemplate::parse(template).unwrap();
            assert_eq!(
                template.expand(&captures),
                expected,
                "{template:?} on {path}"
            );
        }
    }

    #[test]
    fn a_template_that_makes_no_tag_is_refused() {
        for template in [
            "", "a b", "{1}", "post:{", "post:{0}", "post:{x}", "post:}1{",
        ] {
            assert!(TagTemplate::parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn the_captures_that_a_template_uses_are_counted() {
        let used = |template| TagTemplate::parse(template).unwrap().captures_used();
        assert_eq!((used("posts"), used("a:{1}"), used("{3}:{1}")), (0, 1, 3));
    }
}
