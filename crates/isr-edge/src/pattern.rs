//! Path patterns: which pages a rule is for.

use std::str::FromStr;

use smallvec::SmallVec;

/// The most wildcards of a pattern.
const MOST_WILDCARDS: usize = 16;

/// A pattern over the path of a page, anchored at both ends.
///
/// `*` stands for one or more characters within one path segment, `**` for any run of characters,
/// slashes and nothing at all included; everything else stands for itself. What the wildcards match
/// is captured: `{1}` is the first of them. Each takes as few characters as it can, from the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Literal(Box<str>),
    /// `*`
    Segment,
    /// `**`
    Run,
}

/// What the wildcards of a pattern matched, in order.
pub(crate) type Captures<'p> = SmallVec<[&'p str; 4]>;

/// Why a text is not a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// It begins with neither `/` nor `*`.
    #[error("pattern `{pattern}` matches no path: begin it with / or *")]
    NoPath {
        /// The pattern.
        pattern: String,
    },
    /// Wildcards that touch one another, so that nobody can say which of them matches what.
    #[error("pattern `{pattern}` has wildcards side by side: put something between them")]
    Adjacent {
        /// The pattern.
        pattern: String,
    },
    /// More wildcards than a pattern may have.
    #[error("pattern `{pattern}` has more than {MOST_WILDCARDS} wildcards: split the rule")]
    TooManyWildcards {
        /// The pattern.
        pattern: String,
    },
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// Refused are patterns that begin with neither `/` nor `*`, wildcards side by side, and more
    /// than sixteen wildcards.
    pub fn parse(pattern: &str) -> Result<Self, InvalidPattern> {
        let name = || pattern.to_owned();
        if !pattern.starts_with(['/', '*']) {
            return Err(InvalidPattern::NoPath { pattern: name() });
        }
        let mut tokens = Vec::new();
        let mut rest = pattern;
        while !rest.is_empty() {
            let stars = rest.bytes().take_while(|byte| *byte == b'*').count();
            let length = match stars {
                0 => rest.find('*').unwrap_or(rest.len()),
                1 | 2 => stars,
                _ => return Err(InvalidPattern::Adjacent { pattern: name() }),
            };
            let (token, after) = rest.split_at(length);
            tokens.push(match stars {
                0 => Token::Literal(token.into()),
                1 => Token::Segment,
                _ => Token::Run,
            });
            rest = after;
        }
        let compiled = Self { tokens };
        if compiled.wildcards() > MOST_WILDCARDS {
            return Err(InvalidPattern::TooManyWildcards { pattern: name() });
        }
        Ok(compiled)
    }

    /// How many captures there are.
    #[must_use]
    pub fn wildcards(&self) -> usize {
        self.tokens
            .iter()
            .filter(|token| !matches!(token, Token::Literal(_)))
            .count()
    }

    /// What the wildcards matched, if the whole path matches.
    pub(crate) fn captures<'p>(&self, path: &'p str) -> Option<Captures<'p>> {
        let mut search = Search {
            tokens: &self.tokens,
            path,
            dead: Vec::new(),
        };
        let mut captures = Captures::new();
        search.matches(0, 0, &mut captures).then_some(captures)
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, Self::Err> {
        Self::parse(pattern)
    }
}

/// A search with backtracking that never tries the same place twice: its work is bounded by the
/// length of the pattern times the square of the path's, however either is chosen.
struct Search<'a, 'p> {
    tokens: &'a [Token],
    path: &'p str,
    /// Places known to lead nowhere, as token × (path length + 1) + position. Allocated at the first.
    dead: Vec<bool>,
}

impl<'p> Search<'_, 'p> {
    fn matches(&mut self, token: usize, at: usize, captures: &mut Captures<'p>) -> bool {
        let rest = &self.path[at..];
        let (least, most) = match self.tokens.get(token) {
            None => return rest.is_empty(),
            Some(Token::Literal(literal)) => {
                return rest.starts_with(&**literal)
                    && self.matches(token + 1, at + literal.len(), captures);
            }
            Some(Token::Segment) => (1, rest.find('/').unwrap_or(rest.len())),
            Some(Token::Run) => (0, rest.len()),
        };
        let place = token * (self.path.len() + 1) + at;
        if self.dead.get(place).copied().unwrap_or(false) {
            return false;
        }
        for length in least..=most {
            if !rest.is_char_boundary(length) {
                continue;
            }
            captures.push(&rest[..length]);
            if self.matches(token + 1, at + length, captures) {
                return true;
            }
            captures.pop();
        }
        if self.dead.is_empty() {
            self.dead = vec![false; self.tokens.len() * (self.path.len() + 1)];
        }
        self.dead[place] = true;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_whole_paths_and_captures_its_wildcards() {
        let rows: &[(&str, &str, Option<&[&str]>)] = &[
            ("/", "/", Some(&[])),
            ("/a", "/a", Some(&[])),
            ("/a", "/ab", None),
            ("/a", "/b/a", None),
            ("/blog/*", "/blog/7", Some(&["7"])),
            ("/blog/*", "/blog/", None),
            ("/blog/*", "/blog/7/comments", None),
            ("/blog/**", "/blog/", Some(&[""])),
            ("/blog/**", "/blog/7/comments", Some(&["7/comments"])),
            ("/blog/**", "/blogs", None),
            (
                "/*/*.html",
                "/library/os.path.html",
                Some(&["library", "os.path"]),
            ),
            ("**", "/any/thing", Some(&["/any/thing"])),
            ("/**/x/*", "/a/x/b/x/c", Some(&["a/x/b", "c"])),
            ("/*-*", "/a-b-c", Some(&["a", "b-c"])),
            ("/**.js", "/a.js/b.js", Some(&["a.js/b"])),
        ];
        for (pattern, path, expected) in rows {
            let compiled = Pattern::parse(pattern).unwrap();
            let found = compiled.captures(path);
            assert_eq!(found.as_deref(), *expected, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_pattern_that_cannot_mean_anything_is_refused() {
        let many = "/*".repeat(MOST_WILDCARDS + 1);
        for pattern in ["", "blog/*", "/a***", &many] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_hostile_path_does_not_make_the_search_explode() {
        let pattern = Pattern::parse("/**a**a**a**a**a**a**a**a**b").unwrap();
        assert!(pattern.captures(&format!("/{}", "a".repeat(500))).is_none());
    }
}
