"""Checks RT structure sets with other people's software.

usage: check_rtstruct.py [RTSTRUCT SOURCE_DIR MASK]...

SOURCE_DIR holds the source images and nothing else, single-frame ones named in volume order, or one Enhanced image; where ROIs refer to a segmentation,
it lies beside the RTSTRUCT as `seg.dcm`. MASK is an .npy of
[n][k][j][i]: the voxels of the n-th ROI, slice k being the k-th source file by name, or the k-th frame along the normal; or of [k][j][i], a label map whose
labels, ascending, are the ROIs.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy          prints the IOD's name and nothing else
  dcentvfy          prints nothing for all source images and the structure set, but for its one known false alarm
  drtdump           prints no warning and no error
  plastimatch       (Debian), dcmrtstruct2nii, rt-utils: each fills the contours to exactly the mask

What the source is to blame for is no fault: see validators.py. plastimatch cannot place slices that are oblique or alone, and
rt-utils takes rows for columns in sizes and spacings, so that it reads square images in square pixels only. Enhanced
images are read by none of the three: plastimatch finds no slices in them, dcmrtstruct2nii takes them for four-dimensional, and
rt-utils asks each file for one place. The first two draw on the lattice of their voxels instead; dcmrtstruct2nii, which takes all
distances of slices for equal, also where slices are missing.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

import validators
from slices import slices_of

with contextlib.redirect_stdout(io.StringIO()):
    from dcmrtstruct2nii import dcmrtstruct2nii
    from dcmrtstruct2nii.adapters.convert.rtstructcontour2mask import DcmPatientCoords2Mask
    from dcmrtstruct2nii.adapters.input.contours.rtstructinputadapter import RtStructInputAdapter
    from rt_utils import RTStructBuilder

# dcentvfy takes the study's UID, which R2 of the reference wants as an instance's, for one.
FALSE_ALARM = "Missing SOPInstanceUID that was referenced"


def run(*command):
    done = subprocess.run(command, capture_output=True, timeout=600)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return done.returncode, lines


def check_validators(path, files):
    yield from validators.iod_faults(path, files[0], ["RTStructureSet"])
    study = pydicom.dcmread(path, specific_tags=["StudyInstanceUID"]).StudyInstanceUID
    seg = Path(path).with_name("seg.dcm")
    beside = [seg] if seg.exists() else []
    yield from validators.entity_faults(path, [*files, *beside], lambda line: FALSE_ALARM in line and study in line)
    code, lines = run("drtdump", path)
    wrong = [line for line in lines if line.startswith(("W:", "E:", "F:"))]
    if code or wrong:
        yield f"drtdump gave {code}, {wrong[:5]}"


class Source:
    """The source series, and which of its files lies at a place along the normal."""

    def __init__(self, folder):
        self.files = sorted(Path(folder).iterdir())
        headers, self.frames = slices_of(self.files)
        self.row, self.column = np.array(headers[0].ImageOrientationPatient, float).reshape(2, 3)
        self.spacing = np.array(headers[0].PixelSpacing, float)
        self.positions = np.array([h.ImagePositionPatient for h in headers], float)
        self.shape = (len(headers), headers[0].Rows, headers[0].Columns)
        self.is_square = self.shape[1] == self.shape[2] and self.spacing[0] == self.spacing[1]
        steps = np.diff(np.sort(self.positions @ np.cross(self.row, self.column)))
        self.is_even = len(steps) == 0 or np.ptp(steps) < 0.01
        self.is_axial = np.allclose([self.row, self.column], [[1, 0, 0], [0, 1, 0]])

    def slices(self):
        """Source slices in ascending order along the normal."""
        return np.argsort(self.positions @ np.cross(self.row, self.column))

    def lattice(self):
        """An image on the slices' places, and between them where some are missing."""
        order = self.slices()
        places = (self.positions @ np.cross(self.row, self.column))[order]
        step = float(min(np.diff(places), default=1.0))
        count = round(float(places[-1] - places[0]) / step) + 1
        image = sitk.Image(self.shape[2], self.shape[1], count, sitk.sitkUInt8)
        image.SetOrigin(self.positions[order[0]])
        image.SetSpacing((self.spacing[1], self.spacing[0], step))
        image.SetDirection(np.stack([self.row, self.column, np.cross(self.row, self.column)], 1).ravel())
        return image

    def scatter(self, image):
        """The mask of a SimpleITK image, in the order of the files, found by where its voxels are."""
        indices = np.argwhere(sitk.GetArrayFromImage(image))[:, ::-1]
        axes = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        points = indices @ axes.T + image.GetOrigin()
        normal = np.cross(self.row, self.column)
        slices = np.abs(np.subtract.outer(points @ normal, self.positions @ normal)).argmin(axis=1)
        offsets = points - self.positions[slices]
        at = np.rint([offsets @ self.column / self.spacing[0], offsets @ self.row / self.spacing[1]]).astype(int)
        mask = np.zeros(self.shape, bool)
        mask[slices, at[0], at[1]] = True
        return mask


