"""DICOM over TLS with DCMTK, both ways round: certificates right, wrong, expired and absent (PS3.15 annex B.12)."""

import signal
import subprocess

import pydicom

import phantom
import settings
from support import BIN, ENVIRONMENT, Node, acknowledged, free_port, run, wait, workspace

OPENSSL = """\
[ca]
basicConstraints = critical, CA:TRUE
[node]
subjectAltName = DNS:localhost, IP:127.0.0.1
"""


class Authority:
    """A certificate authority and what it issues, as PEM files in a folder."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "openssl.cnf"
        self.config.write_text(OPENSSL)
        self.certificate = folder / f"{name}.crt"
        self._request(name)
        run("openssl", "x509", "-req", "-in", folder / f"{name}.csr", "-signkey", folder / f"{name}.key", "-days", "30",
            "-extfile", self.config, "-extensions", "ca", "-out", self.certificate)

    def _request(self, name):
        run("openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.csr")

    def issue(self, name, days=30):
        """(key, certificate); with negative days it has expired."""
        self._request(name)
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        run("openssl", "x509", "-req", "-in", self.folder / f"{name}.csr", "-CA", self.certificate,
            "-CAkey", self.folder / f"{self.name}.key", "-CAcreateserial", "-days", days, "-extfile", self.config,
            "-extensions", "node", "-out", certificate)
        return key, certificate


def secured_node(folder, authority, mutual):
    key, certificate = authority.issue("node")
    tls = {"listen": "127.0.0.1:0", "certificate": str(certificate), "key": str(key)}
    if mutual:
        tls["client_ca"] = str(authority.certificate)
    files = settings.files({}, [], {})
    files["node.toml"] += settings.table("tls", tls)
    node = Node(folder / "node", files)
    node.tls_port = node.program.ready["dicom-tls"].rsplit(":", 1)[1]
    return node


def dcmtk(program, port, *options, files=()):
    done = run(program, "-v", *options, "-aec", "SAGITTAL", "127.0.0.1", port, *files, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_dcmtk_stores_with_the_right_certificate_and_with_no_other():
    folder = workspace("tls-in")
    hospital, stranger = Authority(folder / "pki", "hospital"), Authority(folder / "elsewhere", "stranger")
    node = secured_node(folder, hospital, mutual=True)
    try:
        trusting = ("+cf", hospital.certificate)
        right = ("+tls", *hospital.issue("modality"), *trusting)
        files = phantom.write(folder / "series", "tls", slices=5)
        fine, output = dcmtk("storescu", node.tls_port, *right, "-R", files=files)
        assert fine and len(acknowledged(output)) == len(files), output
        for what, options in {
            "absent": ("+tla", *trusting),
            "expired": ("+tls", *hospital.issue("expired", -1), *trusting),
            "another authority's": ("+tls", *stranger.issue("modality"), *trusting),
        }.items():
            fine, output = dcmtk("echoscu", node.tls_port, *options)
            assert not fine, f"{what}: let in\n{output}"
            fine, output = dcmtk("echoscu", node.tls_port, *right)
            assert fine, f"after a certificate that was {what}: {output}"
        fine, output = dcmtk("echoscu", node.tls_port, "+tls", *hospital.issue("wary"), "+cf", stranger.certificate)
        assert not fine, f"DCMTK took our certificate for its own authority's:\n{output}"
        fine, output = dcmtk("echoscu", node.tls_port)
        assert not fine, "plain DICOM on the TLS port"
        fine, output = dcmtk("echoscu", node.port)
        assert fine, f"the plain port beside it: {output}"
    finally:
        node.stop()


def test_dcmtk_stores_without_a_certificate_where_none_is_asked_for():
    folder = workspace("tls-anonymous")
    hospital = Authority(folder / "pki", "hospital")
    node = secured_node(folder, hospital, mutual=False)
    try:
        files = phantom.write(folder / "series", "tls-anonymous", slices=3)
        fine, output = dcmtk("storescu", node.tls_port, "+tla", "+cf", hospital.certificate, "-R", files=files)
        assert fine and len(acknowledged(output)) == len(files), output
    finally:
        node.stop()


def test_a_renewed_certificate_is_read_on_sighup():
    folder = workspace("tls-renewed")
    old, new = Authority(folder / "old", "old"), Authority(folder / "new", "new")
    node = secured_node(folder, old, mutual=False)
    trusted = lambda: [dcmtk("echoscu", node.tls_port, "+tla", "+cf", authority.certificate)[0] for authority in (old, new)]
    try:
        assert (of := trusted()) == [True, False], f"old, new: {of}"
        key, certificate = new.issue("node")
        (old.folder / "node.key").write_bytes(key.read_bytes())
        (old.folder / "node.crt").write_bytes(certificate.read_bytes())
        node.program.process.send_signal(signal.SIGHUP)
        wait("the log says so", lambda: "were read again" in node.log())
        assert (of := trusted()) == [False, True], f"old, new: {of}"
    finally:
        node.stop()


class SecuredStoreScp:
    """DCMTK's storescp on a TLS port, asking for certificates of `authority`."""

    def __init__(self, folder, authority, name):
        self.folder, self.port = folder / name, free_port()
        self.folder.mkdir()
        command = ["storescp", "-od", self.folder, "-aet", "PACS", "+tls", *authority.issue(name),
                   "+cf", authority.certificate, "-rc", "+xa", self.port]
        with (folder / f"{name}.log").open("wb") as log:
            self.process = subprocess.Popen([str(c) for c in command], env=ENVIRONMENT, stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        self.process.wait(300)

    def files(self):
        return list(self.folder.iterdir())


def send(port, files, *options):
    done = run(BIN, "send", f"localhost:{port}", "--called", "PACS", *options, *files, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def test_the_node_sends_to_dcmtk_over_tls():
    folder = workspace("tls-out")
    hospital, stranger = Authority(folder / "pki", "hospital"), Authority(folder / "elsewhere", "stranger")
    pacs = SecuredStoreScp(folder, hospital, "pacs")
    key, certificate = hospital.issue("sender")
    ours = ("--tls-ca", hospital.certificate, "--tls-certificate", certificate, "--tls-key", key)
    try:
        echo = lambda: run(BIN, "echo", f"localhost:{pacs.port}", "--called", "PACS", *ours, check=False).returncode == 0
        wait("storescp listens", echo)
        files = phantom.write(folder / "series", "tls-out", slices=3)
        fine, output = send(pacs.port, files, *ours)
        assert fine, output
        sent = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file).PixelData for file in files}
        got = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file).PixelData for file in pacs.files()}
        assert got == sent, f"sent {set(sent)}, got {set(got)}, or other pixels"
        fine, output = send(pacs.port, files, "--tls-ca", hospital.certificate)
        assert not fine, "DCMTK took objects from a sender without certificate"
        fine, output = send(pacs.port, files, "--tls-ca", stranger.certificate, *ours[2:])
        assert not fine and "UnknownIssuer" in output, output
        fine, output = send(pacs.port, files, *ours, "--tls-name", "elsewhere.example")
        assert not fine and "elsewhere.example" in output, output
        fine, output = send(pacs.port, files)
        assert not fine, "plain DICOM was taken on a TLS port"
    finally:
        pacs.stop()


def test_a_result_is_delivered_to_dcmtk_over_tls():
    folder = workspace("tls-result")
    hospital = Authority(folder / "pki", "hospital")
    pacs = SecuredStoreScp(folder, hospital, "pacs")
    key, certificate = hospital.issue("node")
    destination = {"kind": "dicom", "host": "localhost", "port": pacs.port, "ae_title": "PACS", "confirm": "none",
                   "backoff_cap": "1 s", "timeout": "120 s", "tls": True, "ca": str(hospital.certificate),
                   "certificate": str(certificate), "key": str(key)}
    rules = [("phantoms", {"Modality": "MR"}, "ball")]
    node = Node(folder / "node", settings.files({"ball": "threshold"}, rules, {"pacs": destination}))
    try:
        fine, output = dcmtk("storescu", node.port, "-R", files=phantom.write(folder / "series", "tls-result"))
        assert fine, output
        [file] = wait("the SEG at storescp", pacs.files)
        modality = pydicom.dcmread(file).Modality
        assert modality == "SEG", modality
    finally:
        node.stop()
        pacs.stop()
