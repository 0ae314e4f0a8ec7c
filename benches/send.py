#!/usr/bin/env python3
"""Delivery of results to one peer by C-STORE, beside DCMTK's dcmsend with TCP_NODELAY=1: the same files, the same storescp.

usage: send.py [--results 1000] [--rounds 3]

A node makes a segmentation of each of so many small series and puts it into a folder; these files are what dcmsend sends. The
node sends them by `sagittal jobs resend`, each as a job of its own, with all that makes it exact: its answer recorded, its end
flushed. Timed by the ledger, from the first claim to the last end; dcmsend by the clock on the wall. Both in turn, each
to a storescp of its own (--fork +B). Further rows: four deliveries at a time, and as many deliveries waiting beside them for a peer
that is dead.
Prints a table and writes target/bench/send.json.
"""

import argparse
import json
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
os.environ.setdefault("SAGITTAL_BIN", str(ROOT / "target/release/sagittal"))
sys.path.insert(0, str(ROOT / "tests/peers"))

import phantom  # noqa: E402
import settings  # noqa: E402
from support import ENVIRONMENT, Node, free_port, receive, wait, workspace  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--results", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = workspace("bench-send")
    port, dead = free_port(), free_port()
    node = made(folder, options.results, port, dead)
    runners = {
        "dcmsend": lambda: dcmsend(folder / "out", port),
        "sagittal": lambda: sagittal(node, options.results),
        "four at a time": lambda: sagittal(node, options.results, "pacs4"),
        "beside a dead peer": lambda: beside_a_dead_one(node, options.results),
    }
    measured = {name: [] for name in runners}
    try:
        for n in range(options.rounds):
            for name in sorted(runners, reverse=bool(n % 2)):
                measured[name].append(received(folder / "received", port, options.results, runners[name]))
                print(f"round {n + 1}  {name:<18} {measured[name][-1]:.2f} s", file=sys.stderr, flush=True)
    finally:
        node.stop()
    report(measured, options)


def made(folder, count, port, dead):
    """A node whose results lie in the folder `out`."""
    peer = lambda port, **more: {"kind": "dicom", "host": "127.0.0.1", "port": port, "ae_title": "STORESCP", "confirm": "none", "backoff_cap": "1 h", **more}
    places = {"out": {"kind": "folder", "path": str(folder / "out")}, "pacs": peer(port), "pacs4": peer(port, concurrency=4), "dead": peer(dead)}
    texts = settings.files({"ball": "threshold"}, [], places)
    texts["rules.toml"] = settings.rule("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball", ["out"])
    node = Node(folder / "node", texts)
    files = [file for n in range(count) for file in phantom.write(folder / f"series/{n}", f"bench {n}", slices=4, size=64)]
    receive(node, files)
    wait(f"{count} results", lambda: query(node, "SELECT count(*) FROM jobs WHERE destination = 'out' AND state = 'completed'") == count,
         limit=3600, pace=0.5)
    return node


def query(node, text):
    with sqlite3.connect(f"file:{node.folder}/data/ledger.sqlite?mode=ro", uri=True) as base:
        return base.execute(text).fetchone()[0]


def received(folder, port, count, send):
    """Seconds that `send` says, with a fresh storescp that has everything afterwards."""
    subprocess.run(["rm", "-rf", folder], check=True)
    folder.mkdir()
    peer = subprocess.Popen(["storescp", "--fork", "--bit-preserving", "--output-directory", folder, str(port)], env={**ENVIRONMENT, "TCP_NODELAY": "1"})
    try:
        wait("storescp", lambda: subprocess.run(["echoscu", "127.0.0.1", str(port)], capture_output=True).returncode == 0)
        seconds = send()
        have = len(list(folder.iterdir()))
        assert have == count, f"{have} of {count} came"
        return seconds
    finally:
        peer.kill()
        peer.wait()


def dcmsend(folder, port):
    start = time.perf_counter()
    subprocess.run(["dcmsend", "+sd", "+r", "-aec", "STORESCP", "127.0.0.1", str(port), folder], check=True, capture_output=True,
                   env={**ENVIRONMENT, "TCP_NODELAY": "1"})
    return time.perf_counter() - start


def sagittal(node, count, to="pacs"):
    last = query(node, "SELECT max(id) FROM jobs")
    resend(node, count, to)
    ended = f"FROM jobs WHERE destination = '{to}' AND id > {last} AND state = 'completed'"
    wait("the deliveries", lambda: query(node, f"SELECT count(*) {ended}") == count, limit=600, pace=0.2)
    first = f"SELECT min(started_at) FROM attempts WHERE job_id IN (SELECT id {ended})"
    return query(node, f"SELECT (SELECT max(finished_at) {ended}) - ({first})") / 1000


def beside_a_dead_one(node, count):
    resend(node, count, "dead")
    try:
        return sagittal(node, count)
    finally:
        waiting = query(node, "SELECT count(*) FROM jobs WHERE destination = 'dead' AND finished_at IS NULL")
        node.command("jobs", "cancel", "--destination", "dead", "--count", waiting)


def resend(node, count, to):
    node.command("jobs", "resend", "--destination", "out", "--to", to, "--count", count)


def report(measured, options):
    medians = {name: statistics.median(values) for name, values in measured.items()}
    rows = [(f"{options.results} results to one peer", medians["sagittal"], "dcmsend", medians["dcmsend"]),
            ("the same, four at a time", medians["four at a time"], "dcmsend", medians["dcmsend"]),
            ("one at a time, as many waiting for a dead peer", medians["beside a dead peer"], "without it", medians["sagittal"])]
    print("\n| case | Sagittal | peer | |\n|---|---|---|---|")
    for case, value, peer, other in rows:
        print(f"| {case} | {value:.2f} s | {peer} {other:.2f} s | {other / value:.2f} |")
    result = [{"case": case, "value": value, "unit": "s", "peer": peer, "peer_value": other, "ratio": round(other / value, 2),
               "runs": options.rounds} for case, value, peer, other in rows]
    target = ROOT / "target/bench"
    target.mkdir(parents=True, exist_ok=True)
    (target / "send.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
