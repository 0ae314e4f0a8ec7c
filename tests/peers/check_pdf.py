"""Checks encapsulated reports with other people's software.

usage: check_pdf.py [OBJECT SOURCE_DIR EXPECTED]...

SOURCE_DIR holds the source images and nothing else; where the report was made beside a segmentation, that is `seg.dcm` beside
the object. EXPECTED is a text file in UTF-8: the number of pages, then texts that a reader must find, a line each.

Gates, all of which must hold (exit 0; otherwise 1 and the faults on stdout):
  dciodvfy    prints the IOD's name and nothing else
  dcentvfy    prints nothing for all source images, the segmentation and the report, but for its one false alarm
  dcm2pdf     (DCMTK) takes the PDF out, byte for byte
  qpdf        finds nothing wrong with the file
  pdffonts    (poppler) every font is embedded and says which characters its glyphs are
  pdftotext   (poppler) finds every text expected; page n of N and the disclaimer on every page
  pdftoppm    (poppler) draws every page, with something on it

With SAGITTAL_REPORTS=FOLDER the reports and pictures of their pages are kept there, to be looked at.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pydicom
from check_sr import FALSE_ALARM, run

DISCLAIMER = "AI result - not for diagnostic use"


def check_object(report, folder, pdf):
    lines = run("dciodvfy", report)[1]
    if lines != ["EncapsulatedPDF"]:
        yield f"dciodvfy printed {lines[:5]}"
    seg = Path(report).parent / "seg.dcm"
    beside = [seg] if seg.exists() else []
    files = sorted(Path(folder).iterdir())
    lines = [line for line in run("dcentvfy", *files, *beside, report)[1] if FALSE_ALARM not in line]
    if lines:
        yield f"dcentvfy printed {lines[:5]}"
    code, lines = run("dcm2pdf", report, pdf)
    if code or lines:
        yield f"dcm2pdf gave {code}, {lines[:5]}"
    dataset = pydicom.dcmread(report)
    stored = dataset.EncapsulatedDocument
    if Path(pdf).read_bytes().rstrip(b"\0") != stored[: dataset.EncapsulatedDocumentLength]:
        yield "dcm2pdf took out another file than the object holds"
    Path(pdf).write_bytes(stored[: dataset.EncapsulatedDocumentLength])


def check_fonts(pdf):
    code, lines = run("pdffonts", pdf)
    if code or len(lines) < 3:
        yield f"pdffonts gave {code}, {lines[:5]}"
    for line in lines[2:]:
        # The last columns: embedded, subset, Unicode map, object number and generation.
        if line.split()[-5:-2] != ["yes", "yes", "yes"]:
            yield f"pdffonts: {line}"


def check_text(pdf, pages, expected):
    read = subprocess.run(["pdftotext", "-layout", "-enc", "UTF-8", pdf, "-"], capture_output=True, check=True)
    # Marks of reading direction that poppler puts around Arabic and Hebrew are none of the text.
    text = "".join(c for c in read.stdout.decode() if unicodedata.category(c) != "Cf")
    sheets = [" ".join(sheet.split()) for sheet in text.split("\f")[:-1]]
    if len(sheets) != pages:
        yield f"pdftotext: {len(sheets)} pages, expected {pages}"
    for number, sheet in enumerate(sheets, 1):
        for wanted in (f"Page {number} of {len(sheets)}", DISCLAIMER):
            if wanted not in sheet:
                yield f"pdftotext: page {number} has no {wanted!r}"
    for wanted in expected:
        if unicodedata.normalize("NFKC", wanted) not in unicodedata.normalize("NFKC", " ".join(sheets)):
            yield f"pdftotext: {wanted!r} is not there; the first page begins {sheets[0][:300]!r}"


def check_drawing(pdf, folder):
    code, lines = run("qpdf", "--check", pdf)
    if code:
        yield f"qpdf gave {code}, {lines[:5]}"
    code, lines = run("pdftoppm", "-r", "80", pdf, f"{folder}/page")
    if code or lines:
        yield f"pdftoppm gave {code}, {lines[:5]}"
    for page in sorted(Path(folder).glob("page*.ppm")):
        pixels = np.frombuffer(page.read_bytes(), np.uint8)
        if (pixels < 100).mean() < 0.001:
            yield f"{page.name} is empty"


def kept(name, pdf, folder):
    target = Path(os.environ["SAGITTAL_REPORTS"])
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(pdf, target / f"{name}.pdf")
    subprocess.run(["pdftoppm", "-r", "80", "-png", pdf, str(target / name)], check=True)


def faults_of(report, folder, expected):
    pages, *texts = Path(expected).read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as work:
        pdf = f"{work}/report.pdf"
        yield from check_object(report, folder, pdf)
        yield from check_fonts(pdf)
        yield from check_text(pdf, int(pages), texts)
        yield from check_drawing(pdf, work)
        if "SAGITTAL_REPORTS" in os.environ:
            kept(Path(report).parent.name, pdf, work)


def main(arguments):
    cases = list(zip(*[iter(arguments)] * 3))
    count = 0
    for report, folder, expected in cases:
        for fault in faults_of(report, folder, expected):
            print(f"{Path(report).parent.name}: {fault}")
            count += 1
    print(f"{len(cases)} reports, {count} faults")
    return 1 if count else 0


if __name__ == "__main__":
    if len(sys.argv) < 4 or len(sys.argv) % 3 != 1:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1:]))
