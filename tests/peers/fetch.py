"""Fetching from Orthanc by C-MOVE and C-GET: by hand and for pipelines that ask for it; its count as the end of reception."""

import json

import phantom
import pydicom
import settings
import seg
from support import Node, Orthanc, Site, receive, wait


class Archive(Site):
    """A node without work, and an Orthanc `PACS` that knows it."""

    def build(self, **peer):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS"))
        # Nothing but a count ends a series within the test.
        files = settings.files({}, [], {}, quiet="1 h", silence="1 h")
        files["node.toml"] += settings.table("peer.PACS", {"host": "127.0.0.1", "port": self.pacs.dicom, **peer})
        self.node = self.keep(Node(self.folder / "node", files))
        self.pacs.know("sagittal", "127.0.0.1", self.node.port)

    def fetch(self, study, *options, check=True):
        node = f"127.0.0.1:{self.node.port}"
        return self.node.command("fetch", "--from", "PACS", "--study", study, "--node", node, "--json", *options, check=check)

    def series(self):
        return json.loads(self.node.command("series", "list", "--json").stdout)


def study_of(path):
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return header.StudyInstanceUID, header.SeriesInstanceUID


def fetched(name, via):
    with Archive(name, retrieve=via) as site:
        files = phantom.write(site.folder / "series", name, slices=6)
        other = phantom.write(site.folder / "other", f"{name}-other", slices=2)
        for path in files + other:
            site.pacs.add(path)
        study, series = study_of(files[0])
        said = json.loads(site.fetch(study).stdout)
        assert (said["via"], said["found"], said["completed"], said["failed"]) == (via, 6, 6, 0), said
        open_series = site.series()
        assert [(s["series"], s["instances"]) for s in open_series] == [(series, 6)], open_series
        again = json.loads(site.fetch(study, "--series", series).stdout)
        assert again["completed"] == 6, again
        missing = site.fetch("1.2.3.4.5", check=False)
        assert missing.returncode == 1 and "has nothing of study 1.2.3.4.5" in missing.stderr, missing
        strange = site.node.command("fetch", "--from", "NOBODY", "--study", study, check=False)
        assert strange.returncode == 2 and "[peer.NOBODY]" in strange.stderr, strange


class Rest(Site):
    """A node without work that may send to an Orthanc, and asks it."""

    def build(self):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS"))
        destinations = {"rest": settings.rest(self.pacs), "folder": {"kind": "folder", "path": str(self.folder / "out")}}
        self.node = self.keep(Node(self.folder / "node", settings.files({}, [], destinations, quiet="1 h", silence="1 h")))

    def pull(self, series, start="rest", check=True):
        node = f"127.0.0.1:{self.node.port}"
        return self.node.command("pull", series, "--from", start, "--node", node, "--json", check=check)


def test_a_series_of_an_orthanc_becomes_a_revision_by_rest():
    with Rest("pull") as site:
        files = phantom.write(site.folder / "series", "pull", slices=6)
        *early, late = files
        held = [site.pacs.add(path) for path in early]
        uid = study_of(files[0])[1]
        [series] = {site.pacs.ask(f"/instances/{i}/series")["ID"] for i in held}
        expected = lambda count, revision: {"series": uid, "instances": count, "revision": revision}
        assert json.loads(site.pull(series).stdout) == expected(5, 1)
        assert json.loads(site.pull(uid).stdout) == expected(5, 1), "nothing is new"
        site.pacs.add(late)
        assert json.loads(site.pull(uid).stdout) == expected(6, 2)
        for name, start, status, why in (("1.2.3", "rest", 1, "has no series"), (uid, "folder", 2, "kind"), (uid, "x", 2, "no destination")):
            refused = site.pull(name, start, check=False)
            assert refused.returncode == status and why in refused.stderr, refused


def test_a_study_comes_by_c_move():
    fetched("fetch-move", "move")


def test_a_study_comes_by_c_get():
    fetched("fetch-get", "get")


def test_a_study_comes_into_a_folder():
    with Archive("fetch-folder", retrieve="get") as site:
        files = phantom.write(site.folder / "series", "fetch-folder", slices=3)
        for path in files:
            site.pacs.add(path)
        study, _ = study_of(files[0])
        site.node.command("fetch", "--from", "PACS", "--study", study, "--to", site.folder / "got")
        got = sorted((site.folder / "got").glob("*.dcm"))
        assert len(got) == 3, got
        kinds = {study_of(path) for path in got}
        assert kinds == {study_of(files[0])}, kinds


def test_a_series_is_finished_when_the_sender_says_so():
    with Archive("expected", expected="c-find") as site:
        files = phantom.write(site.folder / "series", "expected", slices=6)
        instances = [site.pacs.add(path) for path in files]
        send = lambda some: site.pacs.ask("/modalities/sagittal/store", {"Resources": some, "Synchronous": True})
        send(instances[:4])
        wait("the sender is asked", lambda: "counted by the sender" in site.node.log())
        assert [s["instances"] for s in site.series()] == [4], site.series()
        send(instances[4:])
        wait("the series is finished", lambda: site.series() == [])
        closed = next(line for line in site.node.log().splitlines() if "series finished" in line)
        assert "ExpectedCount" in closed, closed


