"""Storage commitment with Orthanc as the modality: it sends, it asks, and the node's report comes on a new association."""

import json
import urllib.request

import phantom
import settings
from support import Node, Orthanc, wait, workspace


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
        request = urllib.request.Request(self.modality.url + path, data=json.dumps(body).encode(), method="PUT")
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60).close()

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
