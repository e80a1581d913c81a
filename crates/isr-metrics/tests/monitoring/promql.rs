//! What a query in Prometheus' language names. `promtool` checks its grammar; this only tells names apart.

use std::collections::BTreeSet;

/// Words of the language that stand where a name could.
const WORDS: &[&str] = &["and", "or", "unless", "bool", "offset"];
/// Words before a list of labels in parentheses.
const BEFORE_LABELS: &[&str] = &[
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// What a query names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// Metrics.
    pub(crate) metrics: BTreeSet<String>,
    /// Labels, in selectors and in lists.
    pub(crate) labels: BTreeSet<String>,
    /// Labels in selectors, and what they are compared with.
    pub(crate) matched: BTreeSet<(String, String)>,
}

impl Names {
    pub(crate) fn of(query: &str) -> Self {
        let mut names = Self::default();
        let mut rest = query;
        while let Some(first) = rest.chars().next() {
            if is_in_name(first) && !first.is_ascii_digit() {
                let (word, after) = split_word(rest);
                rest = names.word(word, after.trim_start());
            } else if first.is_ascii_digit() {
                rest = split_word(rest).1; // a number, or a duration as in 5m
            } else if first == '{' {
                let (selector, after) = rest[1..].split_once('}').unwrap();
                names.selector(selector);
                rest = after;
            } else {
                assert_ne!(
                    first, '"',
                    "no string stands outside of a selector: {query}"
                );
                rest = &rest[first.len_utf8()..];
            }
        }
        names
    }

    /// Takes note of a word, and answers with what is to be read after it.
    fn word<'a>(&mut self, word: &str, after: &'a str) -> &'a str {
        if BEFORE_LABELS.contains(&word) {
            let (list, after) = after[1..].split_once(')').unwrap();
            self.labels
                .extend(list.split(',').map(|label| label.trim().to_owned()));
            return after;
        }
        // An aggregation says by what it aggregates before its parentheses, or it is a function.
        let next = split_word(after).0;
        let is_called = after.starts_with('(') || BEFORE_LABELS[..2].contains(&next);
        if !is_called && !WORDS.contains(&word) {
            self.metrics.insert(word.to_owned());
        }
        after
    }

    fn selector(&mut self, selector: &str) {
        // No value holds a comma.
        for matcher in selector.split(',') {
            let (label, _) = split_word(matcher.trim());
            let value = matcher.split('"').nth(1).unwrap();
            self.labels.insert(label.to_owned());
            self.matched.insert((label.to_owned(), value.to_owned()));
        }
    }
}

fn is_in_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_' || char == ':'
}

fn split_word(text: &str) -> (&str, &str) {
    let end = text.find(|char| !is_in_name(char)).unwrap_or(text.len());
    text.split_at(end)
}

#[test]
fn the_names_in_a_query_are_told_apart() {
    let names = Names::of(
        "histogram_quantile(0.99, sum by (job, le) (rate(a_bucket{b=\"c\",d=~\"e|f\"}[5m]))) > 30 \
         and on (g) max without (h) (i:j) or k offset 5m",
    );
    let set = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    let metrics: BTreeSet<String> = set(&["a_bucket", "i:j", "k"]);
    let labels: BTreeSet<String> = set(&["b", "d", "g", "h", "job", "le"]);
    assert_eq!((names.metrics, names.labels), (metrics, labels));
    let matched = [("b", "c"), ("d", "e|f")].map(|(of, is)| (of.to_owned(), is.to_owned()));
    assert_eq!(names.matched, BTreeSet::from(matched));
}