class Asking(Archive):
    """The same with a pipeline that asks the PACS for what did not come, and delivers into a folder."""

    def build(self, retrieve, rules, via="move", running=True):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS", start=running))
        destination = {"out": {"kind": "folder", "path": str(self.folder / "out")}}
        files = settings.files({"ball": "threshold"}, [], destination, quiet="500 ms")
        files["node.toml"] += settings.table("peer.PACS", {"host": "127.0.0.1", "port": self.pacs.dicom, "retrieve": via})
        files["pipelines.toml"] += f"retrieve = {settings.toml(retrieve)}\n"
        files["rules.toml"] = rules
        self.node = self.keep(Node(self.folder / "node", files))
        if running:
            self.pacs.know("sagittal", "127.0.0.1", self.node.port)

    def results(self):
        return list((self.folder / "out").rglob("*.dcm"))


ONE_SERIES = settings.rule("phantoms", {"Modality": "MR"}, "ball", ["out"])


def the_rest_of_a_series(name, via):
    with Asking(name, {"from": "PACS", "series": True}, ONE_SERIES, via) as site:
        files = phantom.write(site.folder / "series", name, slices=8)
        for path in files:
            site.pacs.add(path)
        receive(site.node, files[:3])
        [result] = wait("the SEG", site.results)
        whole = {str(pydicom.dcmread(path).SOPInstanceUID) for path in files}
        assert set(seg.referenced(result)) == whole, "the model did not see the whole series"
        revisions = {(job["kind"], job["revision"]) for job in site.node.jobs()}
        assert revisions == {("infer", 1), ("deliver", 1)}, revisions


def test_the_rest_of_a_series_comes_by_c_move_before_its_job():
    the_rest_of_a_series("retrieve-move", "move")


def test_the_rest_of_a_series_comes_by_c_get_before_its_job():
    the_rest_of_a_series("retrieve-get", "get")


def test_a_pacs_that_is_down_is_waited_for_and_then_done_without():
    retrieve = {"from": "PACS", "series": True, "give_up_after": "7 s"}
    with Asking("retrieve-down", retrieve, ONE_SERIES, running=False) as site:
        files = phantom.write(site.folder / "series", "retrieve-down", slices=4)
        receive(site.node, files[:3])
        asked = lambda: [s for s in site.series() if s["fetching"] and s["fetching"]["attempts"]]
        [waiting] = wait("a try that failed", asked)
        assert "cannot reach" in waiting["fetching"]["last_error"] and site.results() == [], waiting
        site.node.kill()
        site.node.start()
        [result] = wait("the SEG of what is there", site.results)
        assert len(seg.referenced(result)) == 3, seg.referenced(result)
        assert "the pipeline does without" in site.node.log(), site.node.log()[-2000:]


COMPARED = """\
[[rule]]
name = "compared"
scope = "study"
quiet = "1 s"
when = {}
pipeline = "ball"
send_to = ["out"]
partial = "wait"
give_up_after = "1 h"
[rule.inputs.now]
when.Modality = "MR"
[rule.inputs.before]
when.Modality = "MR"
prior = true

[[rule]]
name = "each on its own"
when.Modality = "MR"
pipeline = "ball"
send_to = ["out"]
mode = "shadow"
"""


def dated(files, patient, date, modality="MR"):
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.PatientID, dataset.StudyDate, dataset.SeriesDate, dataset.Modality = patient, date, date, modality
        dataset.save_as(path)
    return files


def earlier_studies(name, via):
    with Asking(name, {"from": "PACS", "priors": 1}, COMPARED, via) as site:
        write = lambda what, *values: dated(phantom.write(site.folder / what, f"{name}-{what}", slices=4), *values)
        others = {what: write(what, *values) for what, *values in (
            ("long-ago", "P1", "20220101"), ("before", "P1", "20240101"), ("later", "P1", "20270101"),
            ("somebody-else", "P12", "20250101"), ("other-modality", "P1", "20250601", "OT"))}
        for path in sum(others.values(), []):
            site.pacs.add(path)
        now = write("now", "P1", "20260101")
        receive(site.node, now)
        jobs = wait("the job of the study rule", lambda: [j for j in site.node.jobs() if j["rule"] == "compared"])
        shown = json.loads(site.node.command("jobs", "show", jobs[0]["id"], "--json").stdout)
        inputs = {row["name"]: row["series"] for row in shown["inputs"]}
        assert inputs == {"now": study_of(now[0])[1], "before": study_of(others["before"][0])[1]}, inputs
        wait("its result", site.results)
        own = {job["series"] for job in site.node.jobs() if job["rule"] == "each on its own"}
        assert own == {study_of(now[0])[1]}, f"an earlier study made a job of its own: {own}"
        assert "P12" not in site.node.log(), "a patient identifier is in the log"


def test_earlier_studies_come_by_c_move_as_inputs_of_a_study_rule():
    earlier_studies("priors-move", "move")


def test_earlier_studies_come_by_c_get_as_inputs_of_a_study_rule():
    earlier_studies("priors-get", "get")
