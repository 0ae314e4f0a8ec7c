"""Rules of whole studies, series on hold and series that others close, with DCMTK and Orthanc as senders."""

import json
import urllib.error
import urllib.request

import phantom
import pydicom
import settings
from support import Node, Orthanc, Site, receive, wait

RULE = """
[[rule]]
name = "prostate"
scope = "study"
when.Modality = "MR"
pipeline = "prostate"
send_to = ["folder"]
quiet = "1 s"
window = "20 min"
"""
INPUTS = {"t2": "t2*", "adc": "*adc*", "dwi": "*b1400*"}
# name -> SeriesDescription, and what phantom.write is told; the ADC's ball is smaller and lies elsewhere
STUDY = {
    "t2": ("t2_tse_tra", {}),
    "adc": ("ep2d_diff_adc", {"spacing": 3.0, "slices": 10}),
    "dwi": ("ep2d_diff_b1400", {"spacing": 3.0, "slices": 10}),
}


def prostate():
    return RULE + "".join(f'[rule.inputs.{name}]\nwhen.SeriesDescription = {{ glob = "{like}" }}\n' for name, like in INPUTS.items())


class Hospital(Site):
    """A node with an HTTP port that delivers into a folder."""

    def build(self, rules, pipelines, **quiet):
        folder = {"folder": {"kind": "folder", "path": str(self.folder / "out")}}
        texts = settings.files(pipelines, [], folder, **quiet)
        texts["rules.toml"] = rules
        texts["node.toml"] += '\n[http]\nlisten = "127.0.0.1:0"\n'
        self.node = self.keep(Node(self.folder / "node", texts))

    def study(self, name):
        """Files of T2, ADC and DWI."""
        def write(series, description, how):
            described = lambda dataset: setattr(dataset, "SeriesDescription", description)
            return phantom.write(self.folder / name / series, f"{name}-{series}", study=name, change=described, **how)

        return {series: write(series, *how) for series, how in STUDY.items()}

    def results(self):
        return list((self.folder / "out").rglob("*.dcm"))

    def ask(self, path, body=None, method=None):
        """(status, JSON or text) of the node's HTTP interface."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.node.program.ready['http']}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if "json" in answer.headers["Content-Type"] else text
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def decided(self, series):
        return json.loads(self.node.command("rules", "explain", series, "--json").stdout)["series"][0]


def uid(files):
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)


def check_seg(hospital, study):
    """One SEG on the grid of the T2, with the ball of the ADC."""
    [path] = wait("the SEG", hospital.results)
    seg = pydicom.dcmread(path)
    assert str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID) == uid(study["t2"]), "it is not of the T2"
    ball = sum((pydicom.dcmread(file).pixel_array > 500).sum() for file in study["adc"]) * 3.0**3
    found = sum(bin(byte).count("1") for byte in seg.PixelData) * 4.0**3
    assert 0.8 < found / ball < 1.2, (found, ball)


def test_t2_adc_and_dwi_are_the_channels_of_one_model():
    with Hospital("study", prostate(), {"prostate": "second-of-three"}) as hospital:
        study = hospital.study("whole")
        for name in ("dwi", "t2", "adc"):
            receive(hospital.node, study[name])
        check_seg(hospital, study)
        [job] = [job for job in hospital.node.jobs() if job["kind"] == "infer"]
        shown = json.loads(hospital.node.command("jobs", "show", job["id"], "--json").stdout)
        assert [(i["name"], i["series"]) for i in shown["inputs"]] == [(name, uid(study[name])) for name in INPUTS]
        told = hospital.node.command("rules", "explain", job["id"]).stdout
        assert "✓ prostate (line 2): fires: prostate -> folder; with t2, adc, dwi" in told, told


def test_a_kill_after_each_series_makes_no_second_job():
    with Hospital("study-killed", prostate(), {"prostate": "second-of-three"}) as hospital:
        study = hospital.study("killed")
        for name in STUDY:
            receive(hospital.node, study[name])
            hospital.node.kill()
            hospital.node.start()
        check_seg(hospital, study)
        hospital.node.kill()
        hospital.node.start()
        finished = lambda: all(job["state"] == "completed" for job in hospital.node.jobs())
        wait("every job is done", finished)
        assert sorted(job["kind"] for job in hospital.node.jobs()) == ["deliver", "infer"]
        assert len(hospital.results()) == 1


def test_series_on_hold_and_series_that_nobody_wants_are_seen_over_http():
    rules = """
