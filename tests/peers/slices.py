"""The slices of a source series, whatever its images are: single-frame, the frames of one Enhanced image, or one film.

Single-frame images come in the order that they are given in, frames along the normal, as volumes have them.
"""

import numpy as np
import pydicom
from pydicom.dataset import Dataset

OF_ALL = ("SOPInstanceUID", "Rows", "Columns", "FrameOfReferenceUID")


def flat(image, shared, own):
    """What functional groups say of a frame, as a single-frame image says it of itself."""
    frame = Dataset()
    frame.update({image[keyword].tag: image[keyword] for keyword in OF_ALL if keyword in image})
    for group in (*shared, *own):
        if group.VR == "SQ":
            for item in group.value:
                frame.update({element.tag: element for element in item})
    return frame


def along(frame):
    row, column = np.array(frame.ImageOrientationPatient, float).reshape(2, 3)
    return float(np.cross(row, column) @ np.array(frame.ImagePositionPatient, float))


def slices_of(files):
    """A dataset for each slice, and the numbers of the frames where the series is one Enhanced image."""
    images = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    first = images[0]
    if len(images) > 1 or "PerFrameFunctionalGroupsSequence" not in first:
        return images, None
    shared = first.SharedFunctionalGroupsSequence[0]
    frames = [flat(first, shared, own) for own in first.PerFrameFunctionalGroupsSequence]
    order = sorted(range(len(frames)), key=lambda n: along(frames[n]))
    return [frames[n] for n in order], [n + 1 for n in order]
