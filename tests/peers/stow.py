"""STOW-RS (PS3.18 section 10.5) by a client that hospitals use, dicomweb-client, and by raw bytes."""

import json
import secrets
import urllib.error
import urllib.request
from xml.etree import ElementTree

import phantom
import pydicom
import settings
import wire
from dicomweb_client.api import DICOMwebClient
from interop import ANNOUNCED_WRONGLY, REFUSED, documented, files, held, series_of
from support import BIN, Node, run, wait, workspace

BOUNDARY = "a-boundary"
UNNAMED = (0x0008119A, 0x00081197)


class Site:
    """A node with a model and an HTTP port, that delivers into a folder."""

    def __init__(self, name, http='listen = "127.0.0.1:0"', receive="", model={"ball": "threshold"}):
        self.folder = workspace(name)
        rules = [("phantoms", {"SeriesDescription": phantom.DESCRIPTION}, "ball")] if model else []
        texts = settings.files(model, rules, {"folder": {"kind": "folder", "path": str(self.folder / "out")}})
        texts["node.toml"] = texts["node.toml"].replace("[completion]", f"{receive}\n[completion]") + f"\n[http]\n{http}\n"
        self.node = Node(self.folder / "node", texts, start=False)

    def __enter__(self):
        self.node.start()
        return self

    def __exit__(self, *_):
        self.node.stop()

    def url(self, path=""):
        return f"http://{self.node.program.ready['http']}{path}"

    def post(self, body, path="/dicom-web/studies", accept="application/dicom+json", kind=None, key=None):
        """(status, headers, body) of an upload."""
        kind = kind or f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        headers = {"Content-Type": kind, "Accept": accept, **({"Authorization": f"Bearer {key}"} if key else {})}
        return self.ask(urllib.request.Request(self.url(path), data=body, headers=headers))

    def ask(self, request):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=300) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read()


def body(*contents, media_type="application/dicom"):
    parts = [f"--{BOUNDARY}\r\nContent-Type: {media_type}\r\n\r\n".encode() + content + b"\r\n" for content in contents]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def reasons(answer):
    """SOP instance -> failure reason, and the reasons of parts without one."""
    answer = pydicom.Dataset.from_json(json.loads(answer))
    failed = {str(item.ReferencedSOPInstanceUID): item.FailureReason for item in answer.get("FailedSOPSequence", [])}
    return failed, [item[UNNAMED[1]].value for item in (answer[UNNAMED[0]].value if UNNAMED[0] in answer else [])]


def test_dicomweb_client_stores_a_series_and_gets_its_seg():
    with Site("stow-series") as site:
        sent = phantom.write(site.folder / "series", "stow")
        client = DICOMwebClient(url=site.url("/dicom-web"))
        answer = client.store_instances([pydicom.dcmread(file) for file in sent])
        stored = {str(item.ReferencedSOPInstanceUID) for item in answer.ReferencedSOPSequence}
        assert stored == {str(pydicom.dcmread(file).SOPInstanceUID) for file in sent}, answer
        assert "FailedSOPSequence" not in answer, answer
        wait("the SEG of the uploaded series", lambda: list((site.folder / "out").rglob("*.dcm")))


def test_every_file_arrives_byte_for_byte_or_is_named_in_the_answer():
    with Site("stow-matrix", model={}) as site:
        counts = {"stored": 0, "refused": 0}
        for name, file in files().items():
            _, syntax, instance, data = wire.read_raw(file)
            status, _, answer = site.post(body(file.read_bytes()))
            counts["stored" if status == 200 else "refused"] += 1
            if status == 200:
                assert held(site.node, series_of(file), instance) == (syntax, data), name
                continue
            assert status == 409, (name, status, answer)
            # what the meta information announces must be there and right (PS3.10 section 7.1)
            named, unnamed = reasons(answer)
            odd = documented(name) or not wire.is_part10(file) or name in ANNOUNCED_WRONGLY
            assert odd and len(named) + len(unnamed) == 1, (name, named, unnamed)
        assert counts["stored"] > 80, counts
        return f"{counts['stored']} files byte-identical, {counts['refused']} refused as documented, {len(REFUSED)} rows"


def test_one_bad_instance_keeps_no_other_back():
    with Site("stow-mixed") as site:
        good, other = (file.read_bytes() for file in phantom.write(site.folder / "series", "mixed", slices=2))
        study, uid = (str(pydicom.dcmread(site.folder / "series/000.dcm")[key].value) for key in ("StudyInstanceUID", "SOPInstanceUID"))
        elsewhere = phantom.write(site.folder / "elsewhere", "elsewhere", slices=1)[0]
        status, headers, answer = site.post(body(good, b"no DICOM at all", elsewhere.read_bytes()), f"/dicom-web/studies/{study}")
        assert status == 202 and headers["Content-Type"] == "application/dicom+json", (status, answer)
        foreign = str(pydicom.dcmread(elsewhere).SOPInstanceUID)
        assert reasons(answer) == ({foreign: 0xA900}, [0xC000]), answer
        stored = pydicom.Dataset.from_json(json.loads(answer)).ReferencedSOPSequence
        assert [str(item.ReferencedSOPInstanceUID) for item in stored] == [uid], stored
        status, _, answer = site.post(body(other, other), accept="application/dicom+xml")
        tree = ElementTree.fromstring(answer)
        assert status == 200 and len(tree.findall(".//{*}DicomAttribute[@keyword='ReferencedSOPInstanceUID']")) == 2, answer


