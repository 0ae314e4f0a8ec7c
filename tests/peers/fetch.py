"""Fetching from Orthanc by C-MOVE and C-GET, and its count of a series as the end of reception."""

import json

import phantom
import pydicom
import settings
from support import Node, Orthanc, Site, wait


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
