"""A disk of its own that fills up and recovers, or is read-only: a tmpfs in a mount namespace of the node's.

The faults that no file system makes on demand (torn and lost writes, read-only all of a sudden) are those of `spool::fault_tests`.
"""

import phantom
import pydicom
import settings
import wire
from support import BIN, Program, Skipped, run, wait, workspace

MEGABYTES = 24


class SmallDisk:
    """A node whose data folder is a disk of `MEGABYTES`."""

    def __init__(self, name):
        if run("unshare", "-m", "true", check=False).returncode != 0:
            raise Skipped("no mount namespace can be made here (not root)")
        self.folder = workspace(name)
        self.config, self.data = self.folder / "config", self.folder / "data"
        for folder in (self.config, self.data):
            folder.mkdir()
        files = settings.files({}, [], {}, quiet="1 h", silence="1 h")
        files["node.toml"] += '\n[storage]\nkeep_free = "0 B"\n'
        for file, text in files.items():
            (self.config / file).write_text(text)
        self.start()

    def start(self):
        script = f"mount -t tmpfs -o size={MEGABYTES}m none '{self.data}' && exec '{BIN}' serve --config '{self.config}'"
        self.program = Program(["unshare", "-m", "sh", "-c", script], self.folder / "node.log")
        self.host, port = self.program.ready["dicom"].rsplit(":", 1)
        self.port = int(port)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.program.stop()

    def inside(self, *command):
        """A command that sees the disk."""
        return run("nsenter", "-t", self.program.process.pid, "-m", *command, check=False)

    def store(self, file):
        sop_class, syntax, instance, data = wire.read_raw(file)
        return wire.store(self, sop_class, syntax, instance, data)

    def held(self, series, name):
        """SOP instance -> pixels, of what the node holds."""
        out = self.folder / name
        done = self.inside(BIN, "series", "export", series, "-o", out, "--config", self.config)
        assert done.returncode == 0, done.stdout + done.stderr
        read = [pydicom.dcmread(path) for path in out.iterdir()]
        return {str(dataset.SOPInstanceUID): dataset.PixelData for dataset in read}


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged():
    with SmallDisk("disk-full") as site:
        files = phantom.write(site.folder / "series", "disk-full", slices=30, size=1024)
        answers = [site.store(file) for file in files]
        taken = [file for file, answer in zip(files, answers) if answer == 0]
        assert 3 < len(taken) < len(files) and set(answers) == {0, 0xA700}, answers
        assert site.program.alive(), (site.folder / "node.log").read_text()[-2000:]
        expected = {str(d.SOPInstanceUID): d.PixelData for d in map(pydicom.dcmread, taken)}
        held = site.held(str(pydicom.dcmread(files[0]).SeriesInstanceUID), "kept")
        assert set(held) == set(expected) and held == expected, (len(held), len(expected))
        # room is made, as an administrator would
        assert site.inside("mount", "-o", f"remount,size={4 * MEGABYTES}m", site.data).returncode == 0
        refused = next(file for file, answer in zip(files, answers) if answer)
        wait("the refused object is taken", lambda: site.store(refused) == 0)
        return f"{len(taken)} of {len(files)} taken, the rest told A700"


def test_a_read_only_disk_is_named_at_start():
    with SmallDisk("disk-read-only") as site:
        other = site.folder / "read-only"
        other.mkdir()
        site.program.stop()
        text = (site.config / "node.toml").read_text().replace('data = "../data"', 'data = "../read-only"')
        (site.config / "node.toml").write_text(text)
        script = f"mount -t tmpfs -o ro none '{other}' && exec '{BIN}' serve --config '{site.config}'"
        done = run("unshare", "-m", "sh", "-c", script, check=False)
        assert done.returncode == 1 and "cannot make the data folder" in done.stderr and "Read-only" in done.stderr, done
