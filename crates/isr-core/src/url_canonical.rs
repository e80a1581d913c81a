//! The canonical spelling of URLs, byte by byte (RFC 3986).

use std::ops::Range;

use percent_encoding::percent_encode_byte;
use smallvec::SmallVec;

use crate::page_url::{PageUrl, UrlFault};
use crate::query_filter::QueryFilter;

/// Where a canonical URL is put together: on the stack, unless it is long. Holds ASCII only.
pub(crate) type Buffer = SmallVec<[u8; 512]>;

/// The buffer as text.
pub(crate) fn text(buffer: &[u8]) -> &str {
    std::str::from_utf8(buffer).expect("everything beyond ASCII is percent-encoded")
}

/// Appends the canonical spelling of a path and query; a fragment is dropped.
pub(crate) fn push_path_and_query(
    out: &mut Buffer,
    path_and_query: &str,
    filter: &QueryFilter,
) -> Result<(), UrlFault> {
    if path_and_query.len() > PageUrl::MAX_LEN {
        return Err(UrlFault::TooLong);
    }
    let (rest, _fragment) = path_and_query
        .split_once('#')
        .unwrap_or((path_and_query, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    push_path(out, path)?;
    push_query(out, query, filter)?;
    if out.len() > PageUrl::MAX_LEN {
        Err(UrlFault::TooLong)
    } else {
        Ok(())
    }
}

/// Appends a path with its dot segments removed (§5.2.4), encoded ones too.
fn push_path(out: &mut Buffer, path: &str) -> Result<(), UrlFault> {
    let root = out.len();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let slash = out.len();
        out.push(b'/');
        push_normal(out, segment.as_bytes(), is_path_byte)?;
        let parent = match &out[slash + 1..] {
            b"." => slash,
            b".." => out[root..slash]
                .iter()
                .rposition(|b| *b == b'/')
                .map_or(root, |at| root + at),
            _ => continue,
        };
        out.truncate(parent);
        if segments.peek().is_none() {
            out.push(b'/');
        }
    }
    let depth = out[root..].split(|byte| *byte == b'/').count() - 1;
    if depth > PageUrl::MAX_SEGMENTS {
        Err(UrlFault::TooDeep)
    } else {
        Ok(())
    }
}

/// A parameter that is kept: where its name and the whole of it stand in the scratch buffer.
struct Parameter {
    name: Range<usize>,
    whole: Range<usize>,
}

/// Appends the parameters that the filter keeps, sorted by name; values of one name keep their order.
fn push_query(out: &mut Buffer, query: &str, filter: &QueryFilter) -> Result<(), UrlFault> {
    let mut scratch = Buffer::new();
    let mut kept: SmallVec<[Parameter; 16]> = SmallVec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let start = scratch.len();
        let name_len = parameter.find('=').unwrap_or(parameter.len());
        let (name, value) = parameter.as_bytes().split_at(name_len);
        push_normal(&mut scratch, name, is_query_byte)?;
        let name = start..scratch.len();
        push_normal(&mut scratch, value, is_query_byte)?;
        if filter.keeps(text(&scratch[name.clone()])) {
            kept.push(Parameter {
                name,
                whole: start..scratch.len(),
            });
        } else {
            scratch.truncate(start);
        }
    }
    kept.sort_by(|one, two| scratch[one.name.clone()].cmp(&scratch[two.name.clone()]));
    for (index, parameter) in kept.into_iter().enumerate() {
        out.push(if index == 0 { b'?' } else { b'&' });
        out.extend_from_slice(&scratch[parameter.whole]);
    }
    Ok(())
}

/// Appends the canonical spelling of a parameter's name, as it stands in canonical URLs.
pub(crate) fn push_parameter_name(out: &mut Buffer, name: &str) -> Result<(), UrlFault> {
    push_normal(out, name.as_bytes(), |byte| {
        is_query_byte(byte) && !matches!(byte, b'&' | b'=')
    })
}

/// Appends `input` with its percent-encoding in normal form (§6.2.2): unreserved characters as they
/// are, hexadecimal digits in upper case, and everything that is not `literal` encoded. Reserved
/// characters stay as they came, because `%2F` and `/` mean different things.
fn push_normal(out: &mut Buffer, input: &[u8], literal: fn(u8) -> bool) -> Result<(), UrlFault> {
    let mut rest = input;
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match *byte {
            b'%' => {
                let [high, low, after @ ..] = tail else {
                    return Err(UrlFault::Percent);
                };
                let decoded = hex(*high)? << 4 | hex(*low)?;
                rest = after;
                if is_unreserved(decoded) {
                    out.push(decoded);
                } else {
                    out.extend_from_slice(percent_encode_byte(decoded).as_bytes());
                }
            }
            byte if literal(byte) => out.push(byte),
            byte if byte.is_ascii_control() => return Err(UrlFault::Control),
            byte => out.extend_from_slice(percent_encode_byte(byte).as_bytes()),
        }
    }
    Ok(())
}

fn hex(digit: u8) -> Result<u8, UrlFault> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        b'A'..=b'F' => Ok(digit - b'A' + 10),
        _ => Err(UrlFault::Percent),
    }
}

/// `unreserved` of RFC 3986 §2.3.
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// `pchar` of RFC 3986 §3.3, but for percent-encoding.
const fn is_path_byte(byte: u8) -> bool {
    is_unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
        )
        || matches!(byte, b':' | b'@')
}

/// What `query` of RFC 3986 §3.4 is made of, but for percent-encoding, and for the apostrophe, which
/// the URL Standard has browsers encode there.
const fn is_query_byte(byte: u8) -> bool {
    (is_path_byte(byte) || matches!(byte, b'/' | b'?')) && byte != b'\''
}
