"""Checks all results over one source together: dciodvfy on each object, dcentvfy on the source and all of them.

usage: check_objects.py [FOLDER SOURCE_DIR]...

FOLDER holds the objects, SOURCE_DIR the source images and nothing else. Nothing may be printed but the name of each IOD (exit 0;
otherwise 1 and the faults on stdout), but for what dciodvfy says word for word of the source, too, whose values are copied,
for two false alarms of dcentvfy and for what dciodvfy asks of a body part that nobody names."""

import subprocess
import sys
from pathlib import Path

import pydicom

TOOLS = Path(sys.executable).parent
COPIED = ("Error - Value invalid for this VR - (0x00", "Warning - Value dubious for this VR - (0x00")
BODY = "of attribute <Body Part Examined>"
SUMMARY = "Error - Dicom dataset contains invalid data values for Value Representations"
# It counts the accession number of images to their series, that of any report to the study.
ACCESSION = "Different information entities for attribute - Element=<AccessionNumber> IE <Series> versus <Study>"
# Of a series that names no body part it asks for a side, and warns of an empty one.
SIDE = "Error - Missing attribute Type 2C Conditional Element=<Laterality> Module=<GeneralSeries>"
# It takes the study's UID, which a structure set names as an instance's, for one.
REFERRED = "Missing SOPInstanceUID that was referenced"


def run(tool, *arguments):
    done = subprocess.run([TOOLS / tool, *arguments], capture_output=True, timeout=600)
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()]


def faults_of(folder, sources):
    objects = sorted(Path(folder).glob("*.dcm"))
    files = sorted(path for path in Path(sources).iterdir() if path.is_file())
    theirs = set(run("dciodvfy", files[0]))
    study = pydicom.dcmread(files[0], stop_before_pixels=True).StudyInstanceUID
    for path in objects:
        lines = run("dciodvfy", path)
        lines = [line for line in lines if not (line in theirs and (line.startswith((*COPIED, SUMMARY)) or BODY in line))]
        if "BodyPartExamined" not in pydicom.dcmread(path, stop_before_pixels=True):
            lines = [line for line in lines if line != SIDE]
        for line in lines:
            if line.startswith(("Error", "Warning")):
                yield f"{path.name}: dciodvfy: {line}"
        if not lines:
            yield f"{path.name}: dciodvfy does not know it"
    # What is wrong with the source alone is wrong with it beside its results, too.
    alone = {line.split(" for file <")[0] for line in run("dcentvfy", *files)}
    for line in run("dcentvfy", *files, *objects):
        if line.split(" for file <")[0] not in alone and ACCESSION not in line and not (REFERRED in line and study in line):
            yield f"dcentvfy: {line}"


def main(arguments):
    pairs = list(zip(*[iter(arguments)] * 2))
    count = 0
    for folder, sources in pairs:
        for fault in faults_of(folder, sources):
            print(f"{Path(folder).name}: {fault}")
            count += 1
    print(f"{len(pairs)} sources, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
