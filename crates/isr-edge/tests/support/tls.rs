//! TLS in front of an origin, with certificates of the tests' own authority.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An authority that nobody knows.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn root(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// What a server needs to speak for a host, by one of these protocols.
    pub(crate) fn server(&self, host: &str, protocols: &[&str]) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        server(&certificate, &key, protocols)
    }
}

/// What a server needs to speak for a host in its own name, and its certificate.
pub(crate) fn self_signed(host: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (server(&certificate, &key, &[]), certificate.der().clone())
}

fn server(certificate: &Certificate, key: &KeyPair, protocols: &[&str]) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = protocols
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    Arc::new(config)
}

/// Takes TLS off connections and hands them on to a server that speaks plain text.
pub(crate) struct TlsFront {
    pub(crate) address: SocketAddr,
    names: Arc<Mutex<Vec<Option<String>>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TlsFront {
    pub(crate) async fn start(config: Arc<ServerConfig>, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let names: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
        let seen = Arc::clone(&names);
        let acceptor = TlsAcceptor::from(config);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(connection(
                    stream,
                    acceptor.clone(),
                    Arc::clone(&seen),
                    behind,
                ));
            }
        });
        Self {
            address,
            names,
            task,
        }
    }

    /// The names that were asked for in finished handshakes (SNI).
    pub(crate) fn names(&self) -> Vec<Option<String>> {
        self.names.lock().clone()
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    names: Arc<Mutex<Vec<Option<String>>>>,
    behind: SocketAddr,
) -> std::io::Result<()> {
    let mut outer = acceptor.accept(stream).await?;
    let name = outer.get_ref().1.server_name().map(str::to_owned);
    names.lock().push(name);
    let mut inner = TcpStream::connect(behind).await?;
    tokio::io::copy_bidirectional(&mut outer, &mut inner).await?;
    Ok(())
}