[[rule]]
name = "look first"
when.SeriesDescription = { glob = "*adc*" }
hold = "is it calibrated?"

[[rule]]
name = "diffusion"
when.SeriesDescription = { glob = "*diff*" }
when.slices = { min = 9 }
pipeline = "ball"
send_to = ["folder"]
"""
    with Hospital("study-held", rules, {"ball": "threshold"}) as hospital:
        study = hospital.study("held")
        receive(hospital.node, study["t2"])
        receive(hospital.node, study["adc"])
        adc, t2 = uid(study["adc"]), uid(study["t2"])
        [held] = wait("the ADC on hold", lambda: hospital.ask("/api/v1/series/held")[1])
        assert (held["series"], held["rule"], held["reason"]) == (adc, "look first", "is it calibrated?")
        [unmatched] = wait("the T2 among the unmatched", lambda: hospital.ask("/api/v1/rules/unmatched")[1])
        nearest = unmatched["nearest"]
        assert (unmatched["series"], nearest["rule"], nearest["failed"]) == (t2, "look first", 1), unmatched
        counts = hospital.ask("/metrics")[1].splitlines()
        for line in ('sagittal_series{state="held"} 1', 'sagittal_series{state="unmatched"} 1',
                     'sagittal_series_finished_total{by="quiet-after-release"} 2'):
            assert line in counts, counts
        assert hospital.ask(f"/api/v1/series/{t2}/release", method="POST")[0] == 404
        status, answer = hospital.ask(f"/api/v1/series/{adc}/release", method="POST")
        assert status == 200 and len(answer["jobs"]) == 1, answer
        wait("the SEG of the released series", hospital.results)
        [past] = hospital.ask("/api/v1/series/held?all=true")[1]
        assert (past["outcome"], past["who"]) == ("released", "somebody on this machine"), past
        assert hospital.ask("/api/v1/series/held")[1] == []


def test_a_series_is_closed_by_others_when_all_of_it_is_there():
    rules = '[[rule]]\nname = "all"\nwhen = {}\npipeline = "ball"\nsend_to = ["folder"]\n'
    with Hospital("study-closed", rules, {"ball": "threshold"}, quiet="1 h", silence="1 h") as hospital:
        study = hospital.study("closed")
        receive(hospital.node, study["t2"][:5])
        event = {"SeriesInstanceUID": uid(study["t2"]), "Instances": len(study["t2"])}
        assert hospital.ask("/api/v1/orthanc/stable-series", event) == (202, {"instances": 5, "announced": 8})
        hospital.node.kill()
        hospital.node.start()
        receive(hospital.node, study["t2"][5:])
        wait("the SEG of the series that is complete", hospital.results)
        assert hospital.decided(uid(study["t2"]))["closed_by"] == "expected-count"

        receive(hospital.node, study["adc"])
        status, [closed] = hospital.ask(f"/api/v1/series/{uid(study['adc'])}/close", method="POST")
        assert (status, closed["closed_by"], len(closed["jobs"])) == (200, "api", 1), closed
        assert hospital.ask(f"/api/v1/series/{uid(study['adc'])}/close", method="POST")[0] == 404
        receive(hospital.node, study["dwi"])
        hospital.node.command("series", "close", uid(study["dwi"]))
        assert hospital.decided(uid(study["dwi"]))["closed_by"] == "operator"


def test_orthanc_sends_a_stable_series_and_says_so():
    rules = '[[rule]]\nname = "all"\nwhen = {}\npipeline = "ball"\nsend_to = ["folder"]\n'
    with Hospital("study-stable", rules, {"ball": "threshold"}, quiet="1 h", silence="1 h") as hospital:
        url = f"http://{hospital.node.program.ready['http']}"
        options = ("--node", f"{hospital.node.host}:{hospital.node.port}", "--stable", url)
        orthanc = hospital.keep(Orthanc(hospital.folder / "orthanc", options=options))
        files = phantom.write(hospital.folder / "series", "stable")
        for file in files:
            orthanc.add(file)
        wait("the SEG of the stable series", hospital.results)
        assert hospital.decided(uid(files))["closed_by"] == "stable-series"
