//! What the target of a purge is aimed at: one page, or all beneath a path.

use super::Aim;
use crate::purge::{Refusal, unsupported};

/// How a client says that its target is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It says nothing, so that a target which ends in a wildcard is taken as one.
    Unsaid,
    /// As the URL of one page, whatever it looks like.
    Exact,
    /// As a regular expression.
    Expression,
}

const INSTEAD: &str = "send the URL of one page, a path that ends in /.* for all beneath it, or /.* \
    for all of the host";

/// Reads path and query of a target. `.*` is the wildcard of Varnish's clients, `*` that of nginx's;
/// either counts only at its end and behind a slash, where it means the same as a prefix.
pub(super) fn aim(target: &str, reading: Reading) -> Result<Aim, Refusal> {
    if reading == Reading::Exact {
        return Ok(Aim::Page);
    }
    let target = target.replace("%2A", "*").replace("%2a", "*");
    let wild = target.contains(".*") || target.ends_with('*');
    if reading == Reading::Unsaid && !wild {
        return Ok(Aim::Page);
    }
    let stem = target
        .strip_suffix(".*")
        .or_else(|| target.strip_suffix('*'))
        .filter(|stem| stem.ends_with('/') && is_literal(stem));
    match stem {
        Some("/") => Ok(Aim::Host),
        Some(stem) => Ok(Aim::Beneath(stem.to_owned())),
        None => Err(unsupported("an expression in the URL is", INSTEAD)),
    }
}

/// Whether a path stands for itself. A dot is nearly always meant as one, even in an expression.
fn is_literal(path: &str) -> bool {
    !path.contains([
        '*', '?', '+', '^', '$', '|', '(', ')', '[', ']', '{', '}', '\\',
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_counts_behind_a_slash_and_at_the_end_alone() {
        use Reading::{Exact, Expression, Unsaid};
        let beneath = |path: &str| Some(Aim::Beneath(path.to_owned()));
        let rows = [
            ("/a", Unsaid, Some(Aim::Page)),
            ("/a?x=1", Unsaid, Some(Aim::Page)),
            ("/wiki/Foo_(bar)", Unsaid, Some(Aim::Page)),
            ("/.*", Unsaid, Some(Aim::Host)),
            ("/*", Unsaid, Some(Aim::Host)),
            ("/%2A", Unsaid, Some(Aim::Host)),
            ("/.*", Expression, Some(Aim::Host)),
            ("/a/.*", Unsaid, beneath("/a/")),
            ("/a/*", Unsaid, beneath("/a/")),
            ("/v1.2/b/.*", Expression, beneath("/v1.2/b/")),
            ("/a/.*", Exact, Some(Aim::Page)),
            ("/a.*", Unsaid, None),
            ("/a*", Unsaid, None),
            ("/.*a.*", Unsaid, None),
            ("/.*/.*", Unsaid, None),
            ("/a?.*", Unsaid, None),
            ("/a?x=1/.*", Unsaid, None),
            ("/a/.*?x=1", Unsaid, None),
            ("/a", Expression, None),
            ("/(a|b)/.*", Expression, None),
        ];
        for (target, reading, expected) in rows {
            assert_eq!(aim(target, reading).ok(), expected, "{target} {reading:?}");
        }
    }
}
