"""What an administrator does with objects that the node refused and kept: `sagittal quarantine`."""

import json

import phantom
import wire
from interop import held, lone_node, series_of
from support import asset, run, workspace


def listed(node):
    return json.loads(node.command("quarantine", "list", "--json").stdout)


def test_an_object_without_a_uid_is_taken_when_the_data_set_is_believed():
    [file] = phantom.write(workspace("quarantine-phantom"), "quarantine", slices=1)
    sop_class, syntax, instance, data = wire.read_raw(file)
    with lone_node("quarantine-unnamed") as node:
        for announced in ("", "1.2.not-a-uid"):
            assert wire.store(node, sop_class, syntax, announced, data) == 0x0117
        assert wire.store(node, sop_class, syntax, "1.2.3", data) == 0xA900
        kept = {entry["sop_instance"]: entry for entry in listed(node)}
        assert set(kept) == {"", "1.2.not-a-uid", "1.2.3"}, kept
        for entry in kept.values():
            assert (entry["calling"], entry["called"], entry["sender"]) == ("WIRE", "SAGITTAL", "127.0.0.1"), entry
            assert entry["sop_class"] == sop_class and entry["transfer_syntax"] == syntax and entry["at"] > 0, entry
        assert [kept[name]["status"] for name in ("", "1.2.3")] == ["0117", "A900"], kept
        said = node.command("quarantine", "show", kept["1.2.3"]["name"]).stdout
        assert "A900" in said and "WIRE at 127.0.0.1" in said, said

        name = kept[""]["name"]
        refused = node.command("quarantine", "retry", name, check=False)
        assert refused.returncode == 1 and "SOPInstanceUID" in refused.stderr, refused
        assert len(listed(node)) == 3, "an object in the quarantine was quarantined again"
        assert "in vain" in node.command("quarantine", "show", name).stdout

        node.command("quarantine", "retry", "--trust-data-set", name)
        assert held(node, series_of(file), instance) == (syntax, data)
        assert {entry["sop_instance"] for entry in listed(node)} == {"1.2.not-a-uid", "1.2.3"}
        node.command("quarantine", "drop", *(entry["name"] for entry in listed(node)))
        assert listed(node) == [], listed(node)
        assert not list((node.folder / "data/spool/quarantine").glob("*.*")), "something was left behind"
        unknown = node.command("quarantine", "drop", "../../ledger.sqlite", check=False)
        assert unknown.returncode == 1 and "quarantine list" in unknown.stderr, unknown


def test_a_mended_object_is_taken_also_while_the_node_is_down():
    file = sorted(asset("data/ct_body_dicom").iterdir())[0]
    sop_class, syntax, _, data = wire.read_raw(file)
    with lone_node("quarantine-mended") as node:
        assert wire.store(node, sop_class, syntax, "1.2.3.4", data) == 0xC000
        [entry] = listed(node)
        node.stop()
        again = node.command("quarantine", "retry", entry["name"], check=False)
        assert again.returncode == 1, again.stdout + again.stderr
        uids = {"SOPClassUID": sop_class, "SOPInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3",
                "SeriesInstanceUID": "1.2.3.1"}
        options = [word for key, uid in uids.items() for word in ("-i", f"{key}={uid}")]
        run("dcmodify", "-nb", *options, node.folder / "data/spool/quarantine" / entry["name"])
        node.command("quarantine", "retry", entry["name"])
        assert listed(node) == [], listed(node)
        assert held(node, "1.2.3.1", "1.2.3.4")[0] == syntax
        node.start()


def test_notes_hold_no_patient_attribute():
    [file] = phantom.write(workspace("quarantine-private"), "private", slices=1)
    sop_class, syntax, _, data = wire.read_raw(file)
    values = [str(value) for value in (wire.pydicom.dcmread(file).PatientName, wire.pydicom.dcmread(file).PatientID)]
    with lone_node("quarantine-notes") as node:
        wire.store(node, sop_class, syntax, "", data)
        wire.store(node, sop_class, syntax, "1.2.3", data)
        notes = [note.read_text() for note in (node.folder / "data/spool/quarantine").glob("*.json")]
        said = node.command("quarantine", "list").stdout + node.log() + "".join(notes)
        assert len(notes) == 2 and all(values), (notes, values)
        leaked = [n for n, value in enumerate(values) if value in said]
        assert not leaked, f"values {leaked} of PatientName and PatientID"
