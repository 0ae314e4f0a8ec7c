"""A small synthetic head in DICOM: a bright ball in a dim box, one MR file a slice. `change` makes something else of it."""

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

DESCRIPTION = "T1 phantom"
ANGLE = np.deg2rad(12)
# Along a row and down a column, in the patient.
PLANES = {
    "oblique": ([np.cos(ANGLE), np.sin(ANGLE), 0], [-np.sin(ANGLE), np.cos(ANGLE), 0]),
    "sagittal": ([0, 1, 0], [0, 0, -1]),
}


def write(folder, name, slices=8, size=32, spacing=4.0, skip=(), study=None, plane="oblique", change=None):
    """Files of one series, whose UIDs follow from `name`, and from `study` where several are of one. `skip` leaves
    slices out; `change` is called with each dataset before it is written."""
    folder.mkdir(parents=True, exist_ok=True)
    row, column = map(np.array, PLANES[plane])
    centre, files = (size - 1) / 2, []
    for k in range(slices):
        if k in skip:
            continue
        j, i = np.mgrid[:size, :size]
        ball = (i - centre) ** 2 + (j - centre) ** 2 + (2 * (k - (slices - 1) / 2)) ** 2 < (size / 3) ** 2
        pixels = np.where(ball, 1000, 100).astype("<i2")
        position = -60 * row - 60 * column + spacing * k * np.cross(row, column)
        path = folder / f"{k:03}.dcm"
        dataset = _slice(name, study or name, k, pixels, row, column, position, spacing)
        if change:
            change(dataset)
        dataset.save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def uid(name, *what):
    return generate_uid(entropy_srcs=["sagittal phantom", name, *map(str, what)])


def _slice(name, study, k, pixels, row, column, position, spacing):
    d = pydicom.Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.ImageType, d.SOPClassUID, d.SOPInstanceUID = ["DERIVED", "SECONDARY", "OTHER"], MRImageStorage, uid(name, "instance", k)
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = uid(study, "study"), uid(name, "series"), uid(study, "frame")
    d.PatientName, d.PatientID, d.PatientBirthDate, d.PatientSex = "Phantom^Ball", f"PHANTOM-{name}"[:64], "", ""
    d.StudyDate, d.StudyTime, d.StudyID, d.AccessionNumber, d.ReferringPhysicianName = "20000101", "000000", "1", "", ""
    d.Modality, d.SeriesDescription, d.BodyPartExamined, d.SeriesNumber = "MR", DESCRIPTION, "HEAD", 1
    d.Manufacturer, d.PositionReferenceIndicator, d.PatientPosition, d.InstanceNumber = "Sagittal tests", "", "HFS", k + 1
    d.ScanningSequence, d.SequenceVariant, d.ScanOptions, d.MRAcquisitionType = "RM", "NONE", "", "3D"
    d.RepetitionTime, d.EchoTime, d.EchoTrainLength, d.SliceThickness = None, None, None, spacing
    d.PixelSpacing = [spacing, spacing]
    d.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *column)]
    d.ImagePositionPatient = [f"{v:.6f}" for v in position]
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.Rows, d.Columns = pixels.shape
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    d.WindowCenter, d.WindowWidth = 500, 1000
    d.PixelData = pixels.tobytes()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return d
