//! A process that has not said which implementation of TLS it uses.

use isr_cdn_webhook::{Options, connect};
use isr_core::Secret;

#[test]
fn without_an_implementation_of_tls_connecting_fails_and_says_so() {
    let options = Options {
        url: Some(Secret::new("https://hooks.example/")),
        secret: Some(Secret::new("0123456789abcdef")),
        ..Options::default()
    };
    let error = connect("cdn", options).expect_err("it cannot be called");
    let expected = "url cannot be reached by TLS: install rustls' default provider";
    assert!(error.to_string().starts_with(expected), "{error}");
}
