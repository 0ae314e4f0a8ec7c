"""Every file of the assets, sent by every sender: it arrives with the bytes that were sent, or is refused as documented.

DCMTK and Orthanc write a data set anew before they send it. What they put on the wire is therefore recorded by a second
receiver (pynetdicom, which keeps bytes as they come), and the node must hold just that. The two raw senders, pynetdicom's
chunked one and `wire`, are compared with the files themselves.
"""

import contextlib
import fnmatch
import pathlib
import re
import urllib.error
import urllib.request

import pydicom
from pynetdicom import AE, _config, build_context, evt

import requestor
import settings
import wire
from support import Node, Orthanc, asset, run, scratch, workspace

FOLDERS = ("syntax_matrix", "enhanced", "seg_rt_sr", "odd", "cxr", "ct_body_dicom", "ct_body_dicom_fixed")

# The documented refusals (conformance statement, section 2.3) and the raw senders' answers. Nothing else may be refused.
NO_INSTANCE_UID = "0117"  # the command names no SOP Instance UID
CANNOT_UNDERSTAND = "C000"  # the data set names no study or no series
REFUSED = {
    "syntax_matrix/HTJ2KLossless_08_RGB.dcm": CANNOT_UNDERSTAND,
    "odd/GH220.dcm": "context refused",  # a private SOP class that the node is not told to take
    "odd/charset/chrSQEncoding.dcm": NO_INSTANCE_UID,
    "odd/empty_charset_LEI.dcm": NO_INSTANCE_UID,
    "odd/nested_priv_SQ.dcm": NO_INSTANCE_UID,
    "odd/no_meta_group_length.dcm": NO_INSTANCE_UID,
    "ct_body_dicom/*": NO_INSTANCE_UID,
}
# The UIDs of the file's meta information, which this sender announces, are not those of the data set.
ANNOUNCED_WRONGLY = dict.fromkeys(
    ("seg_rt_sr/rtdose.dcm", "seg_rt_sr/rtplan.dcm", "odd/badVR.dcm", "odd/charset/chrJapMulti.dcm"), "A900")
# DCMTK, and Orthanc with it, takes the bytes of UIDs that are encoded as UN for numbers and announces the SOP class `31`.
MISREAD = {"odd/explicit_VR-UN.dcm": "A900"}
# Files that a sender refuses to send, beside odd and refused ones: without SOP UIDs in their meta information.
UNSENT = ("odd/*", "seg_rt_sr/rtstruct.dcm", *REFUSED)


class Recorder:
    """A storage SCP that keeps what it receives: SOP instance -> (transfer syntax, data set)."""

    def __init__(self):
        # every class, and the requestor's first transfer syntax: the node's choice, too
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        self.received = {}
        entity = AE("RECORDER")
        entity.maximum_pdu_size = 0
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.host, self.port = self.server.server_address[:2]

    def _store(self, event):
        what = str(event.context.transfer_syntax), event.request.DataSet.getvalue()
        self.received[str(event.request.AffectedSOPInstanceUID)] = what
        return 0x0000

    def close(self):
        self.server.shutdown()


@contextlib.contextmanager
def lone_node(name):
    """A node without rules: it only receives."""
    node = Node(workspace(name) / "node", settings.files({}, [], {}))
    try:
        yield node
        assert node.program.alive(), node.log()[-2000:]
    finally:
        node.stop()


def files():
    """Path within the assets -> file, of all folders."""
    root = asset("data")
    found = [file for folder in FOLDERS for file in sorted(asset(f"data/{folder}").rglob("*"))
             if file.suffix == ".dcm" or file.name.startswith("CT.")]
    assert len(found) > 100, f"{len(found)} files only"
    return {str(file.relative_to(root)): file for file in found}


def held(node, series, instance):
    """(transfer syntax, data set) of what the node holds of an instance now, as `sagittal series export` writes it."""
    with scratch() as folder:
        node.command("series", "export", series, "-o", folder)
        _, syntax, _, data = wire.read_raw(pathlib.Path(folder) / f"{instance}.dcm")
        return syntax, data


def series_of(file):
    return str(pydicom.dcmread(file, force=True, stop_before_pixels=True).get("SeriesInstanceUID") or "")


def documented(name, table=None):
    """The refusal that the tables have for a file."""
    return next((status for pattern, status in {**REFUSED, **(table or {})}.items() if fnmatch.fnmatch(name, pattern)), None)


def compare(answers, wrong, unsent=(), table=None):
    """Fails on bytes that differ, on refusals that no table has, and on unsent files that no table has."""
    refused = {name: answer for name, answer in answers.items() if answer != "0000"}
    stray = {name: answer for name, answer in refused.items() if not documented(name, table)}
    assert not stray, f"refused, and not documented: {stray}"
    assert not wrong, f"not held as it was sent: {wrong}"
    silent = [name for name in unsent if not any(fnmatch.fnmatch(name, pattern) for pattern in UNSENT)]
    assert not silent, f"the sender does not send {silent}"
    said = f"{len(answers)} files: {len(answers) - len(refused)} byte-identical, {len(refused)} refused as documented"
    odd = [name for name in unsent if not name.startswith("ct_body_dicom/")]
    return said + (f"; the sender itself refuses {len(unsent)}: {', '.join(odd)} ..." if unsent else "")


