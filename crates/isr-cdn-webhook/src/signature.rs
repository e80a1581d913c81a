//! How a receiver tells that a call is ours, and new.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use hmac::{Hmac, Mac as _};
use http::HeaderValue;
use isr_core::Secret;
use sha2::Sha256;

/// The field that holds a call's signature.
pub const SIGNATURE_HEADER: &str = "x-edge-isr-signature";

/// Signs a body that is sent at a time. The time is signed too, so that a call cannot be kept and sent
/// again later by somebody else.
pub(crate) fn signature(secret: &Secret, at: SystemTime, body: &[u8]) -> HeaderValue {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.as_ref().map_or(0, Duration::as_secs);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("a key may have any length");
    mac.update(seconds.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    let mut field = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(field, "{byte:02x}").expect("a string takes everything");
    }
    HeaderValue::try_from(field).expect("it is letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_other_programs_compute() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_358_423);
        let field = signature(&Secret::new("0123456789abcdef"), at, b"{\"id\":1}");
        // printf '%s' '1795358423.{"id":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let expected =
            "t=1795358423,v1=1764b7743bfa64ead0937682e30dbf1395b407adb1d8e1b80cd8ef4cf2969fdc";
        assert_eq!(field, expected);
    }
}
