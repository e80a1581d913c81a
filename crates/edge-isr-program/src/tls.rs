//! The TLS library, chosen once for the whole process.

/// Makes ring the provider of cryptography. Doing it again changes nothing.
pub(crate) fn install() {
    // An error only says that a provider is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
