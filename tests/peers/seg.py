"""SEG objects as label maps on the grid of their source series, read with pydicom alone (results are read with
highdicom and dcmqi elsewhere: two readers that agree by chance are unlikely)."""

import gzip

import numpy as np
import pydicom


class Source:
    """A single-frame series: instances sorted along the normal, and where their voxels lie."""

    def __init__(self, files):
        headers = [pydicom.dcmread(f, stop_before_pixels=True) for f in files]
        first = np.array(headers[0].ImageOrientationPatient, float)
        self.row, self.column = first[:3], first[3:]
        normal = np.cross(self.row, self.column)
        place = lambda d: np.array(d.ImagePositionPatient, float)
        headers.sort(key=lambda d: normal @ place(d))
        self.uids = [str(d.SOPInstanceUID) for d in headers]
        self.shape = (len(headers), int(headers[0].Rows), int(headers[0].Columns))
        between_rows, between_columns = map(float, headers[0].PixelSpacing)
        self.positions = np.array([place(d) for d in headers])
        # LPS mm of voxel (k, row, column) = positions[k] + row * steps[0] + column * steps[1]
        self.steps = np.array([self.column * between_rows, self.row * between_columns])
        thickness = abs(normal @ (self.positions[-1] - self.positions[0])) / max(1, len(headers) - 1)
        self.voxel_ml = between_rows * between_columns * thickness / 1000

    def resample(self, image, affine):
        """Values of `image` (indexed by voxel, `affine` to RAS mm) at the nearest voxel to each of ours; 0 outside."""
        inverse = np.linalg.inv(affine)
        rows, columns = np.mgrid[: self.shape[1], : self.shape[2]]
        out = np.zeros(self.shape, image.dtype)
        for k, position in enumerate(self.positions):
            lps = position + rows[..., None] * self.steps[0] + columns[..., None] * self.steps[1]
            index = np.rint((lps * [-1, -1, 1]) @ inverse[:3, :3].T + inverse[:3, 3]).astype(int)
            inside = np.all((index >= 0) & (index < image.shape), axis=-1)
            out[k][inside] = image[tuple(index[inside].T)]
        return out


def label_map(path, source):
    """(uint8 array like `source`, {segment number: label text}). Overlapping segments are an error."""
    seg = pydicom.dcmread(path)
    frames = seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)
    labels = np.zeros(source.shape, np.uint8)
    slice_of = {uid: k for k, uid in enumerate(source.uids)}
    shared = seg.SharedFunctionalGroupsSequence[0]
    for frame, own in zip(frames, seg.PerFrameFunctionalGroupsSequence):
        group = lambda name: (own.get(name) or shared.get(name))[0]
        image = group("DerivationImageSequence").SourceImageSequence[0]
        k = slice_of[str(image.ReferencedSOPInstanceUID)]
        position = np.array(group("PlanePositionSequence").ImagePositionPatient, float)
        assert np.allclose(position, source.positions[k], atol=1e-6), f"frame of slice {k} is somewhere else"
        number = group("SegmentIdentificationSequence").ReferencedSegmentNumber
        assert not labels[k][frame > 0].any(), "segments overlap"
        labels[k][frame > 0] = number
    return labels, {int(s.SegmentNumber): str(s.SegmentLabel) for s in seg.SegmentSequence}


def referenced(path):
    """SOP Instance UIDs of the source images that a SEG names."""
    seg = pydicom.dcmread(path, stop_before_pixels=True)
    return {str(i.ReferencedSOPInstanceUID) for s in seg.ReferencedSeriesSequence for i in s.ReferencedInstanceSequence}


def nifti(path):
    """(array indexed [i, j, k], 4x4 affine to RAS mm) of a .nii.gz with an sform, unsigned bytes or 16-bit integers."""
    data = gzip.open(path).read()
    shape = np.frombuffer(data, "<i2", 8, 40)
    kind = {2: "u1", 4: "<i2", 8: "<i4", 16: "<f4", 512: "<u2"}[int(np.frombuffer(data, "<i2", 1, 70)[0])]
    start, sform = int(np.frombuffer(data, "<f4", 1, 108)[0]), int(np.frombuffer(data, "<i2", 1, 254)[0])
    assert sform > 0, f"{path} has no sform"
    affine = np.vstack([np.frombuffer(data, "<f4", 12, 280).reshape(3, 4), [0, 0, 0, 1]]).astype(float)
    size = shape[1:4].astype(int)
    return np.frombuffer(data, kind, int(size.prod()), start).reshape(size, order="F"), affine


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / max(1, np.count_nonzero(a) + np.count_nonzero(b))
