//! The grammar of directives, read tolerantly (RFC 9111 §5.2, RFC 9110 §5.6).

use super::{Argument, CacheControl};

/// The members of one line: what stands between commas that are not inside a quoted string.
///
/// From a quote that is never closed on, quotes are ordinary characters; otherwise it would swallow
/// a `private` that comes after it.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    // Kept from member to member, so that a line is searched for a closing quote in vain once only.
    let mut quotes = true;
    std::iter::from_fn(move || {
        let line = rest?;
        let (member, after) = match member_end(line, &mut quotes) {
            Some(comma) => (&line[..comma], Some(&line[comma + 1..])),
            None => (line, None),
        };
        rest = after;
        Some(member.trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

/// Where the comma stands that ends the first member of a line. Unsets `quotes` at a quote that is
/// never closed.
fn member_end(line: &[u8], quotes: &mut bool) -> Option<usize> {
    let mut position = 0;
    while let Some(byte) = line.get(position) {
        if *byte == b',' {
            return Some(position);
        }
        position += 1;
        if *byte == b'"' && *quotes {
            let closing = closing_quote(&line[position..]);
            *quotes = closing.is_some();
            position += closing.map_or(0, |length| length + 1);
        }
    }
    None
}

/// Where the quote stands that closes a string, of which the text after the opening quote is given.
fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    })
}

/// The name of a directive and what its argument says.
pub(super) fn directive(member: &[u8]) -> (&[u8], Argument) {
    match member.iter().position(|byte| *byte == b'=') {
        None => (member, Argument::Absent),
        Some(equals) => (
            member[..equals].trim_ascii_end(),
            argument(&member[equals + 1..]),
        ),
    }
}

/// Reads `delta-seconds`, as a token or quoted (RFC 9111 §1.2.2, §5.2).
fn argument(text: &[u8]) -> Argument {
    let unquoted = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    let digits = unquoted.unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Argument::Other;
    }
    let seconds = digits.iter().fold(0_u32, |seconds, digit| {
        seconds
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'))
    });
    Argument::Seconds(seconds.min(CacheControl::MOST_SECONDS))
}
