"""The same SOP Instance UID twice, late instances, two senders of one series, unusual classes."""

import json
import threading

import phantom
import pydicom
import settings
import wire
from interop import held
from support import Node, asset, storescu, wait, workspace

PRIVATE = "1.3.46.670589.5.0.1.1"


def site(name, receive="", rules=(("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball"),), **options):
    folder = workspace(name)
    texts = settings.files({"ball": "threshold"}, rules, {"folder": {"kind": "folder", "path": str(folder / "out")}}, **options)
    texts["node.toml"] = texts["node.toml"].replace("[completion]", f"{receive}\n[completion]")
    return folder, Node(folder / "node", texts)


def send(node, file, data=None):
    sop_class, syntax, instance, own = wire.read_raw(file)
    return wire.store(node, sop_class, syntax, instance, data or own)


def changed(file):
    """The data set of the file with another series description, under the same UIDs."""
    _, _, _, data = wire.read_raw(file)
    other = data.replace(b"T1 phantom", b"T2 phantom")
    assert other != data, f"{file} has another description"
    return other


def results(folder):
    return list((folder / "out").rglob("*.dcm"))


def infer_jobs(node):
    return [job for job in node.jobs() if job["kind"] == "infer"]


def test_the_same_bytes_again_change_nothing():
    folder, node = site("duplicates-same")
    try:
        files = phantom.write(folder / "series", "same")
        assert storescu(node, files)[0] == 0
        wait("the SEG", lambda: results(folder))
        assert [send(node, file) for file in files] == [0] * len(files)
        assert json.loads(node.command("series", "list", "--json").stdout) == [], "an open revision for nothing new"
        assert len(infer_jobs(node)) == 1, infer_jobs(node)
    finally:
        node.stop()


def test_other_bytes_follow_the_policy():
    for policy, answer, kept in (("replace", 0, "other"), ("keep-first", 0, "first"), ("refuse", 0x0111, "first")):
        folder, node = site(f"duplicates-{policy}", f'duplicates = "{policy}"')
        try:
            [file] = phantom.write(folder / "series", "policy", slices=1)
            _, syntax, instance, first = wire.read_raw(file)
            series, other = str(pydicom.dcmread(file).SeriesInstanceUID), changed(file)
            assert send(node, file) == 0
            assert send(node, file, other) == answer, policy
            assert held(node, series, instance) == (syntax, {"first": first, "other": other}[kept]), policy
            listed = json.loads(node.command("quarantine", "list", "--json").stdout)
            statuses = [entry["status"] for entry in listed]
            assert statuses == {"replace": [], "keep-first": ["0000"], "refuse": ["0111"]}[policy], (policy, listed)
            node.kill()
            node.start()
            assert held(node, series, instance) == (syntax, {"first": first, "other": other}[kept]), f"{policy}, after a kill"
            if listed:
                assert node.command("quarantine", "retry", listed[0]["name"], check=False).returncode == 1, policy
                config = node.config / "node.toml"
                node.stop()
                config.write_text(config.read_text().replace(policy, "replace"))
                node.start()
                node.command("quarantine", "retry", listed[0]["name"])
                assert held(node, series, instance) == (syntax, other), f"{policy}, retried under another policy"
        finally:
            node.stop()


def test_two_senders_and_several_associations_make_one_series():
    folder, node = site("duplicates-two-senders", quiet="1 h", silence="1 h")
    try:
        files = phantom.write(folder / "series", "two-senders", slices=12)
        outcomes = {}

        def store(name, part):
            outcomes[name] = [storescu(node, [file], ("-aet", name))[0] for file in part]

        senders = [threading.Thread(target=store, args=(f"SENDER{n}", files[n::2])) for n in (0, 1)]
        [sender.start() for sender in senders]
        [sender.join() for sender in senders]
        assert sorted(outcomes) == ["SENDER0", "SENDER1"] and not any(sum(outcomes.values(), [])), outcomes
        node.command("series", "close", str(pydicom.dcmread(files[0]).SeriesInstanceUID))
        wait("the SEG", lambda: results(folder))
        [seg] = [pydicom.dcmread(file) for file in results(folder)]
        [job] = infer_jobs(node)
        referenced = {str(i.ReferencedSOPInstanceUID) for i in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
        assert job["state"] == "completed", job
        assert referenced <= {str(pydicom.dcmread(f).SOPInstanceUID) for f in files}, referenced
    finally:
        node.stop()


def test_enhanced_multi_frame_is_kept_and_says_why_it_is_not_run():
    file = asset("data/enhanced/emri_small.dcm")
    folder, node = site("duplicates-enhanced", rules=(("every MR", {"Modality": "MR"}, "ball"),))
    try:
        assert send(node, file) == 0
        _, syntax, instance, data = wire.read_raw(file)
        assert held(node, str(pydicom.dcmread(file).SeriesInstanceUID), instance) == (syntax, data)
        [job] = wait("the job's verdict", lambda: [j for j in infer_jobs(node) if j["state"] == "discarded"])
        # an enhanced image says its planes in another way than slices do: the geometry check finds none
        assert "it is no-geometry" in job["last_error"] and "accepts regular" in job["last_error"], job["last_error"]
        return job["last_error"]
    finally:
        node.stop()


def test_private_classes_are_taken_when_configured():
    [file] = phantom.write(workspace("duplicates-private-phantom"), "private-class", slices=1)
    data = pydicom.dcmread(file)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = PRIVATE
    data.save_as(file)
    for receive, expected in (("", "context refused"), (f'private_classes = ["{PRIVATE}"]', 0)):
        _, node = site("duplicates-private", receive)
        try:
            assert send(node, file) == expected
        finally:
            node.stop()
