//! Tags as tokens, for CDNs that allow nothing else.

use std::borrow::Cow;

/// Writes every byte that no token may have (RFC 9110 §5.6.2), and `~`, as `~` and two digits.
pub(super) fn encode(tag: &str) -> Cow<'_, str> {
    if tag.bytes().all(|byte| !is_escaped(byte)) {
        return Cow::Borrowed(tag);
    }
    let mut text = String::with_capacity(tag.len() + 8);
    for byte in tag.bytes() {
        if is_escaped(byte) {
            text.push('~');
            text.push(digit(byte >> 4));
            text.push(digit(byte & 0xf));
        } else {
            text.push(char::from(byte));
        }
    }
    Cow::Owned(text)
}

/// Undoes [`encode`]. A `~` that it would not have written stands for itself, since origins also
/// send tags that were never encoded.
pub(super) fn decode<'a>(member: &Cow<'a, str>) -> Cow<'a, str> {
    if !member.contains('~') {
        return member.clone();
    }
    let mut text = String::with_capacity(member.len());
    let mut rest: &str = member;
    while let Some(tilde) = rest.find('~') {
        text.push_str(&rest[..tilde]);
        let after = &rest[tilde + 1..];
        if let Some(byte) = escaped_byte(after.as_bytes()) {
            text.push(char::from(byte));
            rest = &after[2..];
        } else {
            text.push('~');
            rest = after;
        }
    }
    text.push_str(rest);
    Cow::Owned(text)
}

fn escaped_byte(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else { return None };
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let byte = value(*high)? << 4 | value(*low)?;
    (byte.is_ascii_graphic() && is_escaped(byte)).then_some(byte)
}

const fn is_escaped(byte: u8) -> bool {
    let is_token = byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.'
        )
        || matches!(byte, b'^' | b'_' | b'`' | b'|');
    !is_token
}

fn digit(value: u8) -> char {
    char::from_digit(value.into(), 16).expect("half a byte is one hexadecimal digit")
}
