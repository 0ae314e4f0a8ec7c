#!/usr/bin/env python3
"""Receiving 384 MR slices from DCMTK's storescu (TCP_NODELAY=1, one association): Sagittal beside Debian's Orthanc with
fsync on. Both promise the same at status 0000: the bytes are on the disk.

usage: receive.py [--rounds 5]

Every round starts both receivers anew on empty folders, in shuffled order; prints a table and writes
target/bench/receive.json. Nothing is deleted before the last round is over: ext4 makes files slowly where many were deleted
in the last minutes (for the same reason, wait some minutes between two runs).
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("SAGITTAL_BIN", str(ROOT / "target/release/sagittal"))
sys.path.insert(0, str(ROOT / "tests/peers"))

import phantom  # noqa: E402
import settings  # noqa: E402
from support import ASSETS, Node, Orthanc, run, storescu, workspace  # noqa: E402

SLICES = 384


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = workspace(f"bench-receive-{os.getpid()}")
    files = series(folder)
    megabytes = sum(f.stat().st_size for f in files) / 1e6
    receivers = {"sagittal": sagittal, "orthanc": orthanc}
    rates = {name: [] for name in receivers}
    for n in range(rounds):
        # What ran just before a receiver matters.
        for name in random.sample(sorted(receivers), len(receivers)):
            rates[name].append(SLICES / receivers[name](folder / f"{name}-{n}", files))
            print(f"round {n + 1}  {name:<9} {rates[name][-1]:7.0f} instances/s", file=sys.stderr, flush=True)
    report(rates, rounds, megabytes)
    shutil.rmtree(folder)


def series(folder):
    """The real T1 where the assets are, else a phantom of the same size."""
    archive = ASSETS / "data/mr_t1_dicom/T1w_384slices.tar.zst"
    if not archive.exists():
        return phantom.write(folder / "series", "bench", slices=SLICES, size=320, spacing=0.7)
    run("tar", "--zstd", "-xf", archive, "-C", folder)
    return sorted((folder / "dicoms").rglob("*.dcm"))


def sagittal(folder, files):
    node = Node(folder, settings.files({}, [], {}, quiet="600 s"))
    try:
        return timed(node, files, "SAGITTAL")
    finally:
        node.stop()


def orthanc(folder, files):
    peer = Orthanc(folder)
    peer.host, peer.port = "127.0.0.1", peer.dicom
    try:
        return timed(peer, files, peer.aet)
    finally:
        peer.stop()


def timed(receiver, files, aet):
    for file in files:
        file.read_bytes()
    os.sync()
    start = time.perf_counter()
    status, acked, output = storescu(receiver, files, aet=aet)
    seconds = time.perf_counter() - start
    if status != 0 or len(acked) != len(files):
        sys.exit(f"error: {len(acked)} of {len(files)} acknowledged\n{output[-1000:]}")
    return seconds


def report(rates, rounds, megabytes):
    middle = {name: statistics.median(values) for name, values in rates.items()}
    ratio = middle["sagittal"] / middle["orthanc"]
    print(f"\n{SLICES} slices, {megabytes:.0f} MB, one association, {rounds} rounds\n")
    print("| receiver | instances/s (median) | min-max | ratio |\n|---|---|---|---|")
    for name, values in rates.items():
        print(f"| {name} | {middle[name]:.0f} | {min(values):.0f}-{max(values):.0f} | {middle[name] / middle['orthanc']:.2f} |")
    target = ROOT / "target/bench"
    target.mkdir(parents=True, exist_ok=True)
    case = {"case": "receive 384 slices, storescu", "value": round(middle["sagittal"], 1), "unit": "instances/s",
            "peer": "Orthanc (Debian, SyncStorageArea)", "peer_value": round(middle["orthanc"], 1), "ratio": round(ratio, 3),
            "runs": rounds}
    (target / "receive.json").write_text(json.dumps([case], indent=1) + "\n")


if __name__ == "__main__":
    main()
