"""Checks presentation states of outlines with other people's software.

usage: check_gsps.py [STATE SOURCE_DIR MASK]...

SOURCE_DIR holds the single-frame source images and nothing else. MASK is an .npy of [n][k][j][i]: the voxels of the n-th
segment, slice k being the k-th source file by name.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy   prints the IOD's name and nothing else
  dcentvfy   prints nothing for all source images and the state
  dcmpschk   (DCMTK) says "Test passed."
  dcmp2pgm   (DCMTK) renders images with the state as they are rendered in their own window
  highdicom  takes every line, label and layer
  lines      filled by the even-odd rule, worked out here, are the masks; tracking identifiers are one a layer
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from check_sc import windowed

TOOLS = Path(sys.executable).parent
RENDERED = 3


def run(*command):
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, timeout=600, env={**os.environ, "PATH": path})
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return done.returncode, [line for line in lines if line.strip()]


def check_validators(path, files):
    lines = run("dciodvfy", path)[1]
    if lines != ["GrayscaleSoftcopyPresentationState"]:
        yield f"dciodvfy printed {lines[:5]}"
    lines = run("dcentvfy", *files, path)[1]
    if lines:
        yield f"dcentvfy printed {lines[:5]}"
    code, lines = run("dcmpschk", path)
    wrong = [line for line in lines if line.startswith(("E:", "F:")) or "error" in line.lower()]
    if code or wrong or not any("Test passed." in line for line in lines):
        yield f"dcmpschk gave {code}: {lines[-5:]}"


def check_rendering(path, files):
    for file in files[:: max(1, len(files) // RENDERED)]:
        source = pydicom.dcmread(file)
        with tempfile.TemporaryDirectory() as folder:
            code, lines = run("dcmp2pgm", "--pstate", path, file, f"{folder}/image.pgm")
            if code or any(line.startswith("E:") for line in lines):
                yield f"dcmp2pgm gave {code}: {lines[-3:]}"
                continue
            rendered = pgm(Path(f"{folder}/image.pgm").read_bytes())
        if rendered.shape != (source.Rows, source.Columns):
            yield f"dcmp2pgm renders {rendered.shape}, the image is {source.Rows}, {source.Columns}"
        elif np.abs(rendered - windowed(source)).max() > 2:
            yield f"dcmp2pgm renders {file.name} in another window than its own"


def pgm(content):
    header = re.match(rb"P5\s(\d+)\s(\d+)\s255\s", content)
    columns, rows = map(int, header.groups())
    return np.frombuffer(content[header.end():], np.uint8)[: rows * columns].reshape(rows, columns).astype(float)


def lines_of(annotation):
    """Closed polygons; parts of a line that was too long for one value are joined."""
    line = []
    for item in annotation.GraphicObjectSequence:
        points = np.array(item.GraphicData, float).reshape(-1, 2).tolist()
        line.extend(points[1:] if line else points)
        if line[0] == line[-1] and len(line) > 3:
            yield np.array(line)
            line = []
    if line:
        raise ValueError("a line is not closed")


def filled(polygons, rows, columns):
    """Pixel centres inside, by the even-odd rule; the outer corner of the first pixel is 0, 0."""
    inside = np.zeros((rows, columns), int)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon[:-1], polygon[1:]):
            low, high = min(y0, y1), max(y0, y1)
            for row in range(max(0, int(np.ceil(low - 0.5))), rows):
                if row + 0.5 >= high:
                    break
                place = x0 + (row + 0.5 - y0) / (y1 - y0) * (x1 - x0)
                inside[row, max(0, int(np.ceil(place - 0.5))):] += 1
    return inside % 2 == 1


def check_lines(state, files, masks):
    place = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID): k for k, file in enumerate(files)}
    number = {layer.GraphicLayer: int(layer.GraphicLayerOrder) for layer in state.GraphicLayerSequence}
    drawn, tracked = np.zeros_like(masks, bool), {}
    for annotation in state.GraphicAnnotationSequence:
        (image,) = annotation.ReferencedImageSequence
        k, n = place[str(image.ReferencedSOPInstanceUID)], number[annotation.GraphicLayer] - 1
        drawn[n, k] |= filled(lines_of(annotation), *masks.shape[2:])
        items = [*annotation.GraphicObjectSequence, *annotation.TextObjectSequence]
        tracked.setdefault(annotation.GraphicLayer, set()).update(str(item.TrackingUID) for item in items)
    shown = [place[str(i.ReferencedSOPInstanceUID)] for i in state.ReferencedSeriesSequence[0].ReferencedImageSequence]
    wrong = int((drawn != (masks > 0))[:, shown].sum())
    if wrong:
        yield f"lines, filled, differ from the masks in {wrong} pixels"
    if any(len(uids) != 1 for uids in tracked.values()) or len(set.union(*tracked.values())) != len(tracked):
        yield "layers do not track one thing each"


def check_highdicom(state):
    layers = {}
    for item in state.GraphicLayerSequence:
        color = highdicom.color.CIELabColor.from_dicom_value(item.GraphicLayerRecommendedDisplayCIELabValue)
        layers[item.GraphicLayer] = highdicom.pr.GraphicLayer(
            item.GraphicLayer, int(item.GraphicLayerOrder), item.GraphicLayerDescription, display_color=color)
    for annotation in state.GraphicAnnotationSequence:
        for item in annotation.GraphicObjectSequence:
            points = np.array(item.GraphicData, float).reshape(-1, 2)
            highdicom.pr.GraphicObject(item.GraphicType, points, units=item.GraphicAnnotationUnits,
                                       tracking_id=item.TrackingID, tracking_uid=str(item.TrackingUID))
        for item in annotation.TextObjectSequence:
            highdicom.pr.TextObject(item.UnformattedTextValue, units=item.AnchorPointAnnotationUnits,
                                    anchor_point=tuple(map(float, item.AnchorPoint)),
                                    tracking_id=item.TrackingID, tracking_uid=str(item.TrackingUID))
        if annotation.GraphicLayer not in layers:
            yield f"highdicom: no layer {annotation.GraphicLayer}"


def faults_of(state, folder, mask):
    path, files = Path(state), sorted(Path(folder).iterdir())
    dataset = pydicom.dcmread(path)
    yield from check_validators(path, files)
    yield from check_rendering(path, files)
    yield from check_highdicom(dataset)
    yield from check_lines(dataset, files, np.load(mask))


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    for state, folder, mask in cases:
        for fault in faults_of(state, folder, mask):
            print(f"{Path(state).parent.name}: {fault}")
            count += 1
    print(f"{len(cases)} states, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
