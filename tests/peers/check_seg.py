"""Checks DICOM SEGs with other people's software.

usage: check_seg.py [SEG SOURCE_DIR MASK]...

SOURCE_DIR holds the source images and nothing else: single-frame ones, one Enhanced image, or one film. MASK is what the SEG
was made from:
  .npy             [k][j][i], a label map, slice k being the k-th source file by name, or the k-th frame of an Enhanced image
                   along the normal; or [n][k][j][i], the value of each segment: 0 and 1, or the shares of a FRACTIONAL SEG
  .nii, .nii.gz    a label map placed by its affine; its voxels must coincide with the source's
Segment n of the SEG is the n-th label, ascending, that has voxels in the mask.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy    prints the IOD's name and nothing else
  dcentvfy    prints nothing for all source images and the SEG
  dcmqi       segimage2itkimage gives the same voxels at the same places in the patient
  Cornerstone (the code that OHIF reads with, in Node) shows the same voxels at the same places; it refuses FRACTIONAL
  highdicom   gives the same voxels on the same source images
              (it opens no calibrated film: it wants a slice's thickness beside every pixel spacing)
  pydicom     gives the same pixels of a film, which lies nowhere in the patient: dcmqi and Cornerstone place every voxel there

What the source is to blame for is no fault: see validators.py.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom

import validators
from slices import slices_of

CORNERSTONE = Path(__file__).resolve().parents[2] / ".venv/cornerstone"
# What dcmjs, Cornerstone's parser, says of any object with more than one character set.
NOT_SUPPORTED = "Using multiple character sets is not supported"
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Source:
    """The source series: its files by name, and the place of every voxel."""

    def __init__(self, folder):
        self.files = sorted(p for p in Path(folder).iterdir() if p.is_file())
        headers, self.frames = slices_of(self.files)
        first = headers[0]
        self.uids = [h.SOPInstanceUID for h in headers]
        self.shape = (len(headers), first.Rows, first.Columns)
        self.is_film = "ImagePositionPatient" not in first
        self.is_calibrated = "PixelSpacing" in first
        if self.is_film:
            return
        row, column = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = (float(v) for v in first.PixelSpacing)
        self.steps = np.stack([row * between_columns, column * between_rows])
        self.normal = np.cross(row, column)
        self.positions = np.array([h.ImagePositionPatient for h in headers], float)
        self.places = self.positions @ self.normal

    def indices(self, points):
        """(k, j, i) of LPS points; points must be voxel centres within 0.02 mm across and 0.02 pixels along."""
        place = points @ self.normal
        order = np.argsort(self.places)
        nearest = np.clip(np.searchsorted(self.places[order], place), 1, max(len(order) - 1, 1))
        nearest = np.minimum(nearest, len(order) - 1)
        below = np.maximum(nearest - 1, 0)
        closer = np.abs(self.places[order][below] - place) < np.abs(self.places[order][nearest] - place)
        k = order[np.where(closer, below, nearest)]
        offset = points - self.positions[k]
        ij = np.stack([offset @ s / (s @ s) for s in self.steps], -1)
        rounded = np.rint(ij)
        if len(points) and max(np.abs(self.places[k] - place).max(), np.abs(ij - rounded).max()) > 0.02:
            raise ValueError("voxels lie between the source's voxels")
        return np.stack([k, rounded[:, 1], rounded[:, 0]], -1).astype(int)


def points_of(image, where):
    """LPS centres of the voxels of a NIfTI image where `where` holds."""
    index = np.argwhere(where)
    affine = LPS_FROM_RAS @ image.affine
    return index @ affine[:3, :3].T + affine[:3, 3]


def scatter(shape, indices):
    mask = np.zeros(shape, bool)
    mask[tuple(indices.T)] = True
    return mask


def expected_masks(path, source):
    """One [k][j][i] a segment."""
    if path.endswith(".npy"):
        labels = np.load(path)
        if labels.ndim == 4:
            return list(labels)
        return [labels == label for label in np.unique(labels) if label]
    image = nibabel.load(path)
    labels = np.asarray(image.dataobj)
    present = [label for label in np.unique(labels) if label]
    return [scatter(source.shape, source.indices(points_of(image, labels == label))) for label in present]


def check_dcmqi(seg, source, expected):
    with tempfile.TemporaryDirectory() as folder:
        code, lines = validators.run(
            "segimage2itkimage", "--inputDICOM", seg, "--outputDirectory", folder, "--outputType", "nii"
        )
        if code:
            yield f"segimage2itkimage failed: {lines[-3:]}"
            return
        read = shares if is_fractional(seg) else segments
        found = read([nibabel.load(file) for file in by_number(folder)], source)
    yield from differences("dcmqi", found, expected)


def is_fractional(seg):
    return pydicom.dcmread(seg, specific_tags=["SegmentationType"]).SegmentationType == "FRACTIONAL"


def differences(reader, found, expected):
    """Faults of masks by segment number."""
    if sorted(found) != list(range(1, len(expected) + 1)):
        yield f"{reader} reads the segments {sorted(found)}, expected {len(expected)}"
    for number, mask in enumerate(expected, 1):
        if number in found and (found[number] != mask).any():
            yield f"{reader}: segment {number} differs in {int((found[number] != mask).sum())} voxels"


def by_number(folder):
    """What dcmqi wrote, in the order of the numbers in the names."""
    return sorted(Path(folder).glob("*.nii*"), key=lambda file: int("".join(c for c in file.name if c.isdigit()) or 0))


def segments(images, source):
    """Masks by segment number, the value in dcmqi's images."""
    found = {}
    for image in images:
        labels = np.asarray(image.dataobj)
        for label in (int(v) for v in np.unique(labels) if v):
            mask = scatter(source.shape, source.indices(points_of(image, labels == label)))
            found[label] = found.get(label, False) | mask
    return found


