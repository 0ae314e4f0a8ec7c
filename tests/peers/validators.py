"""dciodvfy and dcentvfy (dicom3tools, in .venv/peers), and what they print about an object that its source is to blame for.

A value of the patient, the study or the procedure that is illegal or unknown in the source is so in every faithful copy, and
what the source's images refer to may be absent. Lines that the validators print about the source, too, are reported as
inherited; they are no faults.
"""

import subprocess
import sys
from pathlib import Path

OWN = Path(sys.executable).parent
TOOLS = OWN if (OWN / "dciodvfy").exists() else Path(__file__).resolve().parents[2] / ".venv/peers/bin"
INHERITABLE = (
    "Error - Value invalid for this VR - (0x00",
    "Warning - Value dubious for this VR - (0x00",
    "Warning - Unrecognized defined term",
)
SUMMARY = "Error - Dicom dataset contains invalid data values for Value Representations"


def run(tool, *arguments):
    """Its exit status and the lines that it prints."""
    done = subprocess.run([TOOLS / tool, *arguments], capture_output=True, timeout=600)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return done.returncode, [line for line in lines if line.strip()]


def iod_faults(path, source, names):
    """What dciodvfy prints besides one of `names`, the IOD's, and what it prints about `source`, an image."""
    lines = run("dciodvfy", path)[1]
    theirs = set(run("dciodvfy", source)[1])
    inherited = [line for line in lines if line in theirs and line.startswith(INHERITABLE)]
    rest = [line for line in lines if line not in inherited]
    if any(line.startswith("Error") for line in inherited):
        rest = [line for line in rest if line != SUMMARY]
    for line in inherited:
        # The tag names the attribute; its value stays out of the log.
        print("inherited from the source:", line.split(" <")[0].split(" [")[0])
    if rest not in [[name] for name in names]:
        yield f"dciodvfy printed {rest[:5]}"


def entity_faults(path, files, allow=lambda line: False):
    """What dcentvfy prints about `path` among the source images `files`, but for what it prints about these alone."""
    theirs = {line.split(" for file ")[0] for line in run("dcentvfy", *files)[1]}
    lines = run("dcentvfy", *files, path)[1]
    lines = [line for line in lines if line.split(" for file ")[0] not in theirs and not allow(line)]
    if lines:
        yield f"dcentvfy printed {len(lines)} lines, first {lines[:3]}"
