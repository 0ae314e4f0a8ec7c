"""`kill -9` of the node at random moments: nothing acknowledged is lost, no result is doubled.

Each round starts the node on the same data, sends one more series (and what earlier rounds did not get acknowledged, as
a modality would) and kills it a random time after its log says that one of the steps of a series' way begins: receiving,
closing, inference, delivery. At the end the node runs undisturbed until every job is done.
"""

import collections
import os
import random
import threading

import phantom
import seg
from e2e_orthanc import Between
from support import receive, storescu, wait

KILLS = int(os.environ.get("SAGITTAL_KILLS", "50"))
# What the log says when a step begins, and the seconds within which it is over; the first is any time at all.
MOMENTS = {"listening": 2.5, "association accepted": 0.2, "series finished": 0.03, "inference starts": 0.05, "inference done": 0.2}


def test_fifty_kills():
    seed = int(os.environ.get("SAGITTAL_SEED", random.randrange(10**6)))
    moments = random.Random(seed)
    print(f"          seed {seed} (SAGITTAL_SEED repeats the moments)", flush=True)
    with Between("kill", {"ball": "threshold"}, [("phantoms", {"Modality": "MR"}, "ball")]) as site:
        series, acked, hit = [], set(), collections.Counter()
        site.node.stop()
        for n in range(KILLS):
            series.append(phantom.write(site.folder / f"series/{n:02}", f"kill-{n}", slices=12, size=24))
            line = moments.choice(list(MOMENTS))
            hit.update(send_and_kill(site.node, series, acked, line, moments.uniform(0, MOMENTS[line])))
        site.node.start()
        for files in unacknowledged(series, acked):
            receive(site.node, files)
            acked.update(map(str, files))
        settle(site)
        revisions = check(site, series)
        during = ", ".join(f"{count} during {what}" for what, count in sorted(hit.items()))
        return f"{KILLS} kills ({during}), {len(acked)} instances, {revisions} SEGs in each Orthanc"


def unacknowledged(series, acked):
    left = ([f for f in files if str(f) not in acked] for files in series)
    return [files for files in left if files]


def send_and_kill(node, series, acked, line, seconds):
    """What the node was doing when it was killed; it can be several things."""
    said = len(node.log())
    node.start()
    killer = threading.Thread(target=kill_after, args=(node, said, line, seconds))
    killer.start()
    doing = set()
    for files in unacknowledged(series, acked):
        _, done, _ = storescu(node, files)
        acked.update(done)
        if len(done) < len(files):
            doing.add("receiving")
            break
    killer.join()
    doing.update(f"{j['kind']} {j['state']}" for j in node.jobs() if j["state"] in ("available", "running"))
    return doing or {"waiting"}


def kill_after(node, said, line, seconds):
    """Kills `seconds` after the log, from place `said` on, says `line`."""
    try:
        wait(line, lambda: line in node.log()[said:], 10, pace=0.001)
        threading.Event().wait(seconds)
    finally:
        node.kill()


def settle(site):
    """Until nothing is left to do: every series has a job and every job is done."""
    def done():
        jobs = site.node.jobs()
        infer = {j["series"] for j in jobs if j["kind"] == "infer"}
        return len(infer) == KILLS and all(j["state"] == "completed" for j in jobs)

    wait("every job is completed", done, 900)


def check(site, series):
    """Both Orthancs hold the same SEGs, one of each closed revision, the last of which has all instances of its series.

    A series has one revision unless the machine was so slow that it was quiet for long between a kill and the rest of it."""
    revisions = {(j["series"], j["revision"]) for j in site.node.jobs() if j["kind"] == "infer"}
    held = []
    for orthanc in (site.pacs, site.archive):
        files = [orthanc.download(i, site.folder / f"{orthanc.aet}-{i}.dcm") for i in orthanc.results()]
        sources = [frozenset(seg.referenced(f)) for f in files]
        assert len(sources) == len(set(sources)), f"{orthanc.aet} has two SEGs of the same instances"
        whole = [frozenset(seg.Source(files).uids) for files in series]
        lost = [n for n, uids in enumerate(whole) if uids not in sources]
        assert not lost, f"{orthanc.aet}: no SEG over all acknowledged instances of series {lost}"
        assert len(sources) == len(revisions), f"{orthanc.aet} has {len(sources)} SEGs of {len(revisions)} revisions"
        held.append({str(seg.pydicom.dcmread(f, stop_before_pixels=True).SOPInstanceUID) for f in files})
    assert held[0] == held[1], "the two destinations hold different SEGs"
    return len(held[0])
