//! The grammar of directives, read tolerantly (RFC 9111 §5.2, RFC 9110 §5.6).

use super::{Argument, CacheControl};

/// The members of one line: what stands between commas that are not inside a quoted string.
///
/// A quote that is never closed is an ordinary character; otherwise it would swallow a `private`
/// that comes after it.
pub(super) fn members(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let (member, after) = match member_end(line) {
            Some(comma) => (&line[..comma], Some(&line[comma + 1..])),
            None => (line, None),
        };
        rest = after;
        Some(member.trim_ascii())
    })
    .filter(|member| !member.is_empty())
}

/// Where the comma stands that ends the first member of a line.
fn member_end(line: &[u8]) -> Option<usize> {
    let mut position = 0;
    // Once a quote has turned out not to be closed, no later one can be.
    let mut quotes = true;
    while let Some(byte) = line.get(position) {
        match byte {
            b',' => return Some(position),
            b'"' if quotes => match closing_quote(&line[position + 1..]) {
                Some(length) => position += length + 2,
                None => {
                    quotes = false;
                    position += 1;
                }
            },
            _ => position += 1,
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
