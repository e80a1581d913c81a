//! Foreign input, made fit to appear in a message.

/// The most characters of an input that a message repeats.
const LONGEST: usize = 64;

/// `input` with control characters and non-ASCII escaped, cut after 64 characters.
pub(crate) fn excerpt(input: &str) -> String {
    excerpt_within(input, LONGEST)
}

/// `input` with control characters and non-ASCII escaped, cut after `longest` characters: how what a
/// stranger said appears in a message.
#[must_use]
pub fn excerpt_within(input: &str, longest: usize) -> String {
    let mut escaped = input.chars().flat_map(|c| {
        let keep = c == ' ' || c.is_ascii_graphic();
        keep.then_some(c)
            .into_iter()
            .chain((!keep).then(|| c.escape_default()).into_iter().flatten())
    });
    let mut text: String = escaped.by_ref().take(longest).collect();
    if escaped.next().is_some() {
        text.push_str("...");
    }
    text
}

/// The title of a page such as servers make of an error, or the whole page where it has none.
#[must_use]
pub fn html_title(page: &str) -> &str {
    let title = page
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    title.map_or(page, |(title, _)| title).trim()
}

#[cfg(test)]
mod tests {
    use super::{excerpt, html_title};

    #[test]
    fn messages_stay_short_and_printable() {
        assert_eq!(excerpt("post:42"), "post:42");
        assert_eq!(excerpt("a\r\nb\u{1b}é"), "a\\r\\nb\\u{1b}\\u{e9}");
        assert_eq!(excerpt(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(excerpt(&"x".repeat(65)), format!("{}...", "x".repeat(64)));
    }
    #[test]
    fn a_page_is_known_by_its_title() {
        let rows = [
            ("<html><title> 405 No </title><h1>x</h1>", "405 No"),
            ("<title></title>", ""),
            ("<title>a</title><title>b</title>", "a"),
            ("<title>cut off", "<title>cut off"),
            (" no page\n", "no page"),
            ("", ""),
        ];
        for (page, title) in rows {
            assert_eq!(html_title(page), title, "{page}");
        }
    }
}
