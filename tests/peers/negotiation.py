"""Association negotiation as pynetdicom asks for it (PS3.8 section 9.3, PS3.7 annex D)."""

import itertools

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from pynetdicom import build_context, build_role
from pynetdicom.pdu_primitives import (AsynchronousOperationsWindowNegotiation, SOPClassCommonExtendedNegotiation,
                                       SOPClassExtendedNegotiation, UserIdentityNegotiation)
from pynetdicom.presentation import AllStoragePresentationContexts

import phantom
import requestor
import settings
from requestor import released
from support import Node, Site

CT, MR, VERIFICATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.1"
# Storage of the pynetdicom release that is no storage of composite instances of a series, and so none of ours.
NOT_OURS = ("1.2.840.10008.5.1.4.38.1", "1.2.840.10008.5.1.4.39.1", "1.2.840.10008.5.1.4.43.1", "1.2.840.10008.5.1.4.44.1",
            "1.2.840.10008.5.1.4.45.1", "1.2.840.10008.5.1.4.1.1.200.1", "1.2.840.10008.5.1.4.1.1.200.3",
            "1.2.840.10008.5.1.4.1.1.200.7", "1.2.840.10008.5.1.4.1.1.201.1")


class Receiver(Site):
    """A node that runs nothing; `more` is appended to its node.toml, `secrets` are files beside it."""

    def build(self, more="", secrets=None):
        files = settings.files({}, [], {})
        files["node.toml"] += more
        self.node = self.keep(Node(self.folder / "node", {**files, **(secrets or {})}))

    def associate(self, contexts, items=(), **titles):
        return requestor.associate(self.node.host, self.node.port, contexts, items=items, **titles)

    def established(self, *arguments, **titles):
        association = self.associate(*arguments, **titles)
        assert association.is_established, f"rejected: {association.acceptor.primitive}"
        return association


