"""The configuration folders of the suites: short quiet times, port 0, destinations of the test's own."""

import json

import models

NODE = """\
[node]
ae_title = "SAGITTAL"
data = "../data"
models = {models}

[receive]
listen = "127.0.0.1:0"
reserve = "0 B"

[completion]
quiet = "{silence}"
quiet_after_release = "{quiet}"

[jobs]
lease = "60 s"
max_attempts = 200

[inference]
threads = 2
"""


def files(pipelines, rules, destinations, quiet="1 s", silence="10 s", model_folder=None,
          more=None):
    """Texts of the four files. `pipelines`: name -> model id; `destinations`: name -> table;
    `rules`: list of (name, conditions, pipeline), each sent to every destination. `quiet`: after a release; `silence`: without
    one, long enough that a busy machine does not end a series in its middle. `model_folder`: instead of the suites'.
    `more`: further keys of every pipeline."""
    model_folder = json.dumps(str(model_folder or models.folder()))
    return {
        "node.toml": NODE.format(models=model_folder, quiet=quiet, silence=silence),
        "destinations.toml": "\n".join(table(f"destination.{name}", values) for name, values in destinations.items()),
        "pipelines.toml": "\n".join(
            table(f"pipeline.{name}", {"models": [model], "description": name, **(more or {})}) for name, model in pipelines.items()
        ),
        "rules.toml": "\n".join(rule(*row, list(destinations)) for row in rules),
    }


def rule(name, conditions, pipeline, destinations):
    values = {"name": name, "pipeline": pipeline, "send_to": destinations}
    when = {f"when.{key}": value for key, value in conditions.items()}
    return table("[rule]", values | when)


def table(name, values):
    return f"[{name}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())


def toml(value):
    """Texts, numbers, lists and inline tables as TOML writes them."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(v)}" for key, v in value.items()) + " }"
    return json.dumps(value)


def dicom(orthanc):
    """A destination by C-STORE, confirmed by a query."""
    return {"kind": "dicom", "host": "127.0.0.1", "port": orthanc.dicom, "ae_title": orthanc.aet, "confirm": "query",
            "backoff_cap": "1 s", "timeout": "120 s"}


def rest(orthanc):
    """A destination by Orthanc's REST interface."""
    return {"kind": "orthanc", "url": orthanc.url, "backoff_cap": "1 s", "timeout": "120 s"}