def test_raw_bytes_arrive_as_they_are():
    answers, wrong = {}, []
    with lone_node("interop-raw") as node:
        for name, file in files().items():
            sop_class, syntax, instance, data = wire.read_raw(file)
            answer = wire.store(node, sop_class, syntax, instance, data)
            answers[name] = f"{answer:04X}" if isinstance(answer, int) else answer
            if answer == 0 and held(node, series_of(file), instance) != (syntax, data):
                wrong.append(name)
    differs = {n: (answers[n], documented(n)) for n in answers if documented(n) not in (None, answers[n])}
    assert not differs, f"the table is not what the node does: {differs}"
    return compare(answers, wrong)


def test_pynetdicom_sends_every_file():
    _config.STORE_SEND_CHUNKED_DATASET = True
    answers, wrong, unsent = {}, [], []
    with lone_node("interop-pynetdicom") as node:
        for name, file in files().items():
            sop_class, syntax, instance, data = wire.read_raw(file)
            answer = pynetdicom_store(node, file, sop_class, syntax)
            if answer is None:
                unsent.append(name)
                continue
            answers[name] = answer
            if answer == "0000" and held(node, series_of(file), instance) != (syntax, data):
                wrong.append(name)
    return compare(answers, wrong, unsent, ANNOUNCED_WRONGLY)


def pynetdicom_store(node, file, sop_class, syntax):
    """The status, `context refused`, or nothing where pynetdicom cannot read what it needs from the file."""
    connect = lambda: requestor.associate(node.host, node.port, [build_context(sop_class, syntax)], max_pdu=0)
    association = connect()
    if not association.is_established:
        return "context refused"
    try:
        association, answer = requestor.response(association, connect, lambda to: to.send_c_store(str(file)))
        return f"{answer.Status:04X}"
    except (AttributeError, ValueError, KeyError, pydicom.errors.InvalidDicomError):
        return None
    finally:
        association.release()


def test_storescu_sends_every_file():
    def send(file, to):
        profile = proposal(file)
        return dcmtk("storescu", "-v", "-xf", profile, "P", "-aec", "SAGITTAL", to.host, to.port, file)

    return rewritten("interop-storescu", send)


def test_dcmsend_sends_every_file():
    options = ("-v", "-dn", "-nuc", "-aec", "SAGITTAL")
    return rewritten("interop-dcmsend", lambda file, to: dcmtk("dcmsend", *options, to.host, to.port, file))


def proposal(file):
    """A configuration file for `storescu -xf` that proposes the file's own class and transfer syntax."""
    sop_class, syntax, _, _ = wire.read_raw(file)
    path = workspace("interop-profile") / "storescu.cfg"
    path.write_text(f"[[TransferSyntaxes]]\n[T]\nTransferSyntax1 = {syntax}\n"
                    f"[[PresentationContexts]]\n[C]\nPresentationContext1 = {sop_class}\\T\n"
                    "[[Profiles]]\n[P]\nPresentationContexts = C\n")
    return path


def dcmtk(*command):
    """`0000`, DCMTK's name of another status, or nothing where there was no C-STORE."""
    done = run(*command, check=False)
    answer = re.search(r"Received (?:C-STORE|Store) Response \((.*?)\)", done.stdout + done.stderr)
    return answer and {"Success": "0000"}.get(answer[1], answer[1])


def rewritten(name, send):
    """A sender that writes the data set anew: the node holds what the recorder got of the same file."""
    answers, wrong, unsent = {}, [], []
    with lone_node(name) as node, contextlib.closing(Recorder()) as recorder:
        for file_name, file in files().items():
            recorder.received.clear()
            send(file, recorder)
            if not recorder.received:
                unsent.append(file_name)
                continue
            [(instance, as_sent)] = recorder.received.items()
            answers[file_name] = send(file, node)
            if answers[file_name] == "0000" and held(node, series_of(file), instance) != as_sent:
                wrong.append(file_name)
    return compare(answers, wrong, unsent, MISREAD)


def test_orthanc_sends_every_file():
    folder = workspace("interop-orthanc-store")
    orthanc = Orthanc(folder)
    peers = {}

    def send(file, to):
        """Uploads, has Orthanc send, and deletes, so that the next file of the same UID is taken."""
        name = type(to).__name__.lower()
        if peers.get(name) != to.port:
            orthanc.know(name, to.host, to.port)
            peers[name] = to.port
        try:
            instance = orthanc.add(file)
        except urllib.error.HTTPError:
            return None
        try:
            orthanc.ask(f"/modalities/{name}/store", {"Resources": [instance], "Synchronous": True})
            return "0000"
        except urllib.error.HTTPError as refused:
            return f"HTTP {refused.code}"
        finally:
            orthanc.ask(f"/instances/{instance}", method="DELETE")

    try:
        return rewritten("interop-orthanc", send)
    finally:
        orthanc.stop()
