#!/usr/bin/env python3
"""The speed of the rules: 1,000 of them on one series, and a draft of 200 beside 200 in force on 100,000 series of the past.

usage: rules.py [--series 100000] [--rules 200] [--rounds 3]

The first is `cargo bench --bench rules`. For the second a node receives one series with as many attributes as a scanner
writes; copies of its row, each with other UIDs and values, become the past; then `sagittal rules replay` reads them from the
ledger, on one core. No peer can do either. Prints a table and writes target/bench/rules.json.
"""

import argparse
import itertools
import json
import os
import pathlib
import re
import resource
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("SAGITTAL_BIN", str(ROOT / "target/release/sagittal"))
sys.path.insert(0, str(ROOT / "tests/peers"))

import pydicom  # noqa: E402

import phantom  # noqa: E402
import settings  # noqa: E402
from support import BIN, Node, receive, run, wait, workspace  # noqa: E402

WANTED = {"evaluate": 1.0, "replay": 10.0}
PARTS = ["HEAD", "CHEST", "ABDOMEN", "KNEE", "LSPINE", "HEART", "PELVIS", "FOOT"]
KINDS = ["t1 mprage sag", "t2 tse tra", "flair cor", "dwi b1000", "thorax 1.0 Br40", "abdomen 5.0 pv", "topogram", "angio 0.6"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = workspace("bench-rules")
    node = history(folder, options)
    evaluate = rust_bench()
    seconds, memory, report = replay(node, folder, options.rounds)
    megabytes = (folder / "node/data/ledger.sqlite").stat().st_size / 1e6
    rows = [
        ("1,000 rules x 1 series, route", evaluate[0], "ms", WANTED["evaluate"]),
        ("1,000 rules x 1 series, with explanation", evaluate[1], "ms", WANTED["evaluate"]),
        (f"replay, {options.series:,} series x {options.rules} rules, each of two sets", seconds, "s", WANTED["replay"]),
    ]
    print(f"\n{report['series']} series of the past in a ledger of {megabytes:.0f} MB, one core, {options.rounds} rounds, "
          f"{memory:.0f} MB of memory; {len(report['gained'])} jobs gained, {len(report['lost'])} lost\n")
    print("| case | median | wanted |\n|---|---|---|")
    for case, value, unit, wanted in rows:
        print(f"| {case} | {value:.3g} {unit} | below {wanted:g} {unit} |")
    result = [{"case": case, "value": value, "unit": unit, "peer": "wanted", "peer_value": wanted, "ratio": round(wanted / value, 2),
               "runs": options.rounds} for case, value, unit, wanted in rows]
    target = ROOT / "target/bench"
    target.mkdir(parents=True, exist_ok=True)
    (target / "rules.json").write_text(json.dumps(result, indent=1) + "\n")


def rust_bench():
    """Milliseconds of routing and of routing with the explanation."""
    done = run(ROOT / "scripts/cargo.sh", "bench", "--bench", "rules", limit=3600)
    return [float(number) for number in re.search(r"route ([\d.]+) ms, with explanation ([\d.]+) ms", done.stdout).groups()]


def history(folder, options):
    """A node, stopped, whose ledger holds the past; its rules are in force."""
    (folder / "models").mkdir(parents=True)
    files = settings.files({"one": "a", "two": "b"}, [], {"pacs": {"kind": "folder", "path": "out"}}, model_folder=folder / "models")
    files["rules.toml"] = rules(options.rules, "one")
    (folder / "draft.toml").write_text(rules(options.rules, "two"))
    node = Node(folder / "node", files)
    receive(node, phantom.write(folder / "series", "past", slices=20, size=16, change=as_a_scanner))
    finished = lambda: node.command("rules", "explain", str(phantom.uid("past", "series")), check=False).returncode == 0
    wait("the series is finished", finished, pace=0.2)
    node.stop()
    multiply(folder / "node/data/ledger.sqlite", options.series)
    return node


def as_a_scanner(dataset):
    """About a hundred attributes, some of which differ from slice to slice."""
    dataset.PatientID, dataset.AccessionNumber, dataset.StationName = "4711", "A123456789", "SCANNER-3"
    dataset.StudyDescription, dataset.ProtocolName, dataset.InstitutionName = "MR of the head", "t1_mprage_sag_p2_iso", "A hospital"
    dataset.SliceLocation, dataset.AcquisitionTime = dataset.InstanceNumber * 4.0, f"1012{dataset.InstanceNumber:02}.12"
    block = dataset.private_block(0x0029, "BENCH HEADER", create=True)
    for number in range(50):
        block.add_new(number, "LO", f"private value number {number}")
    request = pydicom.Dataset()
    request.RequestedProcedureDescription, request.ScheduledProcedureStepID = "MR head", "STEP-1"
    dataset.RequestAttributesSequence = [request]
    dataset.ReferencedImageSequence = [pydicom.Dataset() for _ in range(3)]
    for number, item in enumerate(dataset.ReferencedImageSequence):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, f"1.2.3.{number}"


def rules(count, pipeline):
    """A rule for each of `count` kinds of series; every eighth of a draft ("two") differs from that in force."""
    kinds = itertools.cycle(itertools.product(PARTS, KINDS))
    texts = []
    for number, (part, kind) in zip(range(count), kinds):
        chosen = pipeline if number % 8 == 0 else "one"
        texts.append(
            f'[[rule]]\nname = "{number} {part} {kind}"\nwhen.Modality = ["MR", "CT"]\nwhen.BodyPartExamined = "{part}"\n'
            f'when.SeriesDescription = {{ glob = "*{kind.split()[0]}*", not = {{ regex = "(?i)post{number}" }} }}\n'
            f'when.SliceThickness = {{ max = {1 + number % 5} }}\nwhen.slices = {{ min = {10 + number} }}\n'
            f'when.any = [{{ calling_ae = "AE{number}" }}, {{ PatientAge = {{ min = {number % 90} }}, contrast = "no" }}]\n'
            f'pipeline = "{chosen}"\nsend_to = "pacs"\n'
        )
    return "\n".join(texts)


def multiply(ledger, count):
    """Copies of the one finished series under other UIDs and values, four series a study."""
    with sqlite3.connect(ledger) as base:
        base.row_factory = sqlite3.Row
        # Older releases of SQLite than the node's own do not take json_valid(NULL) for granted.
        base.execute("PRAGMA ignore_check_constraints = ON")
        [series], [revision] = base.execute("SELECT * FROM series").fetchall(), base.execute("SELECT * FROM revisions").fetchall()
        template = json.loads(revision["summary"])
        print(f"the summary of the series: {len(template['attributes'])} attributes, {len(revision['summary'])} bytes")
        for number in range(count):
            uid = f"1.2.826.0.1.3680043.10.999.{number}"
            row = {**dict(series), "id": None, "study": f"1.2.826.0.1.3680043.10.998.{number // 4}", "series": uid}
            inserted = insert(base, "series", row)
            # A replay does not read what was explained then: without it the copies fit on any disk.
            new = {"id": None, "series_id": inserted, "summary": changed(template, number), "explanation": "{}"}
            insert(base, "revisions", {**dict(revision), **new})


def insert(base, table, row):
    return base.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values())).lastrowid


def changed(template, number):
    attributes = template["attributes"]
    values = {"0008,0060": ["MR", "CT", "CR"][number % 3], "0018,0015": PARTS[number % 8], "0008,103e": KINDS[number // 3 % 8],
              "0018,0050": str(1 + number % 5), "0010,0020": f"P{number // 8}", "0010,1010": f"{number % 90:03}Y"}
    for key, value in values.items():
        attributes[key] = {"distinct": [[value]]}
    template["facts"]["slices"] = number % 300
    return json.dumps(template, separators=(",", ":"))


def replay(node, folder, rounds):
    """Seconds (median), megabytes at most, and the report of the last round."""
    command = [BIN, "rules", "replay", "--config", node.config, "--draft", folder / "draft.toml", "--since", "36500d", "--json"]
    core = {min(os.sched_getaffinity(0))}
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True, preexec_fn=lambda: os.sched_setaffinity(0, core))
        seconds.append(time.perf_counter() - start)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return statistics.median(seconds), memory, json.loads(done.stdout)["report"]


if __name__ == "__main__":
    main()
