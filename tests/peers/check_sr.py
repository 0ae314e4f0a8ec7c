"""Checks measurement reports and key image selections with other people's software.

usage: check_sr.py [SR SOURCE_DIR MASK]...

SOURCE_DIR holds the single-frame source images and nothing else; beside the SR lies the segmentation that it refers to,
`seg.dcm`, where anything was found. MASK is an .npy of [n][k][j][i]: the voxels of the n-th segment, slice k being the
k-th source file by name.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy        prints the IOD's name and nothing else
  dcentvfy        prints nothing for all source images, the segmentation and the report, but for its one false alarm
  dsrdump         (DCMTK) reads the document tree without an error
  dcsrdump        (dicom3tools) the same
  tid1500reader   (dcmqi) reads a group for each segment, with its tracking identifier and its volume
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom

TOOLS = Path(sys.executable).parent
# dcentvfy counts the accession number of images to their series, that of any report to the study; highdicom's, too.
FALSE_ALARM = "Different information entities for attribute - Element=<AccessionNumber> IE <Series> versus <Study>"


def run(*command):
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, timeout=600, env={**os.environ, "PATH": path})
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return done.returncode, [line for line in lines if line.strip()]


def check_validators(report, seg, files):
    lines = run("dciodvfy", report)[1]
    if lines not in (["Comprehensive3DSR"], ["KeyObjectSelectionDocument"], ["BasicTextSR"]):
        yield f"dciodvfy printed {lines[:5]}"
    beside = [seg] if seg.exists() else []
    lines = [line for line in run("dcentvfy", *files, *beside, report)[1] if FALSE_ALARM not in line]
    if lines:
        yield f"dcentvfy printed {lines[:5]}"
    code, lines = run("dsrdump", report)
    wrong = [line for line in lines if line.startswith(("E:", "F:")) or "invalid" in line.lower()]
    if code or wrong:
        yield f"dsrdump gave {code}, {wrong[:5]}"
    code, lines = run("dcsrdump", report)
    wrong = [line for line in lines if "error" in line.lower() or "warning" in line.lower()]
    if code or wrong:
        yield f"dcsrdump gave {code}, {wrong[:5]}"


def groups_of(report):
    """Tracking UID and volume of each group, as dcmqi reads them."""
    with tempfile.TemporaryDirectory() as folder:
        code, lines = run("tid1500reader", "--inputDICOM", report, "--outputMetadata", f"{folder}/o.json")
        if code or any(line.startswith(("E:", "ERROR")) for line in lines):
            raise ValueError(f"tid1500reader gave {code}: {lines[-3:]}")
        read = json.loads(Path(f"{folder}/o.json").read_text())
    for group in read.get("Measurements", []):
        items = group["measurementItems"]
        volume = [item["value"] for item in items if item["quantity"]["CodeValue"] == "118565006"]
        yield group["TrackingUniqueIdentifier"], [float(value) for value in volume]


def check_groups(report, seg, files, masks):
    segments = pydicom.dcmread(seg).SegmentSequence
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    normal = np.cross(*np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3))
    places = np.sort([np.array(h.ImagePositionPatient, float) @ normal for h in headers])
    steps = np.diff(places)
    between = np.median(steps) if len(steps) else float(headers[0].SliceThickness)
    voxel = between * np.prod(np.array(headers[0].PixelSpacing, float))
    found = list(groups_of(report))
    if [uid for uid, _ in found] != [s.TrackingUID for s in segments]:
        yield "tid1500reader: the tracking identifiers are not those of the segmentation"
    for number, ((_, volume), mask) in enumerate(zip(found, masks, strict=True), 1):
        wanted = int((mask > 0).sum()) * voxel
        if len(volume) != 1 or abs(volume[0] - wanted) > 1e-3 + 1e-6 * wanted:
            yield f"tid1500reader: segment {number} has the volume {volume}, expected {wanted}"


def faults_of(report, folder, mask):
    files, seg = sorted(Path(folder).iterdir()), Path(report).parent / "seg.dcm"
    yield from check_validators(report, seg, files)
    if seg.exists():
        yield from check_groups(report, seg, files, np.load(mask))


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    for report, folder, mask in cases:
        for fault in faults_of(report, folder, mask):
            print(f"{Path(report).parent.name}: {fault}")
            count += 1
    print(f"{len(cases)} reports, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
