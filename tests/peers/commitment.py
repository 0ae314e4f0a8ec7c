"""Storage commitment with Orthanc: as the modality that asks the node, and as the PACS that the node asks."""

import json

import phantom
import settings
from support import Node, Orthanc, Site, receive, wait


class Modality(Site):
    """A node that runs nothing, and an Orthanc that knows it as `sagittal`."""

    def build(self):
        self.modality = self.keep(Orthanc(self.folder / "modality", "CT1"))
        files = settings.files({}, [], {})
        files["node.toml"] += settings.table("peer.CT1", {"host": "127.0.0.1", "port": self.modality.dicom})
        self.node = self.keep(Node(self.folder / "node", files))
        self.modality.know("sagittal", "127.0.0.1", self.node.port)

    def report(self, path):
        """What Orthanc was told, once it was."""
        told = lambda: (answer := self.modality.ask(path)) and answer["Status"] != "Pending" and answer
        return wait(f"a report for {path}", told)


def test_orthanc_is_told_what_the_node_holds_and_what_not():
    with Modality("commitment") as site:
        instances = [site.modality.add(path) for path in phantom.write(site.folder / "series", "commitment", slices=3)]
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


class Pacs(Site):
    """A node that delivers to an Orthanc that commits to storage, `known` to it or not."""

    def build(self, known, wait_for_report):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS"))
        destination = {**settings.dicom(self.pacs), "confirm": "commitment", "commitment_wait": wait_for_report}
        files = settings.files({"ball": "threshold"}, [("all", {"Modality": "MR"}, "ball")], {"pacs": destination})
        self.node = self.keep(Node(self.folder / "node", files))
        self.pacs.know("sagittal", "127.0.0.1", self.node.port if known else 1)


def deliver(name, known, wait_for_report):
    """How the delivery of a phantom's SEG ends, and the node's log."""
    with Pacs(name, known, wait_for_report) as site:
        receive(site.node, phantom.write(site.folder / "series", name))
        done = lambda: next((j for j in site.node.jobs() if j["kind"] == "deliver" and j["state"] == "completed"), None)
        job, results = wait("the delivery is done", done), site.pacs.results()
        assert len(results) == 1, f"the PACS holds {results}"
        return job, site.node.log()


def test_orthancs_report_confirms_a_result():
    job, log = deliver("commitment-pacs", True, "1 h")
    assert job["delivered"] == "confirmed", job
    assert job["attempt"] == 1, job
    assert "report of storage commitment" in log, log[-2000:]


def test_a_pacs_that_cannot_reach_us_leaves_a_result_unconfirmed():
    job, log = deliver("commitment-lost", False, "2 s")
    assert job["delivered"] == "sent-unconfirmed", job
    assert "no report of storage commitment came in time" in log, log[-2000:]
