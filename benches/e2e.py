#!/usr/bin/env python3
"""A 384-slice T1 study through the node, beside its model alone.

Sagittal: from the last C-STORE-RSP that DCMTK's storescu (TCP_NODELAY=1) reports until Debian's Orthanc has the SEG, less
the configured completion timer (`quiet_after_release`; what the node adds to it counts against the node).
The peer: the same network on the same conformed tensor in ONNX Runtime's Python package (plain_ort.py), nothing else.
Cold: a node, or process, that has not run the model yet. Warm: the second study, or run, of the same process.
Memory: VmHWM of the node, ru_maxrss of the peer.

usage: e2e.py [--rounds 3]

Both run in turn with 2 threads; prints a table and writes target/bench/e2e.json. Needs the assets (SAGITTAL_ASSETS).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("SAGITTAL_BIN", str(ROOT / "target/release/sagittal"))
sys.path.insert(0, str(ROOT / "tests/peers"))

import nibabel  # noqa: E402
import numpy  # noqa: E402
import pydicom  # noqa: E402

import models  # noqa: E402
import settings  # noqa: E402
from support import ASSETS, ENVIRONMENT, Node, Orthanc, run, wait, workspace  # noqa: E402

# The quickest of the models, where everything around it weighs most; `E2E_MODEL=meshnet-gwm-large` takes a slower one.
NETWORKS = {"meshnet-gwm": "meshnet_model5_gw_ae.onnx", "meshnet-gwm-large": "meshnet_model11_gw_ae.onnx"}
MODEL = os.environ.get("E2E_MODEL", "meshnet-gwm")
NETWORK, THREADS, QUIET = NETWORKS[MODEL], 2, 1.0
SLOWER, MORE_MEMORY = 1.15, 400
T1 = ASSETS / "data/mr_t1_dicom"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if not T1.exists():
        sys.exit(f"error: the T1 study is not under {ASSETS} (SAGITTAL_ASSETS names another folder)")
    folder = workspace("bench-e2e")
    studies, tensor = two_studies(folder), conformed(folder)
    runners = {"sagittal": lambda n: sagittal(folder / f"round-{n}", studies), "plain": lambda _: plain(tensor)}
    measured = {name: [] for name in runners}
    for n in range(rounds):
        # The order alternates: what ran just before matters.
        for name in sorted(runners, reverse=bool(n % 2)):
            measured[name].append(runners[name](n))
            told = ", ".join(f"{key} {value:.2f}" for key, value in measured[name][-1].items())
            print(f"round {n + 1}  {name:<9} {told}", file=sys.stderr, flush=True)
    report(measured, rounds)


def two_studies(folder):
    """The study as it is, and once more under other UIDs: the node keeps one answer for one study."""
    run("tar", "--zstd", "-xf", T1 / "T1w_384slices.tar.zst", "-C", folder)
    first = sorted((folder / "dicoms").rglob("*.dcm"))
    (folder / "again").mkdir()
    return [first, [renamed(path, folder / "again" / path.name) for path in first]]


def renamed(path, target):
    dataset = pydicom.dcmread(path)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(dataset, keyword, pydicom.uid.generate_uid(entropy_srcs=["sagittal", dataset[keyword].value]))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(target)
    return target


def conformed(folder):
    """The network's input: the conformed volume of the assets, which the node's own resampling reproduces, 0 to 1."""
    voxels = numpy.asarray(nibabel.load(T1 / "expected/T1w_conformed_256_LIA_u8.nii.gz").dataobj, dtype="f4")
    low, high = voxels.min(), voxels.max()
    numpy.save(folder / "tensor.npy", numpy.ascontiguousarray((voxels - low) / (high - low))[None, None])
    return folder / "tensor.npy"


def plain(tensor):
    python = ROOT / ".venv/bench/bin/python"
    network = models.folder() / MODEL / NETWORK
    return json.loads(run(python, ROOT / "benches/plain_ort.py", network, tensor, THREADS).stdout)


def sagittal(folder, studies):
    # An Orthanc of its own: the SEG's UIDs are the same in every round.
    pacs = Orthanc(folder / "pacs")
    try:
        rules = [("T1", {"Modality": "MR"}, "tissue")]
        quiet = f"{round(QUIET * 1000)} ms"
        files = settings.files({"tissue": MODEL}, rules, {"pacs": settings.dicom(pacs)}, quiet)
        node = Node(folder / "node", files)
        try:
            return both(node, pacs, studies)
        finally:
            node.stop()
    finally:
        pacs.stop()


def both(node, pacs, studies):
    cold = answered(node, pacs, studies[0], 1)
    peak_cold = node.peak_memory()
    warm = answered(node, pacs, studies[1], 2)
    return {"cold": cold, "warm": warm, "peak_cold": peak_cold, "peak_warm": node.peak_memory()}


def answered(node, pacs, files, count):
    """Seconds from the last C-STORE-RSP until Orthanc has `count` SEGs, less the completion timer."""
    last = send(node, files)
    # A look at the log costs nothing; Orthanc is asked only when an answer is due, for it shares the processors.
    wait("the model is done", lambda: node.log().count("inference done") >= count, 300)
    while pacs.ask("/statistics")["CountInstances"] < count:
        time.sleep(0.01)
    seconds = time.perf_counter() - last - QUIET
    done = lambda: all(job["state"] == "completed" for job in node.jobs())
    wait("every job is done", done, 30)
    return seconds


def send(node, files):
    """Sends a study; the time at which storescu reported the last answer."""
    command = ["storescu", "-v", "-R", "-aet", "BENCH", "-aec", "SAGITTAL", node.host, str(node.port), *map(str, files)]
    stored, last = 0, 0.0
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        for line in program.stdout:
            if line.startswith("I: Received Store Response (Success)"):
                stored, last = stored + 1, time.perf_counter()
    if stored != len(files):
        sys.exit(f"error: {stored} of {len(files)} acknowledged")
    return last


def report(measured, rounds):
    middle = {name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} for name, rows in measured.items()}
    print(f"\n384-slice T1, {MODEL}, {THREADS} threads, {rounds} rounds, medians (min-max)\n")
    print("| case | sagittal | model alone | sagittal / alone | wanted |\n|---|---|---|---|---|")
    cases = []
    for key in ("cold", "warm", "peak_cold", "peak_warm"):
        ours, theirs = middle["sagittal"][key], middle["plain"][key]
        seconds = not key.startswith("peak")
        name = f"last C-STORE-RSP to SEG in Orthanc, {key}" if seconds else f"peak memory, {key.removeprefix('peak_')}"
        limit = f"{SLOWER:.2f}" if seconds else f"+ {MORE_MEMORY} MB"
        gap = f"{ours / theirs:.3f}" if seconds else f"{ours - theirs:+.0f} MB"
        print(f"| {name} | {spread(measured['sagittal'], key)} | {spread(measured['plain'], key)} | {gap} | at most {limit} |")
        cases.append({"case": name, "value": round(ours, 2), "unit": "s" if seconds else "MB",
                      "peer": "onnxruntime 1.31.1, Python, model alone", "peer_value": round(theirs, 2),
                      "ratio": round(theirs / ours, 3), "runs": rounds})
    target = ROOT / "target/bench"
    target.mkdir(parents=True, exist_ok=True)
    (target / "e2e.json").write_text(json.dumps(cases, indent=1) + "\n")


def spread(rows, key):
    values = [row[key] for row in rows]
    digits = 0 if key.startswith("peak") else 2
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