def test_parts_that_are_no_files_are_kept_and_taken_when_mended():
    with Site("stow-unreadable", model={}) as site:
        file = phantom.write(site.folder / "series", "unreadable", slices=1)[0]
        _, syntax, instance, data = wire.read_raw(file)
        uids = pydicom.dcmread(file)
        # without its first 132 bytes, without the meta information too, and no DICOM at all
        parts = file.read_bytes()[132:], data, b"no DICOM at all"
        for number, part in enumerate(parts, 1):
            status, _, answer = site.post(body(part))
            assert status == 409 and reasons(answer) == ({}, [0xC000]), (status, answer)
            assert len(quarantined(site.node)) == number, "a part that was refused is not in the quarantine"
        for entry in quarantined(site.node):
            assert (entry["calling"], entry["status"]) == ("STOW-RS", "C000") and "DICM" in entry["reason"], entry
        sizes = {entry["length"]: entry["name"] for entry in quarantined(site.node)}
        assert set(sizes) == set(map(len, parts)), (sizes, "bytes were added or lost")
        for part in parts[:2]:
            again = site.node.command("quarantine", "retry", sizes[len(part)], check=False)
            assert again.returncode == 1 and "DICM" in again.stderr, again
            site.node.command("quarantine", "retry", "--trust-data-set", sizes[len(part)])
            assert held(site.node, str(uids.SeriesInstanceUID), instance) == (syntax, data)
        junk = sizes[len(parts[2])]
        again = site.node.command("quarantine", "retry", "--trust-data-set", junk, check=False)
        assert again.returncode == 1, again
        assert [entry["name"] for entry in quarantined(site.node)] == [junk]


def quarantined(node):
    return json.loads(node.command("quarantine", "list", "--json").stdout)


def test_what_is_no_upload_is_refused_with_its_status():
    with Site("stow-refused", receive='max_object = "1 MiB"') as site:
        file = phantom.write(site.folder / "series", "refused", slices=1)[0].read_bytes()
        related = "multipart/related; type=\"application/dicom\""
        for expected, (content, options) in {
            415: (body(file), {"kind": "application/dicom"}), 406: (body(file), {"accept": "text/html"}),
            400: (b"--a-boundary--", {}),
        }.items():
            assert site.post(content, **options)[0] == expected, expected
        for content in (b"", b"nothing of the kind", body(file)[:-200], body(file).replace(b"a-boundary--", b"a-bound")):
            status, _, answer = site.post(content)
            assert status in (400, 202), (status, answer)
        assert site.post(body(file), kind=related)[0] == 415
        assert site.post(body(file), path="/dicom-web/studies/../../etc")[0] in (400, 404)
        assert site.post(body(file), path="/dicom-web/studies/1.2..3")[0] == 400
        status, _, answer = site.post(body(b"\0" * (1 << 21), file))
        assert status == 202 and reasons(answer) == ({}, [0xA700]), (status, answer)
        assert site.post(body(file, media_type="text/plain"))[0] == 409
        for path, words in {"/healthz": b"alive", "/readyz": b"ready"}.items():
            said = site.ask(urllib.request.Request(site.url(path)))[2]
            assert said.startswith(words), (path, said)


def test_a_key_is_asked_for_and_never_logged():
    key = secrets.token_hex(16)
    site = Site("stow-key", http='listen = "0.0.0.0:0"\napi_key_file = "key"')
    (site.node.config / "key").write_text(key + "\n")
    with site:
        port = site.node.program.ready["http"].rsplit(":", 1)[1]
        site.url = lambda path="": f"http://127.0.0.1:{port}{path}"
        file = phantom.write(site.folder / "series", "key", slices=1)[0].read_bytes()
        for wrong in (None, "wrong", key[:-1]):
            status, headers, _ = site.post(body(file), key=wrong)
            assert status == 401 and headers["WWW-Authenticate"].startswith("Bearer"), (wrong, status)
        assert site.post(body(file), key=key)[0] == 200
        assert key not in site.node.log(), "the key is in the log"


def test_other_machines_are_not_listened_to_without_a_key():
    site = Site("stow-open", http='listen = "0.0.0.0:0"')
    done = run(BIN, "check", "--config", site.node.config, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 2 and "api_key_file" in said and "open to other machines" in said, said