def shares(images, source):
    """Values by segment number: dcmqi writes an image for each segment of a FRACTIONAL SEG."""
    found = {}
    for number, image in enumerate(images, 1):
        values = np.asarray(image.dataobj)
        found[number] = np.zeros(source.shape, values.dtype)
        marked = values != 0
        found[number][tuple(source.indices(points_of(image, marked)).T)] = values[marked]
    return found


def read_by_cornerstone(cases, folder):
    """Has one process read all SEGs that Cornerstone can read, each into a folder of its own; the folders by SEG."""
    if not (CORNERSTONE / "read.cjs").exists():
        print("SKIPPED: no Cornerstone adapters; run `make peers`")
        return {}
    readable = [(seg, source) for seg, source, _ in cases if not is_fractional(seg)]
    folders = {seg: folder / str(number) for number, (seg, _) in enumerate(readable)}
    arguments = [CORNERSTONE / "node", CORNERSTONE / "read.cjs"]
    for seg, source in readable:
        folders[seg].mkdir()
        arguments += [seg, source, folders[seg]]
    subprocess.run(arguments, capture_output=True, timeout=900, check=True)
    return folders


def check_cornerstone(folder, source, expected):
    images = json.loads((folder / "images.json").read_text())
    if "error" in images:
        if NOT_SUPPORTED in images["error"]:
            print("Cornerstone reads no image with code extensions")
        else:
            yield f"Cornerstone: {images['error']}"
        return
    found, pixels = {}, np.fromfile(folder / "pixels.raw", "<u2")
    for image in images:
        values, pixels = np.split(pixels, [np.prod(image["size"])])
        values = values.reshape(image["size"])
        row, column = np.array(image["orientation"], float).reshape(2, 3)
        j, i = np.nonzero(values)
        points = image["position"] + np.outer(j, column * image["spacing"][0]) + np.outer(i, row * image["spacing"][1])
        places, numbers = source.indices(points), values[j, i]
        for number in np.unique(numbers):
            mask = scatter(source.shape, places[numbers == number])
            found[int(number)] = found.get(int(number), False) | mask
    yield from differences("Cornerstone", found, expected)


def check_highdicom(seg, source, expected):
    read = highdicom.seg.segread(seg)
    options = {"combine_segments": False, "assert_missing_frames_are_empty": True, "rescale_fractional": False}
    if source.frames:
        pixels = read.get_pixels_by_source_frame(source.uids[0], source.frames, **options)
    else:
        pixels = read.get_pixels_by_source_instance(source.uids, **options)
    if pixels.shape != (*source.shape, len(expected)):
        yield f"highdicom reads {pixels.shape}, expected {(*source.shape, len(expected))}"
        return
    for number, mask in enumerate(expected, 1):
        wrong = int((pixels[..., number - 1] != mask).sum())
        if wrong:
            yield f"highdicom: segment {number} differs in {wrong} voxels"


def check_pydicom(seg, source, expected):
    """A film's pixels, frame by frame as the object says whose they are."""
    read = pydicom.dcmread(seg)
    frames = read.pixel_array.reshape(-1, *source.shape[1:])
    if read.SegmentationType == "LABELMAP":
        found = {int(number): frames == number for number in np.unique(frames) if number}
    else:
        groups = [g.SegmentIdentificationSequence[0] for g in read.PerFrameFunctionalGroupsSequence]
        found = {int(g.ReferencedSegmentNumber): frame[None] for g, frame in zip(groups, frames, strict=True)}
    yield from differences("pydicom", found, expected)


def faults_of(seg, folder, mask, drawn):
    source = Source(folder)
    expected = expected_masks(mask, source)
    yield from validators.iod_faults(seg, source.files[0], ["Segmentation", "LabelMapSegmentation"])
    yield from validators.entity_faults(seg, source.files)
    if source.is_film:
        yield from check_pydicom(seg, source, expected)
    else:
        yield from check_dcmqi(seg, source, expected)
    if seg in drawn and not source.is_film:
        yield from check_cornerstone(drawn[seg], source, expected)
    if not (source.is_film and source.is_calibrated):
        yield from check_highdicom(seg, source, expected)


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        drawn = read_by_cornerstone(cases, Path(folder))
        for seg, sources, mask in cases:
            for fault in faults_of(seg, sources, mask, drawn):
                print(f"{Path(seg).parent.name}: {fault}")
                count += 1
    print(f"{len(cases)} segmentations, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