def by_plastimatch(path, source, names):
    with tempfile.TemporaryDirectory() as folder:
        out, placed = f"{folder}/masks", ("--referenced-ct", str(source.files[0].parent))
        if source.frames:
            placed = ("--fixed", f"{folder}/lattice.nrrd")
            sitk.WriteImage(source.lattice(), placed[1])
        code, lines = run(
            "plastimatch", "convert", "--input", path, *placed,
            "--output-prefix", out, "--prefix-format", "nrrd",
        )
        if code:
            raise ValueError(f"plastimatch gave {code}: {lines[-3:]}")
        for name in names:
            yield source.scatter(sitk.ReadImage(f"{out}/{name}.nrrd"))


def by_dcmrtstruct2nii(path, source, names):
    if source.frames or not source.is_even:
        lattice, contours = source.lattice(), {s["name"]: s["sequence"] for s in RtStructInputAdapter().ingest(path)}
        for name in names:
            mask = DcmPatientCoords2Mask().convert(contours[name], lattice, 0, 255)
            mask.CopyInformation(lattice)
            yield source.scatter(mask)
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        dcmrtstruct2nii(path, str(source.files[0].parent), folder, convert_original_dicom=False)
        for name in names:
            # Written in the order of the slices along the normal, and with a place of their own.
            image = sitk.ReadImage(f"{folder}/mask_{name.replace(' ', '-')}.nii.gz")
            yield source.scatter(image)


def by_rt_utils(path, source, names):
    structures = RTStructBuilder.create_from(str(source.files[0].parent), path)
    order = [Path(image.filename).name for image in structures.series_data]
    files = [file.name for file in source.files]
    for name in names:
        mask = structures.get_roi_mask_by_name(name)
        back = [order.index(file) for file in files]
        yield np.moveaxis(mask, 2, 0)[back]


def check_reader(name, read, path, source, names, masks):
    try:
        found = list(read(path, source, names))
    except Exception as error:  # Whatever a reader stumbles over is what we want to know.
        yield f"{name} failed: {type(error).__name__} {error}"
        return
    for number, (mask, own) in enumerate(zip(masks, found), 1):
        wrong = int((mask.astype(bool) != own).sum())
        if wrong:
            dice = 2 * int((mask.astype(bool) & own).sum()) / max(int(mask.sum()) + int(own.sum()), 1)
            yield f"{name}: ROI {number} differs in {wrong} voxels, Dice {dice:.4f}"


def faults_of(path, folder, mask):
    source = Source(folder)
    names = [str(roi.ROIName) for roi in pydicom.dcmread(path).StructureSetROISequence]
    masks = np.load(mask)
    if masks.ndim == 3:
        masks = [masks == label for label in np.unique(masks) if label]
    yield from check_validators(path, source.files)
    if len(names) != len(masks):
        yield f"{len(names)} ROIs, expected {len(masks)}"
    if source.is_axial and source.shape[0] > 1:
        yield from check_reader("plastimatch", by_plastimatch, path, source, names, masks)
    yield from check_reader("dcmrtstruct2nii", by_dcmrtstruct2nii, path, source, names, masks)
    if source.is_square and not source.frames:
        yield from check_reader("rt-utils", by_rt_utils, path, source, names, masks)


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    for path, folder, mask in cases:
        for fault in faults_of(path, folder, mask):
            print(f"{Path(path).parent.name}: {fault}")
            count += 1
    print(f"{len(cases)} structure sets, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
