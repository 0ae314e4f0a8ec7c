"""A small synthetic head in DICOM: a bright ball in a dim box, oblique, one MR file a slice."""

import numpy as np
import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

DESCRIPTION = "T1 phantom"


def write(folder, name, slices=8, size=32, spacing=4.0, skip=()):
    """Files of one series, whose UIDs follow from `name`. `skip` leaves slices out."""
    folder.mkdir(parents=True, exist_ok=True)
    uid = lambda *what: generate_uid(entropy_srcs=["sagittal phantom", name, *map(str, what)])
    angle = np.deg2rad(12)
    row, column = np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    centre, files = (size - 1) / 2, []
    for k in range(slices):
        if k in skip:
            continue
        j, i = np.mgrid[:size, :size]
        ball = (i - centre) ** 2 + (j - centre) ** 2 + (2 * (k - (slices - 1) / 2)) ** 2 < (size / 3) ** 2
        pixels = np.where(ball, 1000, 100).astype("<i2")
        position = -60 * row - 60 * column + np.array([0, 0, spacing * k])
        path = folder / f"{k:03}.dcm"
        _slice(uid, name, k, pixels, row, column, position, spacing).save_as(path, enforce_file_format=True)
        files.append(path)
    return files


def _slice(uid, name, k, pixels, row, column, position, spacing):
    d = pydicom.Dataset()
    d.SpecificCharacterSet = "ISO_IR 192"
    d.ImageType, d.SOPClassUID, d.SOPInstanceUID = ["DERIVED", "SECONDARY", "OTHER"], MRImageStorage, uid("instance", k)
    d.StudyInstanceUID, d.SeriesInstanceUID, d.FrameOfReferenceUID = uid("study"), uid("series"), uid("frame")
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
