#!/usr/bin/env python3
"""Receiving CT slices (525 KB) and small objects (9 KB) over 1, 4 and 16 associations: Sagittal at both durability levels
beside DCMTK's `storescp --fork` (no fsync, no index), Debian's Orthanc with fsync on, and what the machine allows at best
(examples/storefloor.rs: no DICOM library, no parsing, no index, nothing but the bytes kept or discarded). Sagittal with 64
associations, too, for its memory.

usage: receive.py [--rounds 5] [--only ct512] [--associations 1 4 16] [--receivers NAME ...]

A load generator that keeps its data sets in memory (examples/storeload.rs) sends; TCP_NODELAY on both ends. Every cell
starts its receiver anew on an empty folder, in a new random order every round, after memory was touched and given back;
nothing is deleted before the end, because ext4 makes files slowly where many were deleted. Prints a table and writes
target/bench/receive.json.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("SAGITTAL_BIN", str(ROOT / "target/release/sagittal"))
FLOOR = ROOT / "target/release/examples/storefloor"
LOAD = pathlib.Path(os.environ.get("STORELOAD_BIN", ROOT / "target/release/examples/storeload"))
sys.path.insert(0, str(ROOT / "tests/peers"))

import settings  # noqa: E402
from support import ENVIRONMENT, Node, Orthanc, free_port, run, wait  # noqa: E402

# objects, rows and columns
KINDS = {"ct512": (300, 512), "small": (2000, 64)}
# associations
CROWD = 64
TICKS = os.sysconf("SC_CLK_TCK")


class Sagittal:
    """`level`: the durability promised with status 0000."""

    title = "SAGITTAL"

    def __init__(self, folder, level):
        (folder / "models").mkdir(parents=True)
        files = settings.files({}, [], {}, quiet="600 s", model_folder=folder / "models")
        files["node.toml"] = files["node.toml"].replace('reserve = "0 B"\n', f'durability = "{level}"\n')
        self.node = Node(folder, files)
        self.port, self.pid = self.node.port, self.node.program.process.pid
        # The state of a node that has run for a minute: its reserve of segments is there.
        reserve = folder / "data/spool/segments"
        wait("the reserve", lambda: len(list(reserve.glob("*.seg"))) >= 4)

    def stop(self):
        self.node.stop()


class Dcmtk:
    title = "STORESCP"

    def __init__(self, folder):
        self.port = free_port()
        folder.mkdir(parents=True)
        command = ["storescp", "--fork", "-od", str(folder), "+uf", str(self.port)]
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait("storescp listens", lambda: listens(self.port))

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Fsynced:
    """Orthanc as shipped: SyncStorageArea on."""

    def __init__(self, folder):
        self.peer = Orthanc(folder)
        self.title, self.port, self.pid = self.peer.aet, self.peer.dicom, int(self.peer.program.ready["pid"])

    def stop(self):
        self.peer.stop()


class Floor:
    """The least work that keeps a promise (examples/storefloor.rs): what the machine itself allows."""

    title = "FLOOR"

    def __init__(self, folder, promise):
        folder.mkdir(parents=True)
        self.process = subprocess.Popen([FLOOR, str(folder), promise], stdout=subprocess.PIPE, text=True)
        self.port, self.pid = int(self.process.stdout.readline()), self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait()


RECEIVERS = {
    "power-loss": lambda folder: Sagittal(folder, "power-loss"),
    "process-crash": lambda folder: Sagittal(folder, "process-crash"),
    "dcmtk-fork": Dcmtk,
    "orthanc-fsync": Fsynced,
    "floor-power-loss": lambda folder: Floor(folder, "append"),
    "floor-discard": lambda folder: Floor(folder, "discard"),
}
OURS, PEERS = ("power-loss", "process-crash"), ("dcmtk-fork", "orthanc-fsync")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--receivers", nargs="+", choices=RECEIVERS, default=list(RECEIVERS))
    chosen = parser.parse_args()
    kinds = [chosen.only] if chosen.only else list(KINDS)
    cells = list(itertools.product(kinds, chosen.associations, chosen.receivers))
    # how much memory a crowd costs
    crowd = itertools.product(["ct512"], [CROWD], OURS)
    cells += [cell for cell in crowd if cell[0] in kinds and cell[2] in chosen.receivers and cell not in cells]
    work = ROOT / f"target/bench/receive-{os.getpid()}"
    found = {cell: [] for cell in cells}
    try:
        for n in range(chosen.rounds):
            for cell in random.Random(n).sample(cells, len(cells)):
                found[cell].append(measured(work / f"{n}-{'-'.join(map(str, cell))}", cell, n))
                print(f"round {n + 1}  {cell}  {found[cell][-1]['rate']:.0f}/s", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report({cell: middle(values) for cell, values in found.items()}, chosen.rounds)


def measured(folder, cell, n):
    """One run of one cell: rate, p99_ms, cpu (seconds per 1,000 objects), memory (MB)."""
    kind, associations, name = cell
    objects, rows = KINDS[kind]
    warm()
    receiver = RECEIVERS[name](folder)
    try:
        os.sync()
        before = cpu(receiver.pid)
        done = run(LOAD, f"127.0.0.1:{receiver.port}", receiver.title, associations, objects, rows, n + 1)
        result = json.loads(done.stdout)
        # A forked receiver's time counts when its parent has seen it end.
        time.sleep(0.2)
        spent = cpu(receiver.pid) - before
        return {**result, "cpu": 1000 * spent / objects, "memory": memory(receiver.pid)}
    finally:
        receiver.stop()


def warm(megabytes=400):
    """A virtual machine may have given free memory back: the first touch is not the receiver's to pay."""
    block = b"\1" * (megabytes << 20)
    del block


