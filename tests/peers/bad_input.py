"""What a node has to bear: objects it must refuse, files that are no DICOM, peers that hang up in the middle."""

import socket
import struct

import phantom
import settings
from support import BIN, Node, asset, run, storescu, wait, workspace


def lone_node(name, rules=(("phantoms", {"SeriesDescription": "T1 phantom"}, "ball"),), **options):
    """A node that delivers into a folder."""
    folder = workspace(name)
    destination = {"folder": {"kind": "folder", "path": str(folder / "out")}}
    return folder, Node(folder / "node", settings.files({"ball": "threshold"}, list(rules), destination, **options))


def still_works(folder, node, name):
    """The node is alive and takes a good series all the way."""
    assert node.program.alive(), node.log()[-2000:]
    files = phantom.write(folder / f"good-{name}", name)
    status, acked, output = storescu(node, files)
    assert status == 0 and len(acked) == len(files), output
    before = set((folder / "out").rglob("*.dcm"))
    wait("the good series' SEG", lambda: set((folder / "out").rglob("*.dcm")) - before)


def test_empty_uids_are_refused():
    files = sorted(asset("data/ct_body_dicom").iterdir())
    folder, node = lone_node("empty-uids")
    try:
        for file in files[:3]:
            # storescu repairs nothing: it sends what the file says, or says itself that it cannot.
            _, acked, output = storescu(node, [file], options=["-xs"])
            assert not acked, f"an instance without UIDs was acknowledged:\n{output}"
        status = raw_store_with_empty_uid(node)
        assert status not in (0, None) and status >= 0xA000, f"status {status!r}"
        still_works(folder, node, "after-empty-uids")
    finally:
        node.stop()


def test_odd_files_leave_the_node_alive():
    files = sorted(f for f in asset("data/odd").rglob("*.dcm"))
    folder, node = lone_node("odd")
    try:
        accepted = 0
        for file in files:
            _, acked, output = storescu(node, [file], options=["-xf"] if False else [])
            answered = "Received Store Response" in output
            sent = "Sending file" in output and "Unable" not in output and "No presentation context" not in output
            assert answered or not sent or "Bad DICOM file" in output or "error" in output.lower(), output
            accepted += len(acked)
        assert accepted > 0, "none of the odd files was accepted"
        still_works(folder, node, "after-odd")
        return f"{accepted} of {len(files)} accepted"
    finally:
        node.stop()


def test_a_truncated_association_loses_nothing_acknowledged():
    folder, node = lone_node("truncated")
    try:
        with socket.create_connection((node.host, node.port)) as peer:
            peer.sendall(associate_request(b"SAGITTAL", b"CUT"))
            assert read_pdu(peer)[0] == 2, "no A-ASSOCIATE-AC"
            peer.sendall(struct.pack(">BBI", 4, 0, 50_000) + b"\0" * 100)
        with socket.create_connection((node.host, node.port)) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        still_works(folder, node, "after-truncated")
    finally:
        node.stop()


def test_a_missing_slice_is_named_and_not_run():
    folder, node = lone_node("missing-slice")
    try:
        files = phantom.write(folder / "series", "gap", slices=10, skip=(4,))
        status, acked, output = storescu(node, files)
        assert status == 0 and len(acked) == len(files), output
        still_works(folder, node, "after-gap")
        assert len(list((folder / "out").rglob("*.dcm"))) == 1, "a series with a gap got a result"
        said = node.log() + str(node.jobs())
        assert "missing-slices" in said, "nobody says that slices are missing"
    finally:
        node.stop()


def test_three_mistakes_in_the_rules_are_all_named():
    folder = workspace("mistakes")
    files = settings.files({"ball": "threshold"}, [], {})
    files["rules.toml"] = """\
[[rule]]
name = "one"
pipelin = "ball"
destinations = []

[[rule]]
name = "two"
pipeline = "bal"
destinations = []
[rule.when]
Modalty = "MR"
"""
    node = Node(folder / "node", files, start=False)
    for command in (["check"], ["serve"]):
        done = run(BIN, *command, "--config", node.config, check=False, limit=60)
        said = done.stdout + done.stderr
        assert done.returncode == 2, (done.returncode, said)
        missing = [word for word in ("pipelin", "bal", "Modalty", "rules.toml:3", "did you mean") if word not in said]
        assert not missing, f"{missing} not in:\n{said}"


def test_a_file_that_is_no_dicom_is_said_to_be_none():
    folder = workspace("no-dicom")
    node = Node(folder / "node", settings.files({"ball": "threshold"}, [], {}), start=False)
    series = phantom.write(folder / "series", "no-dicom")
    (folder / "series/notes.dcm").write_text("these are not the bytes you are looking for")
    done = run(BIN, "run", "ball", folder / "series", "-o", folder / "out", "--config", node.config, check=False)
    assert done.returncode == 3, (done.returncode, done.stdout + done.stderr)
    assert "notes.dcm" in done.stdout + done.stderr
    assert len(list((folder / "out").rglob("*.dcm"))) == 1, f"{len(series)} good slices gave no result"


def raw_store_with_empty_uid(node):
    """The status of a C-STORE whose Affected SOP Instance UID is empty, sent byte by byte; None when there is no answer."""
    with socket.create_connection((node.host, node.port), timeout=20) as peer:
        peer.sendall(associate_request(b"SAGITTAL", b"EMPTY"))
        assert read_pdu(peer)[0] == 2
        element = lambda tag, value: struct.pack("<HHI", 0, tag, len(value)) + value
        body = (element(0x0002, b"1.2.840.10008.5.1.4.1.1.4\0") + element(0x0100, struct.pack("<H", 1))
                + element(0x0110, struct.pack("<H", 7)) + element(0x0700, struct.pack("<H", 0))
                + element(0x0800, struct.pack("<H", 0)) + element(0x1000, b""))
        peer.sendall(p_data(3, element(0, struct.pack("<I", len(body))) + body))
        modality = struct.pack("<HHI", 0x0008, 0x0060, 2) + b"MR"
        peer.sendall(p_data(2, modality))
        kind, answer = read_pdu(peer)
        return int.from_bytes(element_value(answer[6:], 0x0900), "little") if kind == 4 else None


def element_value(command, wanted):
    while command:
        _, tag, length = struct.unpack("<HHI", command[:8])
        if tag == wanted:
            return command[8 : 8 + length]
        command = command[8 + length :]
    raise AssertionError(f"no element 0000,{wanted:04x} in the answer")


def associate_request(called, calling):
    """A-ASSOCIATE-RQ that proposes MR Image Storage in Implicit VR Little Endian (PS3.8 section 9.3.2)."""
    item = lambda kind, value: struct.pack(">BBH", kind, 0, len(value)) + value
    context = item(0x20, b"\1\0\0\0" + item(0x30, b"1.2.840.10008.5.1.4.1.1.4") + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + b"\0" * 32
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def p_data(flags, fragment):
    """One P-DATA-TF of one PDV in context 1; flags: 1 command, 2 last."""
    value = struct.pack(">IBB", len(fragment) + 2, 1, flags) + fragment
    return struct.pack(">BBI", 4, 0, len(value)) + value


def read_pdu(peer):
    head = exactly(peer, 6)
    return head[0], exactly(peer, int.from_bytes(head[2:], "big"))


def exactly(peer, count):
    data = b""
    while len(data) < count:
        part = peer.recv(count - len(data))
        assert part, "the node hung up"
        data += part
    return data
