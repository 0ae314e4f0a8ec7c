"""Every kind of destination with real peers, sound and faulty: Orthanc by three ways, DCMTK's storescp plain, refusing and over
TLS, and pynetdicom answering what it is told to. One model run gives one SEG to all of them; each must hold it once."""

import http.server
import json
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request

import phantom
import pydicom
import settings
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    SegmentationStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from support import BIN, ENVIRONMENT, Node, Orthanc, Site, free_port, receive, run, wait
from tls import Authority

FINAL = ("completed", "discarded", "cancelled")


class Archive:
    """A pynetdicom archive: `react(times)` is the status of an object that comes for the how manieth time, or what is done
    instead. It finds by C-FIND what it has stored."""

    def __init__(self, react, classes=(SegmentationStorage,)):
        self.react, self.came, self.held, self.associations = react, [], set(), 0
        self.entity = AE("ARCHIVE")
        for context in (*classes, Verification, StudyRootQueryRetrieveInformationModelFind):
            self.entity.add_supported_context(context)
        handlers = [(evt.EVT_C_STORE, self._store), (evt.EVT_C_FIND, self._find), (evt.EVT_ACCEPTED, self._accepted)]
        self.server = self.entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    def _accepted(self, _):
        self.associations += 1

    def _store(self, event):
        uid = str(event.request.AffectedSOPInstanceUID)
        self.came.append(uid)
        status = self.react(self.came.count(uid), event)
        if status == 0 or status >> 12 == 0xB:
            self.held.add(uid)
        return status

    def _find(self, event):
        if str(event.identifier.SOPInstanceUID) in self.held:
            yield 0xFF00, event.identifier

    def destination(self, **more):
        return dicom(self.server.server_address[1], "ARCHIVE", **{"confirm": "query", **more})

    def stop(self):
        self.server.shutdown()


