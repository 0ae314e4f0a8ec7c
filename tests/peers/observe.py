"""What an administrator watches: `/metrics` read by Prometheus' own client, `/healthz` and `/readyz`, JSON logs; and
nothing of a patient in any of them."""

import json
import urllib.error
import urllib.request

import phantom
import pydicom
import settings
from prometheus_client.parser import text_string_to_metric_families
from support import ROOT, Node, free_port, receive, storescu, wait, workspace

HTTP = '[http]\nlisten = "127.0.0.1:0"\n\n[log]\nformat = "json"\n'
# Values that are nowhere else: found in a log or on a page, they came from the data set.
PATIENT = {"PatientName": "Zyxwv^Qwertz", "PatientID": "PID-8813071", "PatientBirthDate": "19610203",
           "AccessionNumber": "ACC-55120", "ReferringPhysicianName": "Referrer^Unique"}


def site(name, destinations, receive=""):
    folder = workspace(name)
    # one rule fails on the patient, one asks for the very value: neither is a reason to repeat it
    rules = [("another patient", {"PatientName": "Nobody^Else", "PatientBirthDate": {"min": "19700101"}}, "ball"),
             ("phantoms", {"SeriesDescription": phantom.DESCRIPTION, "PatientID": PATIENT["PatientID"]}, "ball")]
    texts = settings.files({"ball": "threshold"}, rules, destinations(folder))
    texts["node.toml"] = texts["node.toml"].replace("[completion]", f"{receive}\n[completion]") + HTTP
    return folder, Node(folder / "node", texts)


def patients(folder, name, **options):
    """Files of one series whose patient has a name."""
    files = phantom.write(folder / name, name, **options)
    for file in files:
        data = pydicom.dcmread(file)
        for keyword, value in PATIENT.items():
            setattr(data, keyword, value)
        data.save_as(file)
    return files


def ask(node, path, accept="*/*"):
    request = urllib.request.Request(f"http://{node.program.ready['http']}{path}", headers={"Accept": accept})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers["Content-Type"], refused.read().decode()


def scrape(node):
    """{(sample, label values ...): value} and the families, as an independent parser reads the page."""
    status, kind, page = ask(node, "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=0.0.4"), (status, kind)
    families = list(text_string_to_metric_families(page))
    samples = {(s.name, *sorted(s.labels.values())): s.value for f in families for s in f.samples}
    return samples, {f.name: f for f in families}, page


def test_a_run_is_seen_in_metrics_and_logs_and_no_patient_is():
    dead = {"kind": "dicom", "host": "127.0.0.1", "port": free_port(), "ae_title": "DEAD", "confirm": "none",
            "backoff_cap": "1 s"}
    targets = lambda folder: {"out": {"kind": "folder", "path": str(folder / "out")}, "dead": dead}
    folder, node = site("observe", targets)
    try:
        files = patients(folder, "series")
        receive(node, files)
        receive(node, files[:2])
        state = lambda name: [j["state"] for j in node.jobs() if j["destination"] == name]
        wait("the folder has the result", lambda: state("out") == ["completed"])
        wait("the dead one waits", lambda: state("dead") == ["retryable"])
        samples, families, page = scrape(node)
        values = {
            ("sagittal_instances_received_total", "new"): len(files),
            ("sagittal_instances_received_total", "identical"): 2,
            ("sagittal_series_finished_total", "quiet-after-release"): 1,
            ("sagittal_attempt_seconds_count", "ball", "completed", "infer"): 1,
            ("sagittal_attempt_seconds_count", "completed", "deliver", "out"): 1,
            ("sagittal_result_seconds_count", "confirmed", "out"): 1,
            ("sagittal_jobs", "dead", "deliver", "retryable"): 1,
            ("sagittal_series", "open"): 0,
            ("sagittal_device_permits", "total"): 1,
            ("sagittal_configuration_in_force",): 1,
        }
        wrong = {key: samples.get(key) for key, value in values.items() if samples.get(key) != value}
        assert not wrong, f"{wrong} in\n{page}"
        assert samples[("sagittal_attempt_seconds_count", "dead", "deliver", "retry")] >= 1, page
        for name in ("disk_free", "disk_size", "spool", "ledger"):
            assert samples[(f"sagittal_{name}_bytes",)] > 0, name
        assert samples[("sagittal_attempt_seconds_bucket", "+Inf", "ball", "completed", "infer")] == 1
        documented = (ROOT / "docs/operations.md").read_text()
        unsaid = [f.name for f in families.values() if f.name not in documented]
        assert not unsaid, f"docs/operations.md does not explain {unsaid}"
        assert ask(node, "/healthz")[2] == "alive\n"
        status, kind, answer = ask(node, "/readyz", "application/json")
        assert (status, kind) == (200, "application/json") and json.loads(answer)["ready"] is True, answer
    finally:
        node.stop()
    lines = [json.loads(line) for line in node.log().splitlines()]
    job = next(j["id"] for j in json.loads(node.command("jobs", "list", "--json").stdout) if j["kind"] == "infer")
    of_job = [line for line in lines if line.get("span", {}).get("job") == job]
    assert of_job, "no line carries the id of the infer job"
    said = [name for name, value in PATIENT.items() if value in node.log() + page]
    assert not said, f"{said} in logs or metrics"


def test_a_full_disk_is_not_ready_and_says_why():
    folder, node = site("observe-full", lambda folder: {"out": {"kind": "folder", "path": str(folder / "out")}},
                        '[storage]\nkeep_free = "1000000 GiB"\n')
    try:
        status, _, answer = ask(node, "/readyz", "application/json")
        assert status == 503 and "keep_free" in json.loads(answer)["reason"], answer
        assert ask(node, "/readyz")[2].startswith("not ready: ")
        assert ask(node, "/healthz")[0] == 200
        files = patients(folder, "refused", slices=1)
        assert storescu(node, files)[1] == []
        samples, _, page = scrape(node)
        assert samples.get(("sagittal_instances_refused_total", "A700")) == 1, page
        assert not any(value in node.log() + page for value in PATIENT.values())
    finally:
        node.stop()
