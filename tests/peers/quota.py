"""The spool's quota: finished series make room, unfinished ones never."""

import phantom
import pydicom
import settings
import wire
from support import Node, receive, wait, workspace

QUOTA = '\n[storage]\nquota = "3 MiB"\n'


def site(name, destination):
    folder = workspace(name)
    rules = [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")]
    texts = settings.files({"ball": "threshold"}, rules, {"there": destination(folder)}, quiet="500 ms")
    texts["node.toml"] += QUOTA
    return folder, Node(folder / "node", texts)


def series(folder, name):
    """About one megabyte."""
    files = phantom.write(folder / name, name, slices=8, size=256)
    return files, str(pydicom.dcmread(files[0]).SeriesInstanceUID)


def exported(node, uid, folder):
    return node.command("series", "export", uid, "-o", folder, check=False).returncode == 0


def test_the_oldest_finished_series_make_room():
    folder, node = site("quota-oldest", lambda folder: {"kind": "folder", "path": str(folder / "out")})
    try:
        uids = []
        for n in range(5):
            files, uid = series(folder, f"series-{n}")
            receive(node, files)
            uids.append(uid)
            wait("all jobs done", lambda: len(node.jobs()) == 2 * (n + 1) and all(j["state"] == "completed" for j in node.jobs()))
        held = [exported(node, uid, folder / f"export-{n}") for n, uid in enumerate(uids)]
        assert held[-1] and not held[0] and held == sorted(held), held
        node.kill()
        node.start()
        assert [exported(node, uid, folder / f"again-{n}") for n, uid in enumerate(uids)] == held, "a dropped series came back"
        assert len(node.jobs()) == 10, f"a dropped series was run again: {node.jobs()}"
    finally:
        node.stop()


def test_unfinished_series_are_kept_and_the_sender_is_told():
    nobody = lambda folder: {"kind": "dicom", "host": "127.0.0.1", "port": 9, "ae_title": "NOBODY", "timeout": "2 s"}
    folder, node = site("quota-unfinished", nobody)
    try:
        acked, refused, uids = 0, [], []
        for n in range(4):
            files, uid = series(folder, f"series-{n}")
            uids.append(uid)
            for file in files:
                sop_class, syntax, instance, data = wire.read_raw(file)
                answer = wire.store(node, sop_class, syntax, instance, data)
                acked += answer == 0
                refused += [answer] if answer else []
            if refused:
                break
        assert acked >= 16 and refused and set(refused) == {0xA700}, (acked, refused)
        kept = sum(len(list((folder / f"kept-{n}").iterdir())) for n, uid in enumerate(uids)
                   if exported(node, uid, folder / f"kept-{n}"))
        assert kept == acked, "what was acknowledged and is unfinished was dropped"
    finally:
        node.stop()
