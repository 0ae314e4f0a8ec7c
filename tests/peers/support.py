"""Real software for the black-box suites: Orthanc, DCMTK and the node, started on free ports and stopped again.

Waiting means looking at a condition until it holds or a limit passes; nothing waits for a fixed time.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SAGITTAL_BIN", ROOT / "target/debug/sagittal"))
ASSETS = pathlib.Path(os.environ.get("SAGITTAL_ASSETS", ROOT.parent / "shared/assets"))
# Validators and readers come from our environment, whose own `storescu` (pynetdicom) must not hide DCMTK's.
TOOLS = pathlib.Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1", "PATH": f"{os.environ['PATH']}:{TOOLS}:/usr/sbin"}


class Skipped(Exception):
    """A suite cannot run here; the reason is the message."""


def asset(path):
    """A file or folder of the assets, or the suite is skipped."""
    if not (ASSETS / path).exists():
        raise Skipped(f"{path} is not under {ASSETS} (SAGITTAL_ASSETS names another folder)")
    return ASSETS / path


def wait(what, condition, limit=300.0, pace=0.05):
    """The first true value of `condition()`, looked at every `pace` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(pace)
    raise AssertionError(f"{what}: not within {limit:.0f} s")


def run(*command, check=True, limit=600):
    """A finished command; its output is the message when it must succeed and does not."""
    done = subprocess.run([str(c) for c in command], env=ENVIRONMENT, capture_output=True, text=True, errors="replace",
                          timeout=limit, cwd=ROOT, stdin=subprocess.DEVNULL)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done


class Program:
    """A program that says `ready name=value ...` on its standard output when it can be used."""

    def __init__(self, command, log, limit=300.0, environment=()):
        self.log = pathlib.Path(log)
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen([str(c) for c in command], env={**ENVIRONMENT, **dict(environment)}, text=True,
                                            stdout=subprocess.PIPE, stderr=errors, stdin=subprocess.DEVNULL, cwd=ROOT)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True)
        self.reader.start()
        self.ready = wait(f"{command[0]} says ready", self._ready, limit)

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"exit {self.process.returncode} before it was ready:\n{self.log.read_text()[-2000:]}")
        line = next((line for line in list(self.lines) if line.startswith("ready ")), None)
        return line and dict(word.split("=", 1) for word in line.split()[1:])

    def alive(self):
        return self.process.poll() is None

    def stop(self, number=signal.SIGTERM):
        """Sends a signal and gives the exit status."""
        if self.alive():
            self.process.send_signal(number)
        return self.process.wait(300)

    def kill(self):
        self.stop(signal.SIGKILL)


class Orthanc:
    """Debian's Orthanc with the shipped configuration. `start` after `stop` keeps the ports and the images."""

    def __init__(self, folder, aet="ORTHANC", start=True, options=()):
        self.folder, self.aet, self.options = pathlib.Path(folder), aet, options
        self.dicom, self.http, self.program = free_port(), free_port(), None
        if start:
            self.start()

    def start(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self.program = Program([ROOT / "orthanc/start.sh", self.folder, "--aet", self.aet, "--dicom", self.dicom,
                                "--http", self.http, *self.options], self.folder / "start.log")

    def stop(self):
        if self.program:
            self.program.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http}"

    def ask(self, path, body=None, method=None):
        """JSON, or the bytes of a file. `body`: bytes as they are, or a value to be sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as answer:
            data = answer.read()
            return json.loads(data) if "json" in answer.headers.get("Content-Type", "") else data

    def add(self, path):
        """Gives a file to Orthanc, which names it."""
        return self.ask("/instances", pathlib.Path(path).read_bytes())["ID"]

    def know(self, name, host, port, aet="SAGITTAL"):
        """Where the modality `name` listens."""
        self.ask(f"/modalities/{name}", {"AET": aet, "Host": host, "Port": port}, "PUT")

    def results(self, series=""):
        """Orthanc's ids of the SEG instances, of one SeriesDescription where it is given."""
        query = {"Modality": "SEG", **({"SeriesDescription": series} if series else {})}
        return self.ask("/tools/find", {"Level": "Instance", "Query": query, "CaseSensitive": False})

    def download(self, instance, path):
        pathlib.Path(path).write_bytes(self.ask(f"/instances/{instance}/file"))
        return pathlib.Path(path)


class Node:
    """`sagittal serve` on a configuration folder of its own. `files` maps a configuration file to its text."""

    def __init__(self, folder, files, start=True, environment=()):
        self.folder, self.program, self.environment = pathlib.Path(folder), None, dict(environment)
        self.config = self.folder / "config"
        self.config.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (self.config / name).write_text(text)
        if start:
            self.start()

    def start(self):
        self.program = Program([BIN, "serve", "--config", self.config], self.folder / "node.log", environment=self.environment)
        self.host, port = self.program.ready["dicom"].rsplit(":", 1)
        self.port = int(port)
        return self

    def stop(self):
        return self.program.stop() if self.program else None

    def kill(self):
        self.program.kill()

    def log(self):
        return (self.folder / "node.log").read_text(errors="replace")

    def peak_memory(self):
        """Megabytes, the largest the process has been."""
        status = pathlib.Path(f"/proc/{self.program.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024

    def jobs(self):
        """`sagittal jobs list --json`, all of them."""
        return json.loads(self.command("jobs", "list", "--json", "--limit", 10_000).stdout)

    def command(self, *words, check=True):
        """A command of the same configuration, beside the running node."""
        return run(BIN, *words, "--config", self.config, check=check)


class Site:
    """The programs of one test in a folder of its own, stopped together, also when not all of them came up.

    A subclass starts them in `build`, each through `keep`."""

    def __init__(self, name, *arguments, **options):
        self.folder, self.programs = workspace(name), []
        try:
            self.build(*arguments, **options)
        except BaseException:
            self.close()
            raise

    def keep(self, program):
        self.programs.append(program)
        return program

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Stops the last one first."""
        for program in reversed(self.programs):
            program.stop()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def storescu(node, files, options=(), aet="SAGITTAL", calling="STORESCU"):
    """DCMTK's storescu with TCP_NODELAY: (exit status, files acknowledged with status 0000, output).

    `-R` proposes only what the files need."""
    command = ["storescu", "-v", "-R", "-aet", calling, "-aec", aet, *options, node.host, str(node.port), *map(str, files)]
    done = run(*command, check=False)
    output = done.stdout + done.stderr
    return done.returncode, acknowledged(output), output


def receive(node, files, **titles):
    """Sends `files` by storescu; each must be acknowledged. `titles`: `aet`, `calling`."""
    status, done, output = storescu(node, files, **titles)
    assert status == 0 and len(done) == len(files), output[-2000:]


def acknowledged(output):
    """The files that `storescu -v` reports as stored with Success."""
    files, current = [], None
    for line in output.splitlines():
        if match := re.match(r"I: Sending file: (.*)", line):
            current = match[1]
        elif line.startswith("I: Received Store Response (Success)") and current:
            files.append(current)
    return files


def workspace(name):
    """An empty folder under target/peers, kept after the run for a look."""
    folder = ROOT / "target/peers" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def scratch():
    return tempfile.TemporaryDirectory(prefix="sagittal-peers-")
