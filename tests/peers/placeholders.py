"""What the reading room finds in the study when there is no result: that the analysis failed, that it is late, that nothing was
found. Each once in the PACS, opened by dciodvfy, dcentvfy, DCMTK and dicom3tools."""

import json
import pathlib
import shutil
import time

import check_sr
import models
import phantom
import settings
from seg import pydicom
from support import BIN, Node, Orthanc, Site, receive, run, wait


class Reading(Site):
    """A node whose one rule runs `model`, which is there or not, and asks that readers be told; results go to a PACS."""

    def build(self, model, inform):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS"))
        self.models = self.folder / "models"
        shutil.copytree(models.folder() / "threshold", self.models / "threshold")
        models.write_threshold(self.models / "blind", at=2)
        destinations = {"pacs": settings.dicom(self.pacs)}
        rules = [("phantoms", {"Modality": "MR"}, "ball")]
        files = settings.files({"ball": model}, rules, destinations, model_folder=self.models)
        files["rules.toml"] += inform
        # what is off-peak waits for half a day
        hour = (time.localtime().tm_hour + 12) % 24
        files["node.toml"] = files["node.toml"].replace("[jobs]\n", f'[jobs]\noff_peak = "{hour:02}:00-{hour:02}:30"\n')
        self.node = self.keep(Node(self.folder / "node", files))

    def send(self, **options):
        self.series = phantom.write(self.folder / "series", self.folder.name, **options)
        receive(self.node, self.series)

    def infer(self):
        return next((job for job in self.node.jobs() if job["kind"] == "infer"), None)

    def held(self, modality, count):
        """Files of what the PACS holds of a modality, once they are `count` and every delivery is confirmed."""
        look = lambda: self.pacs.ask("/tools/find", {"Level": "Instance", "Query": {"Modality": modality}})
        found = wait(f"{count} {modality} in the PACS", lambda: len(found := look()) == count and (found or True), 120)
        open_jobs = lambda: [j for j in self.node.jobs() if j["kind"] == "deliver" and j["delivered"] != "confirmed"]
        wait("every delivery is confirmed", lambda: not open_jobs(), 120)
        return [self.pacs.download(i, self.folder / f"{modality}-{i}.dcm") for i in look()] if found else []

    def check(self, report):
        """Validators and the referee; the report in the study of the series, in a series of its own."""
        faults = list(check_sr.check_validators(report, pathlib.Path("/nonexistent"), self.series))
        assert not faults, faults
        said = run(BIN, "verify", report, "--source", self.series[0].parent).stdout
        assert said.endswith(": sound\n"), said
        source, told = (pydicom.dcmread(path) for path in (self.series[0], report))
        assert told.StudyInstanceUID == source.StudyInstanceUID and told.PatientID == source.PatientID
        assert told.SeriesInstanceUID != source.SeriesInstanceUID
        return told


def texts(report):
    return [item.TextValue for item in report.ContentSequence if item.ValueType == "TEXT"]


def test_a_failed_analysis_is_told_of_once_and_its_result_may_still_come():
    with Reading("placeholders-failed", "later", 'inform = ["failed"]\n') as site:
        site.send()
        wait("the job is given up", lambda: (job := site.infer()) and job["state"] == "discarded")
        [path] = site.held("SR", 1)
        placeholder = site.check(path)
        assert placeholder.SeriesDescription == "AI result not available: ball"
        assert any("It failed while the model ran" in said for said in texts(placeholder)), texts(placeholder)
        shown = json.loads(site.node.command("jobs", "show", site.infer()["id"], "--json").stdout)
        assert [row["kind"] for row in shown["results"]] == ["placeholder"], shown["results"]

        site.node.command("jobs", "retry", site.infer()["id"])
        wait("it is given up again", lambda: site.infer()["state"] == "discarded")
        models.write_threshold(site.models / "later")
        site.node.command("jobs", "retry", site.infer()["id"])
        wait("there is a result", lambda: site.infer()["state"] == "completed")
        assert len(site.held("SEG", 1)) == 1
        [again] = site.held("SR", 1)
        assert again == path, "there is another placeholder"
        deliveries = [job for job in site.node.jobs() if job["kind"] == "deliver"]
        assert len(deliveries) == 2, "the placeholder and the result, each once"


def test_a_series_that_is_no_volume_is_told_of():
    def anywhere(dataset):
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            delattr(dataset, name)

    with Reading("placeholders-geometry", "threshold", 'inform = ["failed"]\n') as site:
        site.send(change=anywhere)
        [path] = site.held("SR", 1)
        placeholder = pydicom.dcmread(path)
        assert any("It failed while the images were read" in said for said in texts(placeholder)), texts(placeholder)
        assert site.infer()["attempt"] == 0, "it was refused from the start"


def test_a_late_analysis_is_told_of_and_nothing_else_once_it_is_cancelled():
    with Reading("placeholders-late", "threshold", 'inform = "failed"\ninform_after = "1 s"\npriority = "off-peak"\n') as site:
        site.send()
        [path] = site.held("SR", 1)
        placeholder = site.check(path)
        assert any("It was not finished within 1 min" in said for said in texts(placeholder)), texts(placeholder)
        assert site.infer()["state"] == "available"
        site.node.command("jobs", "cancel", site.infer()["id"])
        assert len(site.held("SR", 1)) == 1


def test_that_nothing_was_found_is_told_by_a_report():
    with Reading("placeholders-nothing", "blind", 'inform = ["failed", "nothing-found"]\n') as site:
        site.send()
        [path] = site.held("SR", 1)
        report = site.check(path)
        assert report.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurement Report"
        [absent] = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "C0034375"]
        values = [(i.ConceptNameCodeSequence[0].CodeMeaning, i.ConceptCodeSequence[0].CodeMeaning) for i in absent.ContentSequence]
        assert values == [("Brain", "Absent")], values
        assert not site.held("SEG", 0)