def listens(port):
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def family(pid):
    """A process and its children."""
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children")
    below = children.read_text().split() if children.exists() else []
    return [pid, *itertools.chain.from_iterable(family(int(child)) for child in below)]


def cpu(pid):
    """Seconds used by a process, its threads, and its children, ended or not."""
    fields = [pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split() for member in family(pid)]
    own = sum(int(f[11]) + int(f[12]) for f in fields)
    return (own + int(fields[0][13]) + int(fields[0][14])) / TICKS


def memory(pid):
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def middle(values):
    column = {key: statistics.median(value[key] for value in values) for key in ("rate", "p99_ms", "cpu", "memory")}
    rates = [value["rate"] for value in values]
    return {**column, "least": min(rates), "most": max(rates)}


def report(found, rounds):
    cases = []
    print("\n| case | receiver | instances/s (min-max) | p99 ms | CPU s per 1,000 | peak MB | to dcmtk-fork | to orthanc-fsync |")
    print("|---|---|---|---|---|---|---|---|")
    for (kind, associations, name), value in found.items():
        ratios = []
        for peer in PEERS:
            other = found.get((kind, associations, peer))
            ratios.append(f"{value['rate'] / other['rate']:.2f}" if other else "")
            if other and name in OURS:
                cases.append({"case": f"{kind} a{associations} {name}", "value": round(value["rate"], 1), "unit": "instances/s",
                              "peer": peer, "peer_value": round(other["rate"], 1), "ratio": round(value["rate"] / other["rate"], 3),
                              "p99_ms": round(value["p99_ms"], 2), "cpu_s_per_1000": round(value["cpu"], 3),
                              "peak_mb": round(value["memory"], 1), "runs": rounds})
        spread = f"{value['rate']:.0f} ({value['least']:.0f}-{value['most']:.0f})"
        print(f"| {kind} a{associations} | {name} | {spread} | {value['p99_ms']:.1f} | {value['cpu']:.2f} | {value['memory']:.0f} | "
              f"{ratios[0]} | {ratios[1]} |")
    target = ROOT / "target/bench"
    target.mkdir(parents=True, exist_ok=True)
    (target / "receive.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
