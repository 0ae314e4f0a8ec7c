"""Writes ONNX graphs (the protobuf of onnx.proto3) with the standard library alone.

The bytes depend on nothing but the graph, so a converted model has one SHA-256 on every machine.
"""

import struct

FLOAT, IR_VERSION, OPSET = 1, 9, 18


def _varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number, value):
    """One protobuf field: int -> varint, float -> fixed32, str or bytes -> length-delimited."""
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _attribute(name, value):
    body = field(1, name)
    if isinstance(value, float):
        return body + field(2, value) + field(20, 1)
    if isinstance(value, int):
        return body + field(3, value) + field(20, 2)
    return body + b"".join(field(8, v) for v in value) + field(20, 7)


def _tensor(name, shape, data):
    return b"".join(field(1, d) for d in shape) + field(2, FLOAT) + field(8, name) + field(9, data)


def _value_info(name, shape):
    dims = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, dims)))


class Graph:
    """Collects nodes and weights; `encode` gives the model file. Dimensions are numbers or names."""

    def __init__(self, name):
        self.name, self.nodes, self.weights, self.count = name, [], {}, 0

    def weight(self, name, shape, data):
        self.weights.setdefault(name, (tuple(shape), data))
        return name

    def node(self, operator, inputs, output=None, **attributes):
        self.count += 1
        output = output or f"t{self.count}"
        body = b"".join(field(1, i) for i in inputs) + field(2, output)
        body += field(3, f"n{self.count}") + field(4, operator)
        self.nodes.append(body + b"".join(field(5, _attribute(k, v)) for k, v in attributes.items()))
        return output

    def encode(self, inputs, outputs):
        graph = b"".join(field(1, n) for n in self.nodes) + field(2, self.name)
        graph += b"".join(field(5, _tensor(n, *w)) for n, w in self.weights.items())
        graph += b"".join(field(11, _value_info(*i)) for i in inputs)
        graph += b"".join(field(12, _value_info(*o)) for o in outputs)
        return field(1, IR_VERSION) + field(2, "sagittal") + field(7, graph) + field(8, field(1, "") + field(2, OPSET))
