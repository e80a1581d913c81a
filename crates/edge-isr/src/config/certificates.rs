//! Certificates that are kept in files.

use std::path::Path;

use isr_core::BoxError;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::raw::Raw;
use super::secrets::KeyFault;

/// The certificates of authorities that are trusted besides the public ones, from the file that the
/// configuration names, in PEM.
pub(super) fn read_roots(raw: &Raw) -> Result<Vec<CertificateDer<'static>>, KeyFault> {
    let Some(file) = &raw.edge.origin_ca_file else {
        return Ok(Vec::new());
    };
    read(Path::new(file)).map_err(|error| {
        let message = format!("names {file}, which cannot be used: {error}");
        ("edge.origin_ca_file".to_owned(), message)
    })
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    let text = std::fs::read(file)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".into());
    }
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone())?;
    }
    Ok(certificates)
}
