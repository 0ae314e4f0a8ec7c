"""Storage commitment with Orthanc: as the modality that asks the node, and as the PACS that the node asks."""

import json
import urllib.request

import phantom
import settings
from support import Node, Orthanc, storescu, wait, workspace


def put(orthanc, path, body):
    request = urllib.request.Request(orthanc.url + path, data=json.dumps(body).encode(), method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()


class Site:
    """A node that runs nothing, and an Orthanc that knows it as `sagittal`."""

    def __init__(self, name):
        folder = workspace(name)
        self.folder, self.modality, self.node = folder, Orthanc(folder / "modality", "CT1"), None
        try:
            files = settings.files({}, [], {})
            files["node.toml"] += settings.table("peer.CT1", {"host": "127.0.0.1", "port": self.modality.dicom})
            self.node = Node(folder / "node", files)
            self.put("/modalities/sagittal", {"AET": "SAGITTAL", "Host": "127.0.0.1", "Port": self.node.port})
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for thing in (self.node, self.modality):
            if thing:
                thing.stop()

    def put(self, path, body):
        put(self.modality, path, body)

    def add(self, path):
        """Gives a file to Orthanc, which names it."""
        request = urllib.request.Request(self.modality.url + "/instances", data=path.read_bytes())
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)["ID"]

    def report(self, path):
        """What Orthanc was told, once it was."""
        told = lambda: (answer := self.modality.ask(path)) and answer["Status"] != "Pending" and answer
        return wait(f"a report for {path}", told, 60)


def test_orthanc_is_told_what_the_node_holds_and_what_not():
    with Site("commitment") as site:
        instances = [site.add(path) for path in phantom.write(site.folder / "series", "commitment", slices=3)]
        sent = site.modality.ask("/modalities/sagittal/store", {"Resources": instances, "StorageCommitment": True, "Synchronous": True})
        report = site.report(f"/storage-commitment/{sent['StorageCommitmentTransactionUID']}")
        assert report["Status"] == "Success", report
        assert (len(report["Success"]), len(report["Failures"])) == (3, 0), report
        assert report["RemoteAET"] == "SAGITTAL", report
        unknown = {"SOPClassUID": report["Success"][0]["SOPClassUID"], "SOPInstanceUID": "1.2.3.4.5"}
        asked = site.modality.ask("/modalities/sagittal/storage-commitment", {"DicomInstances": [report["Success"][0], unknown]})
        report = site.report(asked["Path"])
        assert report["Status"] == "Failure", report
        assert [f["SOPInstanceUID"] for f in report["Failures"]] == ["1.2.3.4.5"], report
        assert "0112" in json.dumps(report["Failures"]) or 0x0112 in report["Failures"][0].values(), report
        assert len(report["Success"]) == 1, report


def deliver(name, known, wait_for_report):
    """How the delivery of a phantom's SEG to an Orthanc ends that commits to storage, and the node's log."""
    folder = workspace(name)
    pacs = Orthanc(folder / "pacs", "PACS")
    node = None
    try:
        destination = {**settings.dicom(pacs), "confirm": "commitment", "commitment_wait": wait_for_report}
        node = Node(folder / "node", settings.files({"ball": "threshold"}, [("all", {"Modality": "MR"}, "ball")], {"pacs": destination}))
        port = node.port if known else 1
        put(pacs, "/modalities/sagittal", {"AET": "SAGITTAL", "Host": "127.0.0.1", "Port": port})
        status, _, output = storescu(node, phantom.write(folder / "series", name))
        assert status == 0, output
        done = lambda: next((j for j in node.jobs() if j["kind"] == "deliver" and j["state"] == "completed"), None)
        job = wait("the delivery is done", done, 60)
        assert len(pacs.results()) == 1
        return job, node.log()
    finally:
        for thing in (node, pacs):
            if thing:
                thing.stop()


def test_orthancs_report_confirms_a_result():
    job, log = deliver("commitment-pacs", True, "1 h")
    assert job["delivered"] == "confirmed", job
    assert job["attempt"] == 1, job
    assert "report of storage commitment" in log


def test_a_pacs_that_cannot_reach_us_leaves_a_result_unconfirmed():
    job, log = deliver("commitment-lost", False, "2 s")
    assert job["delivered"] == "sent-unconfirmed", job
    assert "no report of storage commitment came in time" in log
