"""DCMTK's query tools beside the node: what they ask of it, and what they tell about it at a PACS.

`storescu`, `dcmsend` and `echoscu` have their tests in `interop` and `tls`, `storescp` in `tls`, too.
"""

import json
import re

import phantom
import pydicom
import settings
from support import Node, Orthanc, Site, free_port, receive, run, wait, workspace


class Between(Site):
    """A node with a model between an Orthanc that delivers to it and the same that keeps its results."""

    def build(self):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS"))
        rules = [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")]
        destination = {**settings.dicom(self.pacs), "confirm": "none"}
        self.node = self.keep(Node(self.folder / "node", settings.files({"ball": "threshold"}, rules, {"pacs": destination})))
        self.pacs.know("sagittal", "127.0.0.1", self.node.port)

    def dcmtk(self, program, port, *options, called="PACS"):
        done = run(program, "-v", "-aet", "WORKSTATION", "-aec", called, *options, "127.0.0.1", port, check=False)
        return done.returncode, done.stdout + done.stderr


def test_movescu_has_a_study_sent_to_the_node_and_findscu_finds_its_result():
    with Between("dcmtk-query") as site:
        files = phantom.write(site.folder / "series", "dcmtk-query", slices=6)
        for path in files:
            site.pacs.add(path)
        site.pacs.know("workstation", "127.0.0.1", 1, aet="WORKSTATION")
        study = pydicom.dcmread(files[0]).StudyInstanceUID
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study}")
        status, said = site.dcmtk("movescu", site.pacs.dicom, "-S", "-aem", "SAGITTAL", *keys)
        assert status == 0 and "Received Final Move Response (Success)" in said, said
        wait("the SEG at the PACS", site.pacs.results)
        keys = ("-k", "QueryRetrieveLevel=SERIES", "-k", f"StudyInstanceUID={study}", "-k", "Modality=SEG", "-k", "SeriesInstanceUID")
        status, said = site.dcmtk("findscu", site.pacs.dicom, "-S", *keys)
        found = re.findall(r"\(0020,000e\) UI \[([0-9.]+)", said)
        assert status == 0 and len(found) == 1, said
        [job] = [j for j in site.node.jobs() if j["kind"] == "infer"]
        shown = json.loads(site.node.command("jobs", "show", job["id"], "--json").stdout)
        assert found == [shown["results"][0]["series"]], (found, shown["results"])


def test_queries_to_the_node_itself_are_refused_by_context():
    with Between("dcmtk-refused") as site:
        keys = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3")
        for program, more in (("findscu", ()), ("movescu", ("-aem", "WORKSTATION", "+P", free_port()))):
            status, said = site.dcmtk(program, site.node.port, "-S", *more, *keys, called="SAGITTAL")
            assert "No presentation context" in said or "No Acceptable Presentation Contexts" in said, (status, said)
        status, said = site.dcmtk("echoscu", site.node.port, called="SAGITTAL")
        assert status == 0, said
        receive(site.node, phantom.write(site.folder / "series", "dcmtk-refused", slices=2))
