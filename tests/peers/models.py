"""The model folder of the suites: a network that fits in a line, and the real ones where the assets are."""

import functools
import hashlib
import shutil
import struct
import sys

from support import ASSETS, ROOT, run

sys.path.insert(0, str(ROOT / "scripts/models"))
from onnx_writer import Graph  # noqa: E402

THRESHOLD = """\
id = "{id}"
name = "Threshold at half"
version = "1"
kind = "volume"
manufacturer = "Sagittal tests"
licence = "Apache-2.0"
source = "made by tests/peers/models.py"
install = "tests/peers/models.py"
memory_mb = 10

[input]
modality = ["MR"]
expects = "a bright ball"
{channels}
[[stage]]
name = "threshold"
file = "threshold.onnx"
sha256 = ["{digest}"]
input = "input"
output = "logits"
grid = {{ kind = "resize", axes = "LPS", size = 32 }}
intensity = [{{ step = "min_max" }}]
decide = {{ kind = "argmax", classes = 2 }}

[[label]]
value = 1
name = "Ball"
code = {{ value = "12738006", scheme = "SCT", meaning = "Brain" }}
color = [200, 60, 60]
"""


@functools.cache
def folder():
    """target/peers/models, made anew once a run."""
    models = ROOT / "target/peers/models"
    shutil.rmtree(models, ignore_errors=True)
    write_threshold(models / "threshold")
    write_threshold(models / "second-of-three", ["t2", "adc", "dwi"], seen=1)
    if ASSETS.exists():
        for manifest in (ROOT / "models").glob("*/model.toml"):
            (models / manifest.parent.name).mkdir()
            shutil.copy(manifest, models / manifest.parent.name)
        run("sh", ROOT / "scripts/models/install_assets.sh", ASSETS, models)
    return models


def write_threshold(package, channels=(), seen=0, at=0.5):
    """Two channels out of one that goes in: half minus the voxel, the voxel minus half; argmax says which is brighter than
    half. `channels`: the names of several series that go in, of which number `seen` is looked at. `at`: instead of half."""
    graph, count = Graph(package.name), max(1, len(channels))
    weights = [[sign * (channel == seen) for channel in range(count)] for sign in (-1, 1)]
    weight = graph.weight("weight", [2, count, 1, 1, 1], struct.pack(f"<{2 * count}f", *sum(weights, [])))
    bias = graph.weight("bias", [2], struct.pack("<2f", at, -at))
    graph.node("Conv", ["input", weight, bias], output="logits", kernel_shape=[1, 1, 1])
    network = graph.encode([("input", [1, count, "d", "h", "w"])], [("logits", [1, 2, "d", "h", "w"])])
    package.mkdir(parents=True)
    (package / "threshold.onnx").write_bytes(network)
    tables = "".join(f'[[channel]]\nname = "{name}"\n' for name in channels)
    digest = hashlib.sha256(network).hexdigest()
    (package / "model.toml").write_text(THRESHOLD.format(id=package.name, digest=digest, channels=tables))
