//! Magento's `X-Magento-Tags-Pattern`: an expression over the tags of a page, joined by commas.

use isr_core::{Tag, TagSet, Targets};

use super::Aim;
use crate::purge::{Refusal, refused, unsupported};

/// What stands before and behind each tag, and between two.
const BEFORE: &str = "((^|,)";
const BEHIND: &str = "(,|$))";
const BETWEEN: &str = "(,|$))|((^|,)";

/// Reads the two forms that Magento itself sends: whole tags, and everything.
pub(super) fn aim(pattern: &str) -> Result<Aim, Refusal> {
    if pattern == ".*" {
        return Ok(Aim::Everything);
    }
    let members = pattern
        .strip_prefix(BEFORE)
        .and_then(|rest| rest.strip_suffix(BEHIND));
    let expression = |text: &str| text.contains(['|', '(', ')', '^', '$', '*', '\\', ',']);
    let whole = members.filter(|members| !members.split(BETWEEN).any(expression));
    let Some(members) = whole else {
        return Err(unsupported(
            "this X-Magento-Tags-Pattern is",
            "send ((^|,)TAG(,|$)) for each tag, joined by |, or .* for everything",
        ));
    };
    let mut tags = TagSet::with_limit(Targets::LIMIT);
    for member in members.split(BETWEEN) {
        let tag = Tag::new(member).map_err(|error| refused(&error.to_string()))?;
        tags.insert(tag)
            .map_err(|_| refused("too many tags for one purge: split them"))?;
    }
    Ok(Aim::Tags(tags))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn whole_tags_are_told_from_expressions() {
        let rows: &[(&str, Option<&[&str]>)] = &[
            ("((^|,)cat_p_1(,|$))", Some(&["cat_p_1"])),
            (
                "((^|,)cat_p_1(,|$))|((^|,)cat_c_2(,|$))",
                Some(&["cat_c_2", "cat_p_1"]),
            ),
            ("cat_p_1", None),
            ("cat_p_1|cat_p_2", None),
            ("((^|,)cat_p_.*(,|$))", None),
            ("((^|,)cat_p_1|cat_p_2(,|$))", None),
            ("*", None),
            ("", None),
        ];
        for (pattern, expected) in rows {
            let found = match aim(pattern) {
                Ok(Aim::Tags(tags)) => Some(tags),
                Ok(other) => panic!("{pattern}: {other:?}"),
                Err((status, _)) => {
                    assert_eq!(status, StatusCode::NOT_IMPLEMENTED, "{pattern}");
                    None
                }
            };
            let found: Option<Vec<&str>> = found
                .as_ref()
                .map(|tags| tags.iter().map(Tag::as_str).collect());
            assert_eq!(found.as_deref(), *expected, "{pattern}");
        }
        assert_eq!(aim(".*").unwrap(), Aim::Everything);
    }
}
