"""The audit trail (PS3.15 section A.5): every message against the standard's schema, in a file and at a syslog server; and
patients nowhere else."""

import re
import socketserver
import threading

import phantom
import settings
from lxml import etree
from observe import PATIENT, patients
from support import BIN, ROOT, Node, free_port, receive, run, storescu, wait, workspace

SCHEMA = etree.RelaxNG(etree.parse(ROOT / "tests/peers/audit.rng"))


class Syslog(socketserver.ThreadingTCPServer):
    """A server that takes octet-counted messages (RFC 6587 section 3.4.1)."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port):
        self.records = []
        super().__init__(("127.0.0.1", port), self.handler())
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handler(server):
        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while length := b"".join(iter(lambda: self.rfile.read(1), b" ") if self.rfile.peek(1) else ()):
                    server.records.append(self.rfile.read(int(length)).decode())

        return Handler


def site(name, audit):
    folder = workspace(name)
    dead = {"kind": "dicom", "host": "127.0.0.1", "port": free_port(), "ae_title": "DEAD", "confirm": "none",
            "backoff_cap": "1 s", "max_attempts": 1}
    targets = {"out": {"kind": "folder", "path": str(folder / "out")}, "dead": dead}
    texts = settings.files({"ball": "threshold"}, [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")], targets)
    texts["node.toml"] = texts["node.toml"].replace("[receive]\n", '[receive]\nallow = ["STORESCU"]\n')
    texts["node.toml"] += f"\n[audit]\n{audit}"
    return folder, Node(folder / "node", texts)


def read(text):
    """(event, types, outcome, message) of an audit message that follows the schema."""
    message = etree.fromstring(text.encode())
    assert SCHEMA.validate(message), f"{SCHEMA.error_log}\n{text}"
    event = message.find("EventIdentification")
    codes = lambda path: [code.get("originalText") for code in event.findall(path)]
    return codes("EventID")[0], codes("EventTypeCode"), event.get("EventOutcomeIndicator"), message


def named(message, kind):
    """The values of the participant objects of a kind."""
    objects = message.findall("ParticipantObjectIdentification")
    return [o.get("ParticipantObjectID") for o in objects if o.find("ParticipantObjectIDTypeCode").get("originalText") == kind]


def test_every_step_of_a_series_is_in_the_trail():
    port = free_port()
    server = f'[audit.syslog]\nhost = "127.0.0.1"\nport = {port}\n'
    folder, node = site("audit", f'file = "../audit.xml"\n{server}')
    trail = node.folder / "audit.xml"
    try:
        files = patients(folder, "series")
        receive(node, files)
        over = lambda: {j["destination"]: j["state"] for j in node.jobs()}
        wait("one delivery done, one given up", lambda: over().get("out") == "completed" and over().get("dead") == "discarded")
        assert storescu(node, files, ("-aet", "STRANGER"))[0] != 0
        dead = next(j["id"] for j in node.jobs() if j["destination"] == "dead")
        node.command("jobs", "cancel", dead, check=False)
        node.command("jobs", "retry", dead)
        wait("the operator's retry is in the trail", lambda: "Use of Restricted Function" in trail.read_text())
        syslog = Syslog(port)
        wait("the server was told all, though it was away first", lambda: len(syslog.records) >= 6)
    finally:
        node.stop()
    messages = [read(line) for line in trail.read_text().splitlines()]
    found = [(event, *types, outcome) for event, types, outcome, _ in messages]
    for expected in [
        ("Application Activity", "Application Start", "0"), ("Begin Transferring DICOM Instances", "0"),
        ("DICOM Instances Transferred", "0"), ("DICOM Instances Transferred", "8"),
        ("Security Alert", "Node Authentication", "8"), ("Security Alert", "Use of Restricted Function", "0"),
        ("Security Alert", "Software Configuration", "0"), ("Application Activity", "Application Stop", "0"),
    ]:
        assert expected in found, f"{expected} not in {found}"
    assert found[-1][1] == "Application Stop", found
    transfers = [message for event, _, _, message in messages if event == "DICOM Instances Transferred"]
    assert len(transfers) >= 3, found
    for message in transfers:
        assert named(message, "Patient Number") == [PATIENT["PatientID"]], etree.tostring(message)
        assert len(named(message, "Study Instance UID")) == 1
    received = next(m for m in transfers if m.find("ActiveParticipant").get("UserID") == "STORESCU")
    assert received.find(".//SOPClass").get("NumberOfInstances") == str(len(files))
    said = [name for name, value in PATIENT.items() if value in node.log()]
    assert not said, f"{said} in the log"
    head = re.compile(r"<85>1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+ sagittal \d+ DICOM\+RFC3881 - \ufeff(<\?xml.*)$")
    remote = [head.fullmatch(record) for record in syslog.records]
    assert all(remote), syslog.records[0][:200]
    lines = trail.read_text().splitlines()
    assert [match[1] for match in remote][: len(syslog.records)] == lines[: len(syslog.records)], "file and server differ"


def test_patients_can_be_kept_out_of_the_trail():
    folder, node = site("audit-anonymous", 'file = "../audit.xml"\npatients = false\n')
    trail = node.folder / "audit.xml"
    try:
        receive(node, patients(folder, "series", slices=2))
        wait("the transfer is in the trail", lambda: "DICOM Instances Transferred" in trail.read_text())
    finally:
        node.stop()
    messages = [read(line) for line in trail.read_text().splitlines()]
    assert any(named(message, "Study Instance UID") for *_, message in messages)
    said = [name for name, value in PATIENT.items() if value in trail.read_text()]
    assert not said, f"{said} in the trail"


def test_an_audit_table_without_a_sink_is_refused():
    folder = workspace("audit-empty")
    texts = settings.files({}, [], {})
    texts["node.toml"] += "\n[audit]\npatients = true\n"
    for name, text in texts.items():
        (folder / name).write_text(text)
    done = run(BIN, "check", "--config", folder, check=False)
    assert done.returncode == 2 and "file, [audit.syslog], or both" in done.stdout + done.stderr, done.stdout + done.stderr