def test_a_hundred_and_twenty_eight_contexts_are_answered_one_by_one():
    syntaxes = [[ImplicitVRLittleEndian], [ExplicitVRLittleEndian], [JPEGLosslessSV1], ["1.2.3.4"]]
    pairs = zip(itertools.cycle([CT, MR, "1.2.3.4.5"]), itertools.cycle(syntaxes))
    contexts = [build_context(*pair) for pair in itertools.islice(pairs, 128)]
    with Receiver("negotiation-128") as site:
        association = site.established(contexts)
        answered = association.accepted_contexts + association.rejected_contexts
        ids = sorted(c.context_id for c in answered)
        assert ids == list(range(1, 256, 2)), ids
        for context in answered:
            [proposed] = context.transfer_syntax if context.result == 0 else contexts[context.context_id // 2].transfer_syntax
            expected = 3 if context.abstract_syntax == "1.2.3.4.5" else 4 if proposed == "1.2.3.4" else 0
            assert context.result == expected, (context.context_id, context.abstract_syntax, proposed, context.result)
        released(association)


def test_every_storage_class_is_accepted_and_kept():
    classes = [c.abstract_syntax for c in AllStoragePresentationContexts if c.abstract_syntax not in NOT_OURS]
    with Receiver("negotiation-classes") as site:
        [file] = phantom.write(site.folder / "series", "classes", slices=1)
        dataset = pydicom.dcmread(file)
        stored = 0
        for part in (classes[at : at + 128] for at in range(0, len(classes), 128)):
            contexts = [build_context(c, ExplicitVRLittleEndian) for c in part]
            connect = lambda: site.established(contexts)
            association = connect()
            refused = [c.abstract_syntax.name for c in association.rejected_contexts]
            assert not refused, f"refused: {refused}"
            for sop_class in part:
                stored += 1
                dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
                dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.4.{stored}"
                dataset.SeriesInstanceUID = f"1.2.3.5.{stored}"
                association, status = requestor.response(association, connect, lambda to: to.send_c_store(dataset))
                assert status.Status == 0, (sop_class, status)
            released(association)
        others = site.established([build_context(c) for c in (VERIFICATION, *NOT_OURS)])
        results = [c.result for c in others.rejected_contexts]
        assert results == [3] * len(NOT_OURS), results
        released(others)
        return f"{stored} storage classes"


def test_the_operations_window_is_answered_with_one_operation():
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 16, 4
    with Receiver("negotiation-window") as site:
        association = site.established([build_context(CT)], [window])
        operations = association.acceptor.asynchronous_operations
        assert operations == (1, 1), operations
        released(association)


def test_roles_are_answered_and_extended_negotiation_passed_over():
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid, common.service_class_uid = CT, "1.2.840.10008.4.2"
    items = [build_role(CT, scu_role=True, scp_role=True), build_role(MR, scp_role=True), extended, common]
    with Receiver("negotiation-roles") as site:
        connect = lambda: site.established([build_context(CT), build_context(MR), build_context(VERIFICATION)], items)
        association = connect()
        roles = {uid: (role.scu_role, role.scp_role) for uid, role in association.acceptor.role_selection.items()}
        assert roles == {CT: (True, False), MR: (False, False)}, roles
        assert not association.acceptor.sop_class_extended, association.acceptor.sop_class_extended
        accepted = [c.abstract_syntax for c in association.accepted_contexts]
        assert accepted == [CT, VERIFICATION], accepted
        association, status = requestor.response(association, connect, lambda to: to.send_c_echo())
        assert status.Status == 0, status
        released(association)


def test_user_identities_are_verified_and_answered():
    users = '[receive.users]\namy = { password_file = "passcode" }\nbob = {}\n'
    with Receiver("negotiation-users", users, {"passcode": "open sesame\n"}) as site:
        def associated(kind, name, passcode=None, response=True):
            identity = UserIdentityNegotiation()
            identity.user_identity_type, identity.positive_response_requested = kind, response
            identity.primary_field = name.encode()
            if passcode is not None:
                identity.secondary_field = passcode.encode()
            association = site.associate([build_context(VERIFICATION)], [identity])
            if not association.is_established:
                return False
            answered = association.acceptor.user_identity is not None
            assert answered == response, f"{name}: asked for a response: {response}, got one: {answered}"
            released(association)
            return True

        for expected, *identity in (
            (True, 2, "amy", "open sesame"), (True, 2, "amy", "open sesame", False), (True, 1, "bob"),
            (False, 2, "amy", "open"), (False, 1, "amy"), (False, 1, "eve"), (False, 5, "token"),
        ):
            found = associated(*identity)
            assert found == expected, f"identity {identity}: let in: {found}"
        assert site.associate([build_context(VERIFICATION)]).is_rejected, "nobody said who they are"


def test_preference_profiles_and_private_classes_hold():
    more = ('[ae."CT-AI"]\nclasses = ["CT Image Storage"]\nprivate_classes = ["1.3.12.2.1107.5.9.1"]\n'
            'prefer = ["Explicit VR Little Endian"]\nallow = ["CT1"]\nverify_only = ["WATCHER"]\n')
    contexts = [build_context(c, [ImplicitVRLittleEndian, JPEGLosslessSV1, ExplicitVRLittleEndian])
                for c in (CT, MR, "1.3.12.2.1107.5.9.1")]
    contexts.append(build_context(VERIFICATION))
    with Receiver("negotiation-profile", more) as site:
        association = site.established(contexts, called="CT-AI", calling="CT1")
        accepted = {c.abstract_syntax: c.transfer_syntax[0] for c in association.accepted_contexts}
        assert accepted == {CT: ExplicitVRLittleEndian, "1.3.12.2.1107.5.9.1": ExplicitVRLittleEndian,
                            VERIFICATION: ExplicitVRLittleEndian}, accepted
        released(association)
        stranger = site.associate(contexts, called="CT-AI", calling="MR1")
        assert stranger.is_rejected, f"a sender that allow does not name was accepted: {stranger.accepted_contexts}"
        own = site.established(contexts)
        accepted = {c.abstract_syntax: c.transfer_syntax[0] for c in own.accepted_contexts}
        assert accepted[MR] == ImplicitVRLittleEndian, accepted
        released(own)
        watch = lambda: site.established(contexts, called="CT-AI", calling="WATCHER")
        watcher, status = requestor.response(watch(), watch, lambda to: to.send_c_echo())
        assert status.Status == 0, status
        [file] = phantom.write(site.folder / "series", "watched", slices=1)
        dataset = pydicom.dcmread(file)
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CT
        watcher, status = requestor.response(watcher, watch, lambda to: to.send_c_store(dataset))
        assert status.Status == 0x0124 and status.ErrorComment, status
        released(watcher)
