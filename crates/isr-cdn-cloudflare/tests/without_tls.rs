//! A process that has not said which implementation of TLS it uses.

use isr_cdn_cloudflare::{Options, connect};
use isr_core::Secret;

#[test]
fn without_an_implementation_of_tls_connecting_fails_and_says_so() {
    let options = Options {
        zone: "0".repeat(32),
        token: Some(Secret::new("token")),
        ..Options::default()
    };
    let error = connect("cdn", options).expect_err("it cannot be called");
    let expected = "api_base cannot be reached by TLS: install rustls' default provider";
    assert!(error.to_string().starts_with(expected), "{error}");
}
