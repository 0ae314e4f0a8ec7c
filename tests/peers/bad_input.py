"""What a node has to bear: objects it must refuse, files that are no DICOM, peers that hang up in the middle."""

import shutil
import socket
import struct

import models
import phantom
import settings
import wire
from support import BIN, ROOT, Node, asset, receive, run, wait, workspace

CT = "1.2.840.10008.5.1.4.1.1.2"


def lone_node(name, environment=(), **options):
    """A node that delivers into a folder."""
    folder = workspace(name)
    rules = [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")]
    destination = {"folder": {"kind": "folder", "path": str(folder / "out")}}
    files = settings.files({"ball": "threshold"}, rules, destination, **options)
    return folder, Node(folder / "node", files, environment=environment)


def still_works(folder, node, name):
    """The node is alive and takes a good series all the way."""
    assert node.program.alive(), node.log()[-2000:]
    files = phantom.write(folder / f"good-{name}", name)
    receive(node, files)
    before = set((folder / "out").rglob("*.dcm"))
    wait("the good series' SEG", lambda: set((folder / "out").rglob("*.dcm")) - before)


def test_empty_uids_are_refused():
    files = sorted(asset("data/ct_body_dicom").iterdir())
    folder, node = lone_node("empty-uids")
    try:
        for n, file in enumerate(files):
            _, syntax, _, data = wire.read_raw(file)
            # PS3.7 section 9.1.1.1.9: 0117 invalid SOP instance; PS3.4 section B.2.3: Cxxx cannot understand
            assert wire.store(node, CT, syntax, "", data) == 0x0117, f"{file.name}, announced without a UID"
            assert wire.store(node, CT, syntax, f"1.2.3.{n}", data) == 0xC000, f"{file.name}, announced with a UID"
        kept = {f.name for f in (folder / "node/data/spool/quarantine").iterdir()}
        assert all(any(name.startswith(f"1.2.3.{n}-") for name in kept) for n in range(len(files))), kept
        assert all(f"{name}.json" in kept for name in kept if not name.endswith(".json")), kept
        assert sum(name.startswith("no-uid-") and name.endswith(".dcm") for name in kept) == len(files), kept
        assert node.command("jobs", "list", "--json").stdout.strip() == "[]"
        still_works(folder, node, "after-empty-uids")
        return f"{len(files)} slices, refused twice each"
    finally:
        node.stop()


def test_odd_files_get_an_honest_answer():
    files = sorted(f for f in asset("data/odd").rglob("*.dcm"))
    folder, node = lone_node("odd")
    try:
        answers = {}
        for file in files:
            sop_class, syntax, instance, data = wire.read_raw(file)
            answers[file.name] = wire.store(node, sop_class, syntax, instance, data)
            assert node.program.alive(), f"{file.name} ended the node:\n{node.log()[-2000:]}"
        # Private and retired SOP classes may be refused before any C-STORE; whatever was sent has a status.
        silent = {n: a for n, a in answers.items() if a in ("aborted", "rejected")}
        assert not silent, f"no C-STORE response: {silent}"
        wrong = [n for n in ("GH342.dcm", "chrH31.dcm", "waveform_ecg.dcm") if answers[n] != 0]
        assert not wrong, f"valid, if unusual, and refused: { {n: answers[n] for n in wrong} }"
        assert answers["chrSQEncoding.dcm"] != 0, "an instance without identifiers was acknowledged"
        still_works(folder, node, "after-odd")
        refused = (f"{n} {a:04X}" if isinstance(a, int) else f"{n} {a}" for n, a in answers.items() if a != 0)
        return f"{len(files)} files; refused: {', '.join(refused)}"
    finally:
        node.stop()


def test_peers_that_hang_up_leave_the_node_alive():
    folder, node = lone_node("truncated")
    half_a_pdu = struct.pack(">BBI", 4, 0, 50_000) + b"\0" * 100
    try:
        for words in (half_a_pdu, wire.p_data(wire.COMMAND, b"\0" * 20), b"", wire.p_data(wire.LAST, b"no command before me")):
            with socket.create_connection((node.host, node.port)) as peer:
                peer.sendall(wire.associate_request(CT, wire.IMPLICIT))
                assert wire.read_pdu(peer)[0] == 2, "no A-ASSOCIATE-AC"
                peer.sendall(words)
        with socket.create_connection((node.host, node.port)) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        for file in phantom.write(folder / "series", "half"):
            wire.store_half(node, *wire.read_raw(file))
        still_works(folder, node, "after-truncated")
        jobs = [j for j in node.jobs() if j["kind"] == "infer"]
        assert len(jobs) == 1, f"half a data set became a series: {jobs}"
    finally:
        node.stop()


def test_a_missing_slice_is_named_and_not_run():
    folder, node = lone_node("missing-slice")
    try:
        files = phantom.write(folder / "series", "gap", slices=10, skip=(4,))
        receive(node, files)
        still_works(folder, node, "after-gap")
        assert len(list((folder / "out").rglob("*.dcm"))) == 1, "a series with a gap got a result"
        said = node.log() + str(node.jobs())
        assert "missing-slices" in said, "nobody says that slices are missing"
    finally:
        node.stop()


def test_a_missing_runtime_is_named_and_the_series_waits_for_it():
    library = workspace("no-runtime-library") / "runtime"
    folder, node = lone_node("no-runtime", environment={"ORT_DYLIB_PATH": str(library)})
    try:
        job = failed_job(folder, node, "no-runtime", "retryable", ("ONNX Runtime is not installed", "make runtime"))
        library.symlink_to(ROOT / ".runtime")
        retry(folder, node, job)
    finally:
        node.stop()


def test_a_model_with_another_sha256_is_refused():
    package = workspace("other-sha256-models") / "threshold"
    shutil.copytree(models.folder() / "threshold", package)
    network = package / "threshold.onnx"
    good = network.read_bytes()
    network.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    folder, node = lone_node("other-sha256", model_folder=package.parent)
    try:
        check = run(BIN, "models", "check", "--models", package.parent, check=False)
        assert check.returncode == 1 and "sha256" in check.stdout, check.stdout + check.stderr
        job = failed_job(folder, node, "other-sha256", "discarded", ("threshold.onnx", "sha256", "refused"))
        network.write_bytes(good)
        retry(folder, node, job)
    finally:
        node.stop()


def failed_job(folder, node, name, state, words):
    """The infer job of a new series, once it is in `state` with an error that holds `words`."""
    files = phantom.write(folder / f"series-{name}", name)
    receive(node, files)
    [job] = wait(f"a {state} job", lambda: [j for j in node.jobs() if j["state"] == state])
    missing = [word for word in words if word not in job["last_error"]]
    assert not missing, f"{missing} not in: {job['last_error']}"
    return job["id"]


def retry(folder, node, job):
    """What an operator does when the cause is gone: nothing that was acknowledged has been lost."""
    node.command("jobs", "retry", job)
    wait("the SEG after `jobs retry`", lambda: list((folder / "out").rglob("*.dcm")))


def test_three_mistakes_in_the_rules_are_all_named():
    folder = workspace("mistakes")
    destinations = {"folder": {"kind": "folder", "path": str(folder / "out")}}
    files = settings.files({"ball": "threshold"}, [], destinations)
    files["rules.toml"] = """\
[[rule]]
name = "one"
pipelin = "ball"
send_to = ["folder"]
when.Modality = "MR"

[[rule]]
name = "two"
pipeline = "bal"
send_to = ["folder"]
when.Modalty = "MR"
"""
    node = Node(folder / "node", files, start=False)
    for command in (["check"], ["serve"]):
        done = run(BIN, *command, "--config", node.config, check=False)
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
    assert "notes.dcm" in done.stdout + done.stderr, done.stdout + done.stderr
    assert len(list((folder / "out").rglob("*.dcm"))) == 1, f"{len(series)} good slices gave no result"
