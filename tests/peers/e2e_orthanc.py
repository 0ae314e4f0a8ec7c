"""The main road against Debian's Orthanc: a series by `storescu`, one SEG over C-STORE, the same one over REST; and the full
circle from a modality through Orthanc and back, committed to."""

import json
import sys
import time
import tomllib

import numpy as np

import phantom
import seg
import settings
from support import BIN, ROOT, Node, Orthanc, Site, asset, free_port, receive, run, wait, workspace

# assets/README.md, mL; the names of model18cls.labels.json
VOLUMES = {
    "Cerebral-Cortex": 605, "Cerebral-White-Matter": 580, "Cerebellum-Cortex": 131, "Thalamus": 18.6, "Hippocampus": 8.4,
    "Brain-Stem": 23.7, "Lateral-Ventricle": 30.0,
}


class Between(Site):
    """A node between two Orthancs: `pacs` gets results by C-STORE, `archive` by REST."""

    def build(self, pipelines, rules, up=True):
        self.pacs = self.keep(Orthanc(self.folder / "pacs", "PACS", start=up))
        self.archive = self.keep(Orthanc(self.folder / "archive", "ARCHIVE", start=up))
        destinations = {"pacs": settings.dicom(self.pacs), "archive": settings.rest(self.archive)}
        self.node = self.keep(Node(self.folder / "node", settings.files(pipelines, rules, destinations)))

    def counts(self):
        """Results that each Orthanc holds."""
        return len(self.pacs.results()), len(self.archive.results())

    def results(self, count, limit=300):
        """`count` SEG files from each Orthanc, in the order of their SeriesDescription."""
        arrived = lambda: min(self.counts()) >= count
        wait(f"{count} SEG in both Orthancs", arrived, limit)
        done = lambda: all(j["state"] in ("completed", "discarded", "cancelled") for j in self.node.jobs())
        wait("every job is done", done, limit)
        return [self.fetch(o) for o in (self.pacs, self.archive)]

    def fetch(self, orthanc):
        files = [orthanc.download(i, self.folder / f"{orthanc.aet}-{i}.dcm") for i in orthanc.results()]
        return {seg.pydicom.dcmread(f, stop_before_pixels=True).SeriesDescription: f for f in files}


def test_phantom_gives_one_seg_each_way():
    with Between("phantom", {"ball": "threshold"}, [("phantoms", {"Modality": "MR"}, "ball")]) as site:
        files = phantom.write(site.folder / "series", "e2e")
        receive(site.node, files)
        by_store, by_rest = site.results(1)
        assert site.counts() == (1, 1), site.counts()
        check_same(by_store["ball"], by_rest["ball"])
        ball = np.array([seg.pydicom.dcmread(f).pixel_array > 500 for f in files])
        check_seg(files, by_store["ball"], ball.astype(np.uint8))


def test_real_t1_gives_one_seg_each_way():
    archive = asset("data/mr_t1_dicom/T1w_384slices.tar.zst")
    expected = asset("data/mr_t1_dicom/expected")
    names = json.loads(asset("models/meshnet/model18cls.labels.json").read_text())["labels"]
    rules = [(p, {"Modality": "MR", "SeriesDescription": {"glob": "*T1*"}}, p) for p in ("tissue", "regions")]
    with Between("t1", {"tissue": "meshnet-gwm", "regions": "meshnet-18"}, rules) as site:
        run("tar", "--zstd", "-xf", archive, "-C", site.folder)
        files = sorted((site.folder / "dicoms").rglob("*.dcm"))
        assert len(files) == 384, f"{len(files)} files"
        receive(site.node, files)
        sent = time.monotonic()
        by_store, by_rest = site.results(2, 1800)
        seconds = time.monotonic() - sent
        peak = site.node.peak_memory()
        assert site.counts() == (2, 2), site.counts()
        source = seg.Source(files)
        for name in ("tissue", "regions"):
            check_same(by_store[name], by_rest[name])
            labels, _ = seg.label_map(by_store[name], source)
            said = check_seg(files, by_store[name], labels[order(files, source)])
        scores = check_tissue(by_store["tissue"], source, expected / "seg_model5_gw_ae.nii.gz")
        volumes = check_volumes(by_store["regions"], source, names)
        return f"both models in {seconds:.0f} s, peak {peak:.0f} MB; Dice {scores}; mL {volumes}\n{said}"


def test_rules_explain_says_everything_about_the_real_t1():
    archive = asset("data/mr_t1_dicom/T1w_384slices.tar.zst")
    folder = workspace("explain")
    run("tar", "--zstd", "-xf", archive, "-C", folder)
    said = run(BIN, "rules", "explain", folder / "dicoms", "--config", ROOT / "config").stdout
    rules = tomllib.loads((ROOT / "config/rules.toml").read_text())["rule"]
    words = [word for rule in rules for word in (rule["name"], *rule["when"])] + ["MR", "anat-T1w", "384", "brain-mask"]
    missing = [word for word in words if word.lower() not in said.lower()]
    assert not missing, f"{missing} not in:\n{said}"


