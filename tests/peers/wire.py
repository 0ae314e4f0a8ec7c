"""A C-STORE SCU that sends bytes as they are, valid or not (PS3.8 section 9.3, PS3.7 section 9.3.1).

DCMTK's storescu repairs or refuses odd files before they reach the network; this one does neither.
"""

import contextlib
import socket
import struct

import pydicom
from pydicom.filereader import _read_file_meta_info, read_preamble

SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
COMMAND, LAST = 1, 2


def read_raw(path):
    """(SOP class, transfer syntax, SOP instance, bytes of the data set) of a file, by what can be read of it."""
    with open(path, "rb") as file:
        read_preamble(file, force=True)
        meta = _read_file_meta_info(file)
        data = file.read()
    loose = pydicom.dcmread(path, force=True, stop_before_pixels=True)
    syntax = meta.get("TransferSyntaxUID") or (IMPLICIT if loose.original_encoding[0] else EXPLICIT)
    return str(loose.get("SOPClassUID") or SECONDARY_CAPTURE), str(syntax), str(loose.get("SOPInstanceUID") or ""), data


def is_part10(path):
    """Whether the file has what a Part 10 file must have: the prefix and the three UIDs of its meta information."""
    with open(path, "rb") as file:
        if not read_preamble(file, force=True):
            return False
        meta = _read_file_meta_info(file)
    return all(meta.get(key) for key in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID"))


def store(node, sop_class, syntax, instance, data):
    """The status of one C-STORE, or the reason why there is none: `rejected`, `aborted`, `context refused`."""
    with contextlib.closing(connect(node)) as peer:
        if refused := associate(peer, sop_class, syntax):
            return refused
        peer.sendall(p_data(COMMAND | LAST, store_request(sop_class, instance)))
        parts = [data[i : i + 16000] for i in range(0, len(data), 16000)] or [b""]
        with contextlib.suppress(ConnectionError):
            for n, part in enumerate(parts):
                peer.sendall(p_data(LAST if n + 1 == len(parts) else 0, part))
        kind, answer = read_pdu(peer)
        if kind != 4:
            return "aborted"
        with contextlib.suppress(ConnectionError):
            peer.sendall(struct.pack(">BBII", 5, 0, 4, 0))
            # with the release answered, the ledger has its rows
            read_pdu(peer)
        return int.from_bytes(element(answer[6:], 0x0900), "little")


def store_half(node, sop_class, syntax, instance, data):
    """A C-STORE whose peer hangs up in the middle of the data set."""
    with contextlib.closing(connect(node)) as peer:
        refused = associate(peer, sop_class, syntax)
        assert not refused, refused
        peer.sendall(p_data(COMMAND | LAST, store_request(sop_class, instance)))
        peer.sendall(p_data(0, data[: len(data) // 2]))


def connect(node):
    peer = socket.create_connection((node.host, node.port), timeout=300)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def associate(peer, sop_class, syntax):
    """Why there is no association with an accepted context, or nothing."""
    peer.sendall(associate_request(sop_class, syntax))
    kind, answer = read_pdu(peer)
    if kind != 2:
        return "rejected"
    return "" if context_accepted(answer) else "context refused"


def store_request(sop_class, instance):
    pad = lambda uid: uid.encode() + b"\0" * (len(uid) % 2)
    field = lambda tag, value: struct.pack("<HHI", 0, tag, len(value)) + value
    number = lambda value: struct.pack("<H", value)
    body = (field(0x0002, pad(sop_class)) + field(0x0100, number(1)) + field(0x0110, number(7)) + field(0x0700, number(0))
            + field(0x0800, number(0)) + field(0x1000, pad(instance)))
    return field(0, struct.pack("<I", len(body))) + body


def element(command, wanted):
    """The value of 0000,`wanted` in a command set."""
    while command:
        _, tag, length = struct.unpack("<HHI", command[:8])
        if tag == wanted:
            return command[8 : 8 + length]
        command = command[8 + length :]
    raise AssertionError(f"no element 0000,{wanted:04x} in the answer")


def associate_request(sop_class, syntax, called=b"SAGITTAL", calling=b"WIRE"):
    context = item(0x20, b"\1\0\0\0" + item(0x30, sop_class.encode()) + item(0x40, syntax.encode()))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH", 1, 0) + called.ljust(16) + calling.ljust(16) + b"\0" * 32
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return struct.pack(">BBI", 1, 0, len(body)) + body


def item(kind, value):
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context_accepted(answer):
    """Whether the A-ASSOCIATE-AC accepts its one presentation context."""
    rest = answer[68:]
    while rest:
        kind, _, length = struct.unpack(">BBH", rest[:4])
        if kind == 0x21:
            return rest[6] == 0
        rest = rest[4 + length :]
    return False


def p_data(flags, fragment):
    """One P-DATA-TF of one PDV in context 1."""
    value = struct.pack(">IBB", len(fragment) + 2, 1, flags) + fragment
    return struct.pack(">BBI", 4, 0, len(value)) + value


def read_pdu(peer):
    """(type, body); type 7, an abort, where the peer just hangs up or says nothing for too long."""
    try:
        head = exactly(peer, 6)
        return head[0], exactly(peer, int.from_bytes(head[2:], "big"))
    except (ConnectionError, TimeoutError):
        return 7, b""


def exactly(peer, count):
    data = b""
    while len(data) < count:
        part = peer.recv(count - len(data))
        if not part:
            raise ConnectionError("the peer hung up")
        data += part
    return data
