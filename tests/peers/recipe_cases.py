"""Series for the recipes of `config/README.md`: what each is, and what the recipe's rules do with it.

Those that shall not match differ in one thing from one that does."""

from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage, ComputedRadiographyImageStorage, CTImageStorage, MRImageStorage

import phantom

ORIGINAL = ["ORIGINAL", "PRIMARY", "AXIAL"]
COMMON = {"ImageType": ORIGINAL, "PatientID": "4711", "PatientName": "Doe^Jo", "SeriesDescription": "", "BodyPartExamined": ""}
CT = {**COMMON, "Modality": "CT", "SOPClassUID": CTImageStorage}
MR = {**COMMON, "Modality": "MR", "SOPClassUID": MRImageStorage}
CR = {**COMMON, "Modality": "CR", "SOPClassUID": ComputedRadiographyImageStorage, "ImagePositionPatient": None,
      "ImageOrientationPatient": None, "PixelSpacing": None, "FrameOfReferenceUID": None}
SR = {**COMMON, "Modality": "SR", "SOPClassUID": BasicTextSRStorage, "PixelData": None, "ImagePositionPatient": None}


class Case(NamedTuple):
    """A series, and the rules that shall fire for it. `stage`: sent with the others, or when they are settled."""

    name: str
    attributes: dict
    fires: list
    held: str | None
    priority: str | None
    slices: int
    spacing: float
    plane: str
    study: str | None
    calling: str
    stage: int

    @property
    def uid(self):
        return str(phantom.uid(self.name, "series"))

    def write(self, folder):
        return phantom.write(folder, self.name, slices=self.slices, size=16, spacing=self.spacing, study=self.study,
                             plane=self.plane, change=self.change)

    def change(self, dataset):
        for key, value in self.attributes.items():
            if key == "private":
                group, creator, element, number = value
                dataset.private_block(group, creator, create=True).add_new(element, "IS", number)
            elif value is None:
                if key in dataset:
                    delattr(dataset, key)
            else:
                setattr(dataset, key, value)


def case(name, base, fires=(), held=None, priority=None, slices=4, spacing=1.0, plane="oblique", study=None,
         calling="STORESCU", stage=1, **attributes):
    return Case(name, {**base, **attributes}, [fires] if isinstance(fires, str) else list(fires), held, priority, slices,
                spacing, plane, study, calling, stage)


def requested(text):
    """RequestAttributesSequence with one item of this description."""
    item = Dataset()
    item.RequestedProcedureDescription = text
    return [item]


ABDOMEN = {**CT, "BodyPartExamined": "ABDOMEN"}
CHEST = {**CT, "SeriesDescription": "Chest 1.0 Br40", "SliceThickness": 1.0, "ConvolutionKernel": "Br40f"}
HEAD = {**MR, "SeriesDescription": "sag T1 MPRAGE", "MRAcquisitionType": "3D", "BodyPartExamined": "HEAD"}
HEAD_CT = {**CT, "BodyPartExamined": "HEAD"}
PELVIS = {**CT, "BodyPartExamined": "PELVIS"}
XRAY = {**CR, "BodyPartExamined": "CHEST", "ViewPosition": "PA"}
PROSTATE = {**MR, "StudyDescription": "MR Prostata", "PatientID": "4712"}
LUNG = {**CT, "SeriesDescription": "lung 1.0", "SliceThickness": 1.0}
HEART = {**CT, "BodyPartExamined": "HEART"}
HAND = {**CR, "BodyPartExamined": "HAND"}
LIVER = {**CT, "SeriesDescription": "Liver venous +C", "RequestAttributesSequence": requested("CT liver")}