def test_orthanc_down_gets_its_seg_when_it_is_back():
    with Between("down", {"ball": "threshold"}, [("phantoms", {"Modality": "MR"}, "ball")], up=False) as site:
        files = phantom.write(site.folder / "series", "down")
        receive(site.node, files)
        tried = lambda: [j for j in site.node.jobs() if j["kind"] == "deliver" and j["state"] == "retryable"]
        wait("both deliveries wait for another try", lambda: len(tried()) == 2)
        site.pacs.start()
        site.archive.start()
        by_store, by_rest = site.results(1)
        check_same(by_store["ball"], by_rest["ball"])
        assert site.counts() == (1, 1), site.counts()
        infer = [j for j in site.node.jobs() if j["kind"] == "infer"]
        assert [j["state"] for j in infer] == ["completed"], "an outage must not run a model again"


class Circle(Site):
    """An Orthanc that modalities send to; it gives stable series to a node, which sends results back and has them committed to."""

    def build(self, *variant):
        self.pacs = Orthanc(self.folder / "pacs", "PACS", start=False)
        destination = {**settings.dicom(self.pacs), "confirm": "commitment"}
        rules = [("phantoms", {"Modality": "MR"}, "ball")]
        # only Orthanc's word ends a series
        files = settings.files({"ball": "threshold"}, rules, {"pacs": destination}, quiet="1 h", silence="1 h")
        files["node.toml"] += f'\n[http]\nlisten = "127.0.0.1:{free_port()}"\n'
        self.node = self.keep(Node(self.folder / "node", files))
        url = f"http://{self.node.program.ready['http']}"
        self.pacs.options = ("--node", f"{self.node.host}:{self.node.port}", "--stable", url, *variant)
        self.keep(self.pacs).start()


def acquire(site, name):
    """A series that a modality sends to the PACS."""
    files = phantom.write(site.folder / "series", name)
    run("storescu", "-R", "-aet", "MR1", "-aec", "PACS", "127.0.0.1", site.pacs.dicom, *files)
    return files


def check_circle(site, files):
    """One SEG, right, committed to, in the study it is of, and nothing that went round again."""
    done = lambda: [j for j in site.node.jobs() if j["kind"] == "deliver" and j["state"] == "completed"]
    [job] = wait("the delivery is over", done)
    # with confirm = "commitment" nothing but Orthanc's report makes it so
    assert job["delivered"] == "confirmed", job
    asked = [said for said in map(site.pacs.ask, (f"/jobs/{i}" for i in site.pacs.ask("/jobs"))) if "Commitment" in said["Type"]]
    assert [said["State"] for said in asked] == ["Success"], asked
    [instance] = site.pacs.results()
    [study] = site.pacs.ask("/studies?expand")
    held = sorted(site.pacs.ask(f"/series/{series}")["MainDicomTags"]["Modality"] for series in study["Series"])
    assert held == ["MR", "SEG"], held
    ball = np.array([seg.pydicom.dcmread(f).pixel_array > 500 for f in files])
    check_seg(files, site.pacs.download(instance, site.folder / "seg.dcm"), ball.astype(np.uint8))
    stable = lambda: all(site.pacs.ask(f"/series/{series}")["IsStable"] for series in study["Series"])
    wait("Orthanc calls the SEG's series stable, too", stable)
    assert [j["kind"] for j in site.node.jobs()].count("infer") == 1, "a result was routed again"
    explained = json.loads(site.node.command("rules", "explain", study_series(files), "--json").stdout)
    assert explained["series"][0]["closed_by"] == "stable-series", explained


def study_series(files):
    return str(seg.pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def test_full_circle_by_lua():
    with Circle("circle-lua") as site:
        check_circle(site, acquire(site, "circle-lua"))


def test_full_circle_by_python_with_a_node_that_is_away_first():
    with Circle("circle-python", "--python") as site:
        port = site.node.port
        site.node.stop()
        node_file = site.node.config / "node.toml"
        node_file.write_text(node_file.read_text().replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{port}"'))
        files = acquire(site, "circle-python")
        wait("the node is missed", lambda: "does not have series" in (site.folder / "pacs/orthanc.log").read_text())
        site.node.start()
        check_circle(site, files)


def order(files, source):
    """The slice of `source` that each of `files` is."""
    return [source.uids.index(str(seg.pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID)) for f in files]


def check_same(a, b):
    one, two = seg.pydicom.dcmread(a), seg.pydicom.dcmread(b)
    assert one.SOPInstanceUID == two.SOPInstanceUID, "two destinations got two objects"
    assert one.PixelData == two.PixelData and one.to_json() == two.to_json(), "the copies differ"


def check_seg(files, path, labels):
    """dciodvfy, dcentvfy, dcmqi and highdicom: `labels`, one plane a file in the order of `files`, and no complaint."""
    mask = path.with_suffix(".npy")
    np.save(mask, labels)
    return run(sys.executable, ROOT / "tests/peers/check_seg.py", path, files[0].parent, mask).stdout


def check_tissue(path, source, expected):
    labels, _ = seg.label_map(path, source)
    wanted = source.resample(*seg.nifti(expected))
    scores = {number: round(float(seg.dice(labels == number, wanted == number)), 4) for number in (1, 2)}
    assert min(scores.values()) >= 0.99, scores
    return scores


def check_volumes(path, source, names):
    labels, _ = seg.label_map(path, source)
    count = np.bincount(labels.ravel(), minlength=len(names)) * source.voxel_ml
    found = {name: round(float(count[names.index(name)]), 1) for name in VOLUMES}
    wrong = {n: (found[n], v) for n, v in VOLUMES.items() if abs(found[n] - v) > 0.02 * v}
    assert not wrong, f"mL found, expected: {wrong}"
    return found
