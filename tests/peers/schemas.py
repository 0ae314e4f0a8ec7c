"""The JSON Schemas of `config/schema/`, read by an independent validator, beside what the parser says of the same files.

Shipped files and sound golden ones validate; golden files with faults are refused, but for those whose faults no schema
can see: names of other files, contradictions, what stands on the disk."""

import datetime
import functools
import json
import re
import tomllib

import jsonschema

from support import ROOT

SCHEMAS = ROOT / "config/schema"
GOLDEN = ROOT / "tests/golden"
# Faulty by meaning alone: the shape is right.
SOUND_SHAPES = {
    "config/node-open-to-all/node.toml",
    "config/rules-notify/node.toml",
    "models/cascade/model.toml",
    "models/label-set/model.toml",
    "models/metadata/model.toml",
}


def test_the_schemas_are_schemas():
    names = sorted(path.stem for path in SCHEMAS.glob("*.json"))
    assert names == ["destinations", "model", "node", "pipelines", "rules", "rules.test"], names
    for name in names:
        jsonschema.Draft7Validator.check_schema(validator(name).schema)


def test_shipped_files_name_their_schema_and_fit_it():
    files = shipped()
    assert len(files) >= 14, files
    for path in files:
        text = path.read_text()
        directive = re.match(r"#:schema (\S+)\n", text)
        assert directive, f"{path}: no #:schema in its first line"
        assert (path.parent / directive[1]).resolve() == SCHEMAS / f"{path.stem}.json", f"{path}: {directive[1]}"
        assert not complaints(path.stem, text), f"{path}: {complaints(path.stem, text)}"
    return f"{len(files)} files"


def test_golden_files_are_refused_where_the_parser_refuses_their_shape():
    refused, fit = [], []
    for path in sorted(GOLDEN.glob("config/*/*.toml")) + sorted(GOLDEN.glob("models/*/*.toml")):
        name, text = str(path.relative_to(GOLDEN)), path.read_text()
        try:
            found = complaints(path.stem, text)
        except tomllib.TOMLDecodeError:
            continue
        faulty = "# fault: " in text and name not in SOUND_SHAPES
        assert bool(found) == faulty, f"{name}: {found or 'fits the schema'}"
        (refused if faulty else fit).append(name)
    assert len(refused) >= 40 and len(fit) >= 10, (refused, fit)
    return f"{len(refused)} refused, {len(fit)} fit"


def shipped():
    """Every configuration file that comes with the node or with a model."""
    return sorted(ROOT.glob("config/**/*.toml")) + sorted(ROOT.glob("models/*/model.toml"))


def complaints(name, text):
    """What the schema `name` says against a TOML text, each with its place."""
    errors = validator(name).iter_errors(plain(tomllib.loads(text)))
    return [f"{'.'.join(map(str, error.absolute_path)) or 'the file'}: {error.message[:200]}" for error in errors]


@functools.cache
def validator(name):
    return jsonschema.Draft7Validator(json.loads((SCHEMAS / f"{name}.json").read_text()))


def plain(value):
    """Dates and times are texts in JSON."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else value
