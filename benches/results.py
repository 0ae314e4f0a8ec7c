#!/usr/bin/env python3
"""Writing results of a 512 x 512 x 300 label map: Sagittal beside highdicom (SEG) and rt-utils (RTSTRUCT).

usage: results.py [--rounds 3] [--only CASE ...]

The label map holds 20 or 104 ellipsoids; it and the source's headers are in memory before the clock starts, and the file
is closed when it stops. Every round runs both sides of every case in a random order, each in a process of its own, and
counts CPU seconds: other work on the machine shows in wall time only. Prints a table and writes
target/bench/results.json.
"""

import argparse
import json
import os
import pathlib
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
OURS = pathlib.Path(os.environ.get("RESULTLOAD_BIN", ROOT / "target/release/examples/resultload"))
SHAPE = (300, 512, 512)
# case: kind for our tool, peer, labels
CASES = {
    "seg-binary-20": ("binary", "highdicom", 20),
    "seg-binary-104": ("binary", "highdicom", 104),
    "seg-labelmap-rle-104": ("labelmap-rle", "highdicom", 104),
    "rtstruct-20": ("rtstruct", "rt-utils", 20),
}
PYTHON = {"highdicom": ROOT / ".venv/peers/bin/python", "rt-utils": ROOT / ".venv/structures/bin/python"}


def ellipsoids(count):
    """Ellipsoids on a jittered grid that fill about a fifth of the volume."""
    dice, labels = np.random.default_rng(1), np.zeros(SHAPE, np.uint8)
    grid = int(np.ceil(count ** (1 / 3)))
    for label, cell in enumerate(np.ndindex(grid, grid, grid), 1):
        if label > count:
            break
        centre = [(c + 0.5) / grid * n + dice.uniform(-3, 3) for c, n in zip(cell, SHAPE)]
        radii = [SHAPE[0] / grid * 0.42, SHAPE[1] / grid * 0.4, SHAPE[2] / grid * 0.4]
        window = tuple(
            slice(max(0, int(c - r)), min(n, int(c + r) + 1)) for c, r, n in zip(centre, radii, SHAPE)
        )
        places = np.ogrid[window]
        inside = sum(((p - c) / r) ** 2 for p, c, r in zip(places, centre, radii)) < 1
        labels[window][inside] = label
    return labels


def by_highdicom(kind, labels, folder, out):
    import highdicom
    import pydicom
    from pydicom.sr.codedict import codes
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

    headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in sorted(folder.iterdir())]
    algorithm = highdicom.AlgorithmIdentificationSequence(
        name="bench", version="1", family=codes.cid7162.ArtificialIntelligence
    )
    segments = [
        highdicom.seg.SegmentDescription(
            n, f"Structure {n}", codes.SCT.AnatomicalStructure, codes.SCT.Liver, "AUTOMATIC", algorithm
        )
        for n in range(1, int(labels.max()) + 1)
    ]
    start = time.process_time(), time.perf_counter()
    highdicom.seg.Segmentation(
        source_images=headers,
        pixel_array=labels,
        segmentation_type="BINARY" if kind == "binary" else "LABELMAP",
        segment_descriptions=segments,
        series_instance_uid=generate_uid(),
        series_number=9,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="bench",
        manufacturer_model_name="bench",
        software_versions="1",
        device_serial_number="1",
        transfer_syntax_uid=RLELossless if kind.endswith("rle") else ExplicitVRLittleEndian,
    ).save_as(out)
    return start


def by_rt_utils(_, labels, folder, out):
    from rt_utils import RTStructBuilder

    structures = RTStructBuilder.create_new(dicom_series_path=str(folder))
    start = time.process_time(), time.perf_counter()
    for n in range(1, int(labels.max()) + 1):
        structures.add_roi(mask=np.ascontiguousarray(np.transpose(labels == n, (1, 2, 0))), name=f"Structure {n}")
    structures.save(str(out))
    return start


def as_peer(peer, kind, labels, folder, out):
    """What a process of the peer's prints, in the words of examples/resultload.rs."""
    values = np.load(labels)
    write = by_highdicom if peer == "highdicom" else by_rt_utils
    cpu, wall = write(kind, values, pathlib.Path(folder), pathlib.Path(out))
    spent = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({**spent, "bytes": os.path.getsize(out), "labels_mb": values.nbytes / 1e6, "peak_mb": peak}))


def measure(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900)
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main(rounds, only):
    sys.path.insert(0, str(ROOT / "tests/peers"))
    import phantom

    chosen = {case: CASES[case] for case in only or CASES}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        phantom.write(folder / "source", "bench", slices=SHAPE[0], size=SHAPE[1], spacing=1.0)
        for count in {count for _, _, count in chosen.values()}:
            np.save(folder / f"{count}.npy", ellipsoids(count))
        found = {(case, side): [] for case in chosen for side in ("ours", "peer")}
        for _ in range(rounds):
            runs = list(found)
            random.shuffle(runs)
            for case, side in runs:
                kind, peer, count = chosen[case]
                inputs = (folder / f"{count}.npy", folder / "source", folder / "out.dcm")
                command = [PYTHON[peer], __file__, "--peer", peer, kind, *inputs]
                found[case, side].append(measure([OURS, kind, *inputs] if side == "ours" else command))
    report(chosen, found, rounds)


def report(cases, found, rounds):
    rows = []
    print(f"{'case':24}{'Sagittal':>12}{'peer':>12}{'':4}{'ratio':>8}")
    for case, (_, peer, _) in cases.items():
        for what, unit, of in (
            ("cpu", "s", lambda run: run["cpu_s"]),
            ("memory beside the labels", "MB", lambda run: run["peak_mb"] - run["labels_mb"]),
        ):
            ours, theirs = (statistics.median(map(of, found[case, side])) for side in ("ours", "peer"))
            name = case if what == "cpu" else f"{case}-memory"
            rows.append({
                "case": name, "value": round(ours, 3), "unit": unit, "peer": peer,
                "peer_value": round(theirs, 3), "ratio": round(theirs / max(ours, 1e-3), 1), "runs": rounds,
            })
            print(f"{name:28}{ours:10.2f} {unit:2}{theirs:10.2f} {unit:2} {peer:10}{rows[-1]['ratio']:7.1f}")
    out = ROOT / "target/bench/results.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        as_peer(*sys.argv[2:])
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--only", nargs="*", choices=CASES)
        arguments = parser.parse_args()
        main(arguments.rounds, arguments.only)
