"""Checks Secondary Captures of outlines with other people's software.

usage: check_sc.py [CAPTURE SOURCE_DIR MASK]...

SOURCE_DIR holds the single-frame source images and nothing else; beside the capture lies the segmentation of the same
finding, `seg.dcm`. MASK is an .npy of [n][k][j][i]: the voxels of the n-th segment, slice k being the k-th source file by
name. Segments share no voxel.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy   prints the IOD's name and nothing else
  dcentvfy   prints nothing for all source images, the segmentation and the capture
  dcm2pnm    (DCMTK) renders every frame as pydicom decodes it
  highdicom  the same
  pixels     are the outline of the mask, worked out here, in the segmentation's colours, and everywhere else the source as
             pydicom windows it; nothing lies beside or below but the strip
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

TOOLS = Path(sys.executable).parent
IODS = {"1.2.840.10008.5.1.4.1.1.7": "SCImage", "1.2.840.10008.5.1.4.1.1.7.4": "MultiframeTrueColorSCImage"}
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def run(*command):
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, capture_output=True, timeout=600, env={**os.environ, "PATH": path})
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return done.returncode, [line for line in lines if line.strip()]


def check_validators(path, capture, files):
    lines = run("dciodvfy", path)[1]
    if lines != [IODS[capture.SOPClassUID]]:
        yield f"dciodvfy printed {lines[:5]}"
    lines = run("dcentvfy", *files, path.parent / "seg.dcm", path)[1]
    if lines:
        yield f"dcentvfy printed {lines[:5]}"


def frames_of(capture):
    """As pydicom decodes them: [frame][row][column][color]."""
    pixels = pixel_array(capture)
    return pixels if pixels.ndim == 4 else pixels[None]


def check_readers(path, frames):
    with tempfile.TemporaryDirectory() as folder:
        code, lines = run("dcm2pnm", "--all-frames", "--write-raw-pnm", path, f"{folder}/frame")
        rendered = sorted(Path(folder).iterdir(), key=lambda file: int(file.name.split(".")[1]))
        if code or len(rendered) != len(frames):
            yield f"dcm2pnm gave {code} and {len(rendered)} frames: {lines[-3:]}"
            return
        for index, (file, frame) in enumerate(zip(rendered, frames)):
            if not np.array_equal(ppm(file.read_bytes()), frame):
                yield f"dcm2pnm shows frame {index} otherwise than pydicom"
    image = highdicom.imread(str(path))
    for index, frame in enumerate(frames):
        read = image.get_frame(index + 1, dtype=np.uint8, apply_icc_profile=False)
        if not np.array_equal(read, frame):
            yield f"highdicom reads frame {index} otherwise than pydicom"


def ppm(content):
    kind, size, depth, pixels = content.split(b"\n", 3)
    if kind != b"P6" or depth != b"255":
        raise ValueError(f"no raw PPM of 8 bits: {kind}, {depth}")
    columns, rows = map(int, size.split())
    return np.frombuffer(pixels, np.uint8)[: rows * columns * 3].reshape(rows, columns, 3)


def outline(mask):
    """The voxels of a mask with a side on its border."""
    padded = np.pad(mask > 0, 1)
    inner = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return (mask > 0) & ~inner


def windowed(source):
    """The source in its own window, 0 to 255, as pydicom applies it."""
    shown = apply_voi_lut(apply_modality_lut(pixel_array(source), source).astype(float), source)
    # What pydicom maps black and white to follows from the bits that are stored.
    least = -(2 ** (source.BitsStored - 1)) if source.PixelRepresentation else 0
    slope, intercept = float(source.get("RescaleSlope", 1)), float(source.get("RescaleIntercept", 0))
    low, high = (value * slope + intercept for value in (least, least + 2**source.BitsStored - 1))
    grey = (shown - low) / (high - low) * 255
    return 255 - grey if source.PhotometricInterpretation == "MONOCHROME1" else grey


def colors_of(seg):
    values = [segment.RecommendedDisplayCIELabValue for segment in seg.SegmentSequence]
    return [highdicom.color.CIELabColor.from_dicom_value(value).to_rgb() for value in values]


def check_pixels(path, capture, frames, files, masks):
    seg = pydicom.dcmread(path.parent / "seg.dcm")
    colors = colors_of(seg)
    sources = [pydicom.dcmread(file) for file in files]
    place = {str(source.SOPInstanceUID): k for k, source in enumerate(sources)}
    shown = [i for i in capture.SourceImageSequence if i.ReferencedSOPClassUID != SEGMENTATION]
    if len(shown) != len(frames):
        yield f"{len(frames)} frames of {len(shown)} images"
        return
    for item, frame in zip(shown, frames):
        k = place[str(item.ReferencedSOPInstanceUID)]
        rows, columns = masks.shape[2:]
        image, beside = frame[:rows, :columns].astype(int), frame[:rows, columns:]
        clear = np.ones((rows, columns), bool)
        for number, (mask, color) in enumerate(zip(masks, colors, strict=True), 1):
            border = outline(mask[k])
            clear &= ~border
            if np.abs(image[border] - np.array(color)).max(initial=0) > 2:
                yield f"slice {k}: the outline of segment {number} is not in its colour"
        if np.abs(image - windowed(sources[k])[..., None])[clear].max(initial=0) > 1:
            yield f"slice {k}: beside outlines, pixels are not the windowed source's"
        if beside.any() or (frame.shape[0] > rows) != (capture.BurnedInAnnotation == "YES"):
            yield f"slice {k}: something stands beside the picture, or no strip below"


def faults_of(capture, folder, mask):
    path, files = Path(capture), sorted(Path(folder).iterdir())
    dataset = pydicom.dcmread(path)
    frames = frames_of(dataset)
    yield from check_validators(path, dataset, files)
    yield from check_readers(path, frames)
    if dataset.PatientOrientation:  # a montage has none
        yield from check_pixels(path, dataset, frames, files, np.load(mask))


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    for capture, folder, mask in cases:
        for fault in faults_of(capture, folder, mask):
            print(f"{Path(capture).parent.name}: {fault}")
            count += 1
    print(f"{len(cases)} captures, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