CASES = {
    "Localizers and derived images stay out": [
        case("an abdomen", ABDOMEN, "abdomen CT"),
        case("its scout", ABDOMEN, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
        case("a projection", ABDOMEN, ImageType=["DERIVED", "SECONDARY", "MIP"]),
        case("a scout by name", ABDOMEN, SeriesDescription="Topogram 0.6"),
    ],
    "Thin chest CT": [
        case("a thin chest", CHEST, "thin chest CT", slices=100),
        case("a thick chest", CHEST, slices=100, spacing=5.0, SliceThickness=5.0),
        case("a chest with gaps", CHEST, slices=100, spacing=1.25),
        case("a chest for the bones", CHEST, slices=100, ConvolutionKernel="Br64f"),
        case("a chest from the side", CHEST, slices=100, plane="sagittal"),
        case("a thin foot", CHEST, slices=100, SeriesDescription="Foot"),
        case("a thin chest that was computed", CHEST, slices=100, ImageType=["DERIVED", "PRIMARY", "AXIAL"]),
    ],
    "Brain T1, 3-D only": [
        case("a brain in 3-D", HEAD, "brain T1 in 3-D", slices=100),
        case("a brain in slices", HEAD, slices=100, MRAcquisitionType="2D"),
        case("a brain after contrast", HEAD, slices=100, SeriesDescription="sag T1 MPRAGE Gd"),
        case("a brain in T2", HEAD, slices=100, SeriesDescription="sag T2 SPACE"),
    ],
    "The emergency room comes first": [
        case("a head from the emergency room", HEAD_CT, "head CT, emergency", priority="stat", calling="ER_CT"),
        case("a head from the ward", HEAD_CT, "head CT", priority="routine", calling="CT1"),
        case("a belly from the emergency room", CT, BodyPartExamined="ABDOMEN", calling="ER_CT"),
    ],
    "Phantoms are held": [
        case("a pelvis", PELVIS, "pelvis CT"),
        case("a phantom of the pelvis", PELVIS, held="phantoms", PatientID="QA-2026-11"),
        case("a phantom by name", PELVIS, held="phantoms", PatientName="Water Phantom"),
    ],
    "Chest X-ray, PA only": [
        case("a chest film", XRAY, "chest X-ray, PA", slices=1),
        case("a lateral film", XRAY, slices=1, ViewPosition="LL"),
        case("a film of the abdomen", XRAY, slices=1, BodyPartExamined="ABDOMEN"),
    ],
    "Prostate: T2, ADC and DWI in one job": [
        case("a prostate in T2", PROSTATE, "prostate", study="prostate", SeriesDescription="t2 tse tra"),
        case("a prostate from the side", PROSTATE, study="prostate", plane="sagittal", SeriesDescription="t2 tse sag"),
        case("an ADC map", PROSTATE, study="prostate", SeriesDescription="DWI b50 b1400 ADC"),
        case("a prostate in diffusion", PROSTATE, study="prostate", SeriesDescription="DWI b50 b1400"),
        case("a prostate without diffusion", PROSTATE, study="half a prostate", SeriesDescription="t2 tse tra"),
    ],
    "A new version in the shadow of the old one": [
        case("a spine", MR, ["spine MR", "spine MR, version 2"], BodyPartExamined="LSPINE"),
        case("a knee", MR, BodyPartExamined="KNEE"),
    ],
    "With the examination before": [
        case("lungs of last year", LUNG, study="lungs then", PatientID="4713", StudyDate="20250301"),
        case("lungs of long ago", LUNG, study="lungs long ago", PatientID="4713", StudyDate="20200301"),
        case("lungs of today", LUNG, "nodules, follow-up", study="lungs", PatientID="4713", StudyDate="20260301", stage=2),
        case("lungs of somebody else", LUNG, study="other lungs", PatientID="4714", StudyDate="20260301", stage=2),
    ],
    "Not before the report is there": [
        case("a heart", HEART, "cardiac CT with its report", study="heart"),
        case("the report of a heart", SR, study="heart", slices=1, stage=1),
        case("a heart without a report", HEART, study="lonely heart"),
    ],
    "A b value from a private attribute": [
        case("a diffusion by its creator", MR, "diffusion of the brain, b 1000", priority="urgent",
             private=(0x0019, "SIEMENS MR HEADER", 0x0C, 1000)),
        case("a diffusion by the standard", MR, "diffusion of the brain, b 1000", DiffusionBValue=1000.0),
        case("a diffusion of b 0", MR, private=(0x0019, "SIEMENS MR HEADER", 0x0C, 0)),
        case("the same element of another creator", MR, private=(0x0019, "GEMS_ACQU_01", 0x0C, 1000)),
    ],
    "Children apart": [
        case("a hand of a child", HAND, "hand of a child", slices=1, PatientAge="011M"),
        case("a grown hand", HAND, slices=1, PatientAge="045Y"),
        case("a hand of nobody", HAND, held="hand of nobody", slices=1),
    ],
    "Liver with contrast, once": [
        case("a liver", LIVER, "liver, portal venous"),
        case("a liver with an agent", LIVER, "liver, portal venous", SeriesDescription="portal", ContrastBolusAgent="Ultravist"),
        case("a liver before contrast", LIVER, SeriesDescription="Liver portal native"),
        case("a vein of another organ", LIVER, RequestAttributesSequence=requested("CT kidney")),
    ],
}

# The series that become the inputs of a job of the whole study.
INPUTS = {
    "prostate": {"t2": "a prostate in T2", "adc": "an ADC map", "dwi": "a prostate in diffusion"},
    "nodules, follow-up": {"now": "lungs of today", "before": "lungs of last year"},
}
