//! DICOM over TLS: certificates made here, our own sender and DCMTK's, right and wrong.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber,
};
use sagittal::delivery::DeliveryError;
use sagittal::delivery::scu::{self, Peer};
use sagittal::dicom::AeTitle;
use sagittal::scp::{Door, serve_all};
use sagittal::tls::{ClientFiles, Identity, ServerFiles, ServerTls};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::inbox::{Inbox, options};
use crate::support::instance::{EXPLICIT, mr};
use crate::support::{dcmtk, soon};

const PATIENCE: Duration = Duration::from_mins(2);

/// The serial number of the certificate `name`.
fn serial(name: &str) -> SerialNumber {
    SerialNumber::from([&[1], name.as_bytes()].concat())
}

/// A hospital's certificate authority, with its files in a folder.
struct Authority {
    folder: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = named("Hospital");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let authority = Authority { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key) };
        std::fs::write(authority.path("ca.crt"), certificate.pem()).unwrap();
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate for localhost, valid until `year`.
    fn issue(&self, name: &str, year: i32) -> Identity {
        self.issue_to(name, year, &["localhost", "127.0.0.1"])
    }

    fn issue_to(&self, name: &str, year: i32, hosts: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name = named(name);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.serial_number = Some(serial(name));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = Identity { certificate: self.path(&format!("{name}.crt")), key: self.path(&format!("{name}.key")) };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    /// A revocation list that names the certificates of `names`, PEM.
    fn revoking(&self, names: &[&str]) -> String {
        let time = rcgen::date_time_ymd(2020, 1, 1);
        let revoked = |name: &&str| RevokedCertParams {
            serial_number: serial(name),
            revocation_time: time,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time,
            next_update: rcgen::date_time_ymd(2100, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: names.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    fn client(&self, identity: Option<Identity>) -> ClientFiles {
        ClientFiles { ca: self.path("ca.crt"), identity, server_name: "localhost".into() }
    }
}

/// OpenSSL takes a certificate whose issuer has its own name for a self-signed one.
fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// A node with a plain and a secured port.
struct Node {
    plain: SocketAddr,
    secured: SocketAddr,
    inbox: Arc<Inbox>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Node {
    /// `mutual`: senders must show a certificate of the authority.
    async fn start(authority: &Authority, identity: Identity, mutual: bool) -> Node {
        let client_ca = mutual.then(|| authority.path("ca.crt"));
        Node::start_with(ServerFiles {
            identities: vec![identity],
            client_ca,
            require_client: mutual,
            revocation_lists: Vec::new(),
        })
        .await
    }

    async fn start_with(files: ServerFiles) -> Node {
        let tls = ServerTls::load(files).unwrap();
        let bound = async || TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (plain, secured) = (bound().await, bound().await);
        let addresses = [&plain, &secured].map(|listener| listener.local_addr().unwrap());
        let doors = vec![Door { listener: plain, tls: None }, Door { listener: secured, tls: Some(Arc::new(tls)) }];
        let (inbox, shutdown) = (Arc::new(Inbox::default()), CancellationToken::new());
        let serving = tokio::spawn(serve_all(doors, options(), Arc::clone(&inbox), shutdown.clone()));
        Node { plain: addresses[0], secured: addresses[1], inbox, shutdown, serving }
    }

    async fn echo(&self, tls: Option<ClientFiles>) -> Result<(), DeliveryError> {
        soon(scu::echo(&peer(if tls.is_some() { self.secured } else { self.plain }, tls), PATIENCE)).await
    }

    async fn stop(self) -> Arc<Inbox> {
        self.shutdown.cancel();
        soon(self.serving).await.unwrap();
        self.inbox
    }
}

fn peer(address: SocketAddr, tls: Option<ClientFiles>) -> Peer {
    let title = |text| AeTitle::parse(text).unwrap();
    Peer { host: "127.0.0.1".into(), port: address.port(), called: title("SAGITTAL"), calling: title("TESTS"), tls }
}

async fn run(program: &str, arguments: Vec<String>) -> Output {
    let mut command = Command::new(program);
    command.env("TCP_NODELAY", "1").args(arguments);
    soon(tokio::task::spawn_blocking(move || command.output())).await.unwrap().unwrap()
}

fn words(text: &str, paths: &[&PathBuf]) -> Vec<String> {
    let mut paths = paths.iter();
    let word = |word: &str| match word {
        "FILE" => paths.next().unwrap().display().to_string(),
        other => other.to_owned(),
    };
    text.split_whitespace().map(word).collect()
}

#[tokio::test]
async fn both_ports_serve_and_every_wrong_certificate_is_turned_away() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let node = Node::start(&authority, authority.issue("node", 2100), true).await;
    let right = || authority.client(Some(authority.issue("modality", 2100)));
    node.echo(None).await.unwrap();
    node.echo(Some(right())).await.unwrap();

    let refused = async |what: &str, tls: ClientFiles| {
        let error = node.echo(Some(tls)).await.expect_err(what);
        assert!(!error.is_permanent() && matches!(error, DeliveryError::Connect { .. }), "{what}: {error}");
        // The node lives on, and tells friend from foe.
        node.echo(Some(right())).await.unwrap();
    };
    refused("absent", authority.client(None)).await;
    refused("expired", authority.client(Some(authority.issue("expired", 2001)))).await;
    refused("another authority's", authority.client(Some(stranger.issue("stranger", 2100)))).await;
    // The other way round: we do not talk to a node that we cannot verify.
    refused("node of an unknown authority", ClientFiles { ca: stranger.path("ca.crt"), ..right() }).await;
    refused("node of another name", ClientFiles { server_name: "elsewhere.example".into(), ..right() }).await;

    // Plain DICOM on the secured port is no handshake.
    let plain_on_secured = soon(scu::echo(&peer(node.secured, None), PATIENCE)).await;
    assert!(plain_on_secured.is_err());
    node.echo(Some(right())).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_certificate_has_expired_is_not_sent_to() {
    let authority = Authority::new();
    let node = Node::start(&authority, authority.issue("node", 2001), false).await;
    let error = node.echo(Some(authority.client(None))).await.unwrap_err().to_string();
    assert!(error.contains("xpired"), "{error}");
    node.stop().await;
}

/// RFC 6066 section 3: a peer names the server it wants; without a name the first certificate is shown.
#[tokio::test]
async fn a_node_of_several_names_shows_the_certificate_of_the_name_asked_for() {
    let (inner, outer) = (Authority::new(), Authority::new());
    let identities = vec![inner.issue_to("a", 2100, &["ai.hospital"]), outer.issue_to("b", 2100, &["ai.example.org"])];
    let files = ServerFiles { identities, client_ca: None, require_client: false, revocation_lists: Vec::new() };
    let node = Node::start_with(files).await;
    let named = |ca: &Authority, name: &str| ClientFiles { server_name: name.into(), ..ca.client(None) };
    node.echo(Some(named(&inner, "ai.hospital"))).await.unwrap();
    node.echo(Some(named(&outer, "ai.example.org"))).await.unwrap();
    assert!(node.echo(Some(named(&outer, "ai.hospital"))).await.is_err(), "another authority's certificate was taken");
    assert!(node.echo(Some(named(&inner, "127.0.0.1"))).await.is_err(), "a certificate without the address was taken");
    node.stop().await;
}

#[tokio::test]
async fn a_replaced_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let (authority, successor) = (Authority::new(), Authority::new());
    let identity = authority.issue("node", 2100);
    let node = Node::start(&authority, identity.clone(), false).await;
    node.echo(Some(authority.client(None))).await.unwrap();
    std::fs::write(&identity.certificate, "half a file").unwrap();
    node.echo(Some(authority.client(None))).await.unwrap();
    let renewed = successor.issue("node", 2100);
    std::fs::copy(&renewed.key, &identity.key).unwrap();
    std::fs::copy(&renewed.certificate, &identity.certificate).unwrap();
    node.echo(Some(successor.client(None))).await.unwrap();
    assert!(node.echo(Some(authority.client(None))).await.is_err());
    node.stop().await;
}

/// RFC 5280 section 5: a certificate that its authority has revoked counts no more; the list may be replaced at any time.
#[tokio::test]
async fn a_revoked_certificate_is_turned_away_from_the_moment_it_is_listed() {
    let authority = Authority::new();
    let [node, kept, lost] = ["node", "kept", "lost"].map(|name| authority.issue(name, 2100));
    let list = authority.path("hospital.crl");
    std::fs::write(&list, authority.revoking(&[])).unwrap();
    let files = ServerFiles {
        identities: vec![node],
        client_ca: Some(authority.path("ca.crt")),
        require_client: true,
        revocation_lists: vec![list.clone()],
    };
    let node = Node::start_with(files).await;
    let shown = |identity: &Identity| authority.client(Some(identity.clone()));
    node.echo(Some(shown(&kept))).await.unwrap();
    node.echo(Some(shown(&lost))).await.unwrap();
    std::fs::write(&list, authority.revoking(&["lost"])).unwrap();
    let error = node.echo(Some(shown(&lost))).await.unwrap_err();
    assert!(matches!(error, DeliveryError::Connect { .. }), "{error}");
    node.echo(Some(shown(&kept))).await.unwrap();
    node.stop().await;
}

/// `+tla`: TLS without, `+tls`: with a certificate of one's own.
#[tokio::test]
async fn dcmtk_stores_over_tls() {
    if !dcmtk("storescu") || !dcmtk("echoscu") {
        return;
    }
    let authority = Authority::new();
    let (own, ca) = (authority.issue("modality", 2100), authority.path("ca.crt"));
    let file = authority.path("1.dcm");
    let sent = mr("1.2.3.1", EXPLICIT).bytes;
    std::fs::write(&file, &sent).unwrap();
    let open = Node::start(&authority, authority.issue("node", 2100), false).await;
    let closed = Node::start(&authority, authority.issue("node-2", 2100), true).await;
    let anonymous = |port| words(&format!("+tla +cf FILE -aec SAGITTAL 127.0.0.1 {port}"), &[&ca]);
    let output = run("echoscu", anonymous(open.secured.port())).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run("echoscu", anonymous(closed.secured.port())).await;
    assert!(!output.status.success(), "a sender without certificate was let in");

    let store = format!("+tls FILE FILE +cf FILE -aec SAGITTAL 127.0.0.1 {} FILE", closed.secured.port());
    let output = run("storescu", words(&store, &[&own.key, &own.certificate, &ca, &file])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    open.stop().await;
    let inbox = closed.stop().await;
    let stored = inbox.requests.lock().unwrap();
    assert_eq!(stored.len(), 1);
    assert!(sent.ends_with(&stored[0].dataset), "the object changed on its way");
}