class Storescp:
    """DCMTK's storescp on a port of its own; `start` again with other options keeps it."""

    def __init__(self, folder, *options):
        self.folder, self.port, self.process = folder, free_port(), None
        folder.mkdir(parents=True, exist_ok=True)
        self.start(*options)

    def start(self, *options):
        self.stop()
        command = ["storescp", *map(str, options), "--output-directory", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def files(self):
        return sorted(self.folder.iterdir())

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait(60)


def dicom(port, title, **more):
    values = {"kind": "dicom", "host": "127.0.0.1", "port": port, "ae_title": title, "confirm": "none"}
    return {**values, "backoff_cap": "1 s", "timeout": "60 s", **more}


class Fan(Site):
    """A node that sends one SEG to each of the destinations that `peers(keep, folder)` gives."""

    def build(self, peers, pipelines=("ball",), more=None):
        destinations = peers(self.keep, self.folder)
        destinations["folder"] = {"kind": "folder", "path": str(self.folder / "out")}
        rules = [(name, {"Modality": "MR"}, name) for name in pipelines]
        files = settings.files({name: "threshold" for name in pipelines}, rules, destinations, more=more)
        self.node = self.keep(Node(self.folder / "node", files))
        self.destinations = destinations

    def send(self, name):
        receive(self.node, phantom.write(self.folder / "series", name))

    def deliveries(self):
        return [job for job in self.node.jobs() if job["kind"] == "deliver"]

    def job(self, destination, ready, what):
        """The delivery to `destination` in full, once it is `ready`."""
        def look():
            jobs = [job for job in self.deliveries() if job["destination"] == destination]
            return jobs and ready(jobs[0]) and jobs[0]

        found = wait(f"{destination}: {what}", look, 120)
        return json.loads(self.node.command("jobs", "show", found["id"], "--json").stdout)

    def done(self, destination):
        return self.job(destination, lambda job: job["state"] in FINAL, "is over")

    def tried(self, destination, why):
        """Waits until a try failed and its error says `why`; a peer that is starting may fail otherwise before."""
        return self.job(destination, lambda job: why in (job["last_error"] or ""), f"was tried in vain: {why}")

    def reference(self):
        """The SEG in the folder that is a destination, too."""
        self.done("folder")
        return sorted((self.folder / "out").rglob("*.dcm"))


def outcomes(job):
    return [attempt["outcome"] for attempt in job["attempts"]]


def dataset(path):
    """The bytes behind the meta information."""
    with open(path, "rb") as file:
        pydicom.filereader.read_preamble(file, False)
        pydicom.filereader._read_file_meta_info(file)
        return file.read()


def sound(keep, folder):
    pacs = keep(Orthanc(folder / "pacs", "PACS"))
    plain = keep(Storescp(folder / "storescp", "--bit-preserving"))
    fan = {
        "storescp": dicom(plain.port, "STORESCP"),
        "pacs": settings.dicom(pacs),
        "rest": {**settings.rest(pacs), "confirm": "query", "metadata": {"1024": "Sagittal"}, "labels": ["AI"]},
        "stow": {"kind": "dicomweb", "url": f"{pacs.url}/dicom-web", "backoff_cap": "1 s", "timeout": "120 s"},
        "trial": {"kind": "report-only"},
    }
    sound.pacs, sound.plain = pacs, plain
    return fan


def test_every_kind_of_destination_has_the_result_once():
    with Fan("destinations", sound) as site:
        site.send("destinations")
        [seg] = site.reference()
        uid = str(pydicom.dcmread(seg, stop_before_pixels=True).SOPInstanceUID)
        ends = {name: site.done(name) for name in site.destinations}
        said = {name: (job["job"]["delivered"], outcomes(job)) for name, job in ends.items()}
        confirmed = ("confirmed", ["completed"])
        # One Orthanc takes it by three ways; whichever comes second may find it locked for a moment.
        assert {said[name][0] for name in ("pacs", "rest", "stow", "folder")} == {"confirmed"}, said
        assert said["folder"] == confirmed, said
        assert said["storescp"] == ("sent-unconfirmed", ["completed"]), said
        assert said["trial"] == ("reported", ["completed"]), said
        answers = {name: [(a["answer"], a["sop_instance"]) for a in job["answers"]] for name, job in ends.items()}
        assert answers == {name: [("reported" if name == "trial" else "stored", uid)] for name in ends}, answers
        [received] = sound.plain.files()
        assert dataset(received) == dataset(seg), "storescp got other bytes"
        [held] = sound.pacs.results()
        series = sound.pacs.ask(f"/instances/{held}/series")["ID"]
        assert sound.pacs.ask(f"/series/{series}/metadata/1024") == b"Sagittal"
        ask_each(site)
        return ", ".join(f"{name}: {delivered}" for name, (delivered, _) in said.items())


def ask_each(site):
    """`sagittal destinations test|list|show`."""
    test = lambda name: json.loads(site.node.command("destinations", "test", name, "--json").stdout)
    assert "Orthanc 1." in test("rest")["said"], test("rest")
    assert test("stow")["said"] == "a DICOMweb service"
    assert test("folder")["ok"] and test("trial")["ok"]
    takes = {row["sop_class"]: row["accepted"] for row in test("storescp")["takes"]}
    assert takes[SegmentationStorage], takes
    shown = json.loads(site.node.command("destinations", "show", "storescp", "--json").stdout)
    assert shown["ladder"]["binary"] == "yes", shown
    listed = {row["name"]: row for row in json.loads(site.node.command("destinations", "list", "--json").stdout)}
    assert all((row["waiting"], row["delivered"]) == (0, 1) for row in listed.values()), listed
    sound.plain.stop()
    gone = site.node.command("destinations", "test", "storescp", check=False)
    assert gone.returncode == 1 and "cannot reach STORESCP@" in gone.stderr, gone


def late(times, _):
    """Answers the first time when nobody waits for it any more."""
    if times == 1:
        time.sleep(3)
    return 0


def aborts(times, event):
    if times == 1:
        event.assoc.abort()
    return 0


# name -> what the archive does, statuses of the last answer, outcomes of the attempts (a first one that times out or is
# aborted may be followed by another on a busy machine)
FAULTY = {
    "coerces": (lambda *_: 0xB000, ("warned", 0xB000), ["completed"]),
    "discards": (lambda *_: 0xB006, ("warned", 0xB006), ["completed"]),
    "differs": (lambda *_: 0xB007, ("warned", 0xB007), ["completed"]),
    "full": (lambda times, _: 0xA700 if times < 3 else 0, ("stored", 0), ["retry", "retry", "completed"]),
    "aborts": (aborts, ("stored", 0), ["retry", "completed"]),
    "slow": (late, ("stored", 0), ["retry", "completed"]),
}
ARCHIVES = {}


def faulty(keep, folder):
    fan = {}
    for name, (react, _, _) in FAULTY.items():
        ARCHIVES[name] = keep(Archive(react))
        fan[name] = ARCHIVES[name].destination(timeout="1 s" if name == "slow" else "60 s")
    ARCHIVES["refuses"] = keep(Archive(lambda *_: 0xC123))
    fan["refuses"] = ARCHIVES["refuses"].destination()
    ARCHIVES["only-ct"] = keep(Archive(lambda *_: 0, [CTImageStorage]))
    fan["only-ct"] = ARCHIVES["only-ct"].destination()
    return fan


def test_faulty_archives_have_the_result_once_or_say_why_not():
    with Fan("destinations-faulty", faulty) as site:
        site.send("faulty")
        for name, (_, answer, expected) in FAULTY.items():
            job, archive = site.done(name), ARCHIVES[name]
            assert job["job"]["delivered"] == "confirmed", (name, job["job"])
            said = [(a["answer"], a["status"]) for a in job["answers"]]
            assert said == [answer], (name, said)
            tries = outcomes(job)
            assert tries == expected or name == "slow" and tries[0] == "retry" and tries[-1] == "completed", (name, tries)
            assert len(archive.held) == 1 and len(set(archive.came)) == 1, (name, archive.came)
        refused = site.done("refuses")
        assert outcomes(refused) == ["gave-up"] and "status c123" in refused["job"]["last_error"], refused["job"]
        without = site.done("only-ct")
        assert outcomes(without) == ["gave-up"], without["job"]
        assert "accepts no presentation context for Segmentation" in without["job"]["last_error"], without["job"]
        assert not ARCHIVES["only-ct"].came
        infer = [job for job in site.node.jobs() if job["kind"] == "infer"]
        assert [job["attempt"] for job in infer] == [1], "a fault of a destination must not run a model again"


def closed_doors(keep, folder):
    hospital, stranger = Authority(folder / "pki", "hospital"), Authority(folder / "elsewhere", "stranger")
    closed_doors.right, closed_doors.wrong = hospital.issue("pacs"), stranger.issue("pacs")
    closed_doors.refusing = keep(Storescp(folder / "refusing", "--refuse"))
    closed_doors.secured = keep(Storescp(folder / "secured", "+tls", *closed_doors.wrong, "-ic"))
    secured = {"tls": True, "ca": str(hospital.certificate), "server_name": "localhost"}
    return {
        "refusing": dicom(closed_doors.refusing.port, "STORESCP"),
        "secured": dicom(closed_doors.secured.port, "STORESCP", **secured),
        "down": dicom(free_port(), "NOBODY"),
    }


def test_a_peer_that_refuses_or_shows_a_wrong_certificate_gets_the_result_when_that_is_mended():
    with Fan("destinations-closed", closed_doors) as site:
        site.send("closed")
        site.tried("refusing", "rejected the association")
        site.tried("secured", "certificate")
        down = site.tried("down", "cannot reach NOBODY@")
        closed_doors.refusing.start()
        closed_doors.secured.start("+tls", *closed_doors.right, "-ic")
        [seg] = site.reference()
        for name, peer in (("refusing", closed_doors.refusing), ("secured", closed_doors.secured)):
            job = site.done(name)
            assert job["job"]["delivered"] == "sent-unconfirmed", job["job"]
            assert set(outcomes(job)) == {"retry", "completed"}, outcomes(job)
            [received] = peer.files()
            assert pydicom.dcmread(received) == pydicom.dcmread(seg), name
        site.node.command("jobs", "cancel", down["job"]["id"])
        assert site.done("down")["job"]["state"] == "cancelled"


def keeping(keep, folder):
    keeping.archive = keep(Archive(lambda *_: 0))
    return {"archive": keeping.archive.destination(keep_association="300 s")}


def test_several_results_come_over_one_association():
    with Fan("destinations-kept", keeping, pipelines=("ball", "again", "third")) as site:
        site.send("kept")
        done = lambda: len(jobs := [j for j in site.deliveries() if j["destination"] == "archive"]) == 3 and all(
            job["delivered"] == "confirmed" for job in jobs)
        wait("three deliveries are confirmed", done, 120)
        archive = keeping.archive
        assert (len(archive.held), len(archive.came), archive.associations) == (3, 3, 1), archive.came


LABELMAP, BINARY, REPORT = "1.2.840.10008.5.1.4.1.1.66.7", SegmentationStorage, "1.2.840.10008.5.1.4.1.1.88.34"
PICTURE = "1.2.840.10008.5.1.4.1.1.7"
# What an archive takes -> the form that it gets.
RUNGS = {"new": ([LABELMAP, BINARY, REPORT], "labelmap"), "old": ([BINARY, REPORT], "binary"), "oldest": ([PICTURE], "secondary-capture")}


def rungs(keep, folder):
    for name, (classes, _) in RUNGS.items():
        ARCHIVES[name] = keep(Keeping(classes))
    return {name: ARCHIVES[name].destination() for name in RUNGS}


class Keeping(Archive):
    """An archive that keeps what it gets, to be looked at."""

    def __init__(self, classes):
        super().__init__(self._keep, classes)
        self.objects = []

    def _keep(self, _, event):
        event.dataset.file_meta = event.file_meta
        self.objects.append(event.dataset)
        return 0


def test_an_archive_gets_the_best_form_that_it_takes_and_reports_that_refer_to_it():
    more = {"results": ["seg", "sr"], "seg": {"form": "labelmap", "fallback": ["binary", "secondary-capture"]}}
    with Fan("destinations-ladder", rungs, more=more) as site:
        site.send("ladder")
        for name, (classes, form) in RUNGS.items():
            job = site.done(name)
            assert job["job"]["delivered"] == "confirmed" and outcomes(job) == ["completed"], job
            passed = [[word, "refused"] for word in ("labelmap", "binary")[: list(RUNGS).index(name)]]
            assert job["choice"] == {"asked": "labelmap", "chosen": form, "passed_over": passed}, job["choice"]
            if name == "oldest":
                continue
            [seg, report] = ARCHIVES[name].objects
            assert (seg.SOPClassUID, report.SOPClassUID) == (classes[0], REPORT)
            [place] = [item.ReferencedSOPInstanceUID for item in references(report) if item.ReferencedSOPClassUID == classes[0]]
            assert place == seg.SOPInstanceUID, f"{name}: the report refers to another segmentation"
        new, old, pictures = (ARCHIVES[name].objects for name in RUNGS)
        assert len(pictures) > 1 and {d.SOPClassUID for d in pictures} == {PICTURE}, "a picture for each image with a finding"
        assert len({d.SOPInstanceUID for d in new + old}) == 4, "different objects have the same UID"
        tracked = [d.SegmentSequence[0].TrackingUID for d in (new[0], old[0])]
        assert tracked[0] == tracked[1], "one segment has two tracking UIDs"
        for objects in (new, old, pictures):
            check_sound(site, objects)


def references(dataset):
    """Items of ReferencedSOPSequence in the content of a report."""
    for item in dataset.get("ContentSequence", []):
        yield from item.get("ReferencedSOPSequence", [])
        yield from references(item)


def check_sound(site, objects):
    """`sagittal verify` finds nothing, nor does dciodvfy, which does not know label maps and what refers to them."""
    is_known = all(dataset.SOPClassUID != LABELMAP for dataset in objects)
    for number, dataset in enumerate(objects):
        path = site.folder / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        said = run(BIN, "verify", path, "--source", site.folder / "series").stdout
        assert said.endswith(": sound\n"), said
        if is_known:
            checked = run("dciodvfy", "-new", path, check=False)
            faults = [line for line in (checked.stdout + checked.stderr).splitlines() if line.startswith("Error")]
            assert not faults, faults


class Gate(http.server.ThreadingHTTPServer):
    """A web server before an Orthanc that lets in who shows a certificate of `authority` and the token."""

    daemon_threads = True

    def __init__(self, orthanc, authority, token):
        super().__init__(("127.0.0.1", 0), Doorkeeper)
        self.orthanc, self.token = orthanc, token
        key, certificate = authority.issue("gate")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        """Who shows no certificate is turned away by TLS."""

    def stop(self):
        self.shutdown()
        self.server_close()


class Doorkeeper(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        if self.headers.get("Authorization") != f"Bearer {self.server.token}":
            return self.answer(401, {}, b"")
        headers = {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}
        request = urllib.request.Request(self.server.orthanc.url + self.path, data=body, headers=headers, method=self.command)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as said:
                self.answer(said.status, said.headers, said.read())
        except urllib.error.HTTPError as refused:
            self.answer(refused.code, refused.headers, refused.read())

    do_GET = do_POST = do_PUT = pass_on

    def answer(self, status, headers, body):
        self.send_response(status)
        if "Content-Type" in headers:
            self.send_header("Content-Type", headers["Content-Type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: the suites' output is their own."""


def guarded(keep, folder):
    hospital = Authority(folder / "pki", "hospital")
    guarded.pacs = keep(Orthanc(folder / "pacs", "PACS"))
    gate = keep(Gate(guarded.pacs, hospital, "open sesame"))
    key, certificate = hospital.issue("node")
    url = f"https://localhost:{gate.server_address[1]}"
    for name, token in (("right", "open sesame"), ("wrong", "open barley")):
        (folder / name).write_text(token)
    known = {"ca": str(hospital.certificate), "backoff_cap": "1 s", "timeout": "60 s"}
    shown = {**known, "certificate": str(certificate), "key": str(key)}
    right, wrong = {"token_file": str(folder / "right")}, {"token_file": str(folder / "wrong")}
    return {
        "rest": {"kind": "orthanc", "url": url, "confirm": "query", **shown, **right},
        "stow": {"kind": "dicomweb", "url": f"{url}/dicom-web", **shown, **right},
        "barley": {"kind": "orthanc", "url": url, **shown, **wrong},
        "anonymous": {"kind": "orthanc", "url": url, **known, **right},
    }


def test_a_web_service_lets_in_who_has_its_certificate_and_its_token():
    with Fan("destinations-guarded", guarded) as site:
        site.send("guarded")
        for name in ("rest", "stow"):
            assert site.done(name)["job"]["delivered"] == "confirmed", site.done(name)["job"]
        assert len(guarded.pacs.results()) == 1
        refused = site.done("barley")
        assert outcomes(refused) == ["gave-up"] and "the token" in refused["job"]["last_error"], refused["job"]
        anonymous = site.tried("anonymous", "ertificate")
        site.node.command("jobs", "cancel", anonymous["job"]["id"])
        shown = site.node.command("destinations", "show", "rest").stdout + site.node.log()
        assert "sesame" not in shown and "barley\"" not in shown, "a secret was shown"
