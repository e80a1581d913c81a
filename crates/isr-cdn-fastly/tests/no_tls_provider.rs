//! Without a TLS implementation no connector is made, and it is said what to do. A process of its own,
//! because other tests install one.

use isr_cdn_fastly::{Options, connect};
use isr_core::Secret;

#[test]
fn a_process_without_a_tls_provider_is_told() {
    let options = Options {
        service: "S1".to_owned(),
        token: Secret::new("T0K3N"),
        ..Options::default()
    };
    let fault = connect("cdn", options).unwrap_err().to_string();
    assert!(
        fault.contains("install rustls' default provider"),
        "{fault}"
    );
}
