"""Checks the terminology of models/terminology with pydicom's concept dictionaries, which are made from PS3.16.

usage: check_terminology.py FILE.toml...

A code that the dictionaries have must have a meaning that they give it (upper and lower case apart). A code that they do not
have must be one of BEYOND, with its source; and every one of BEYOND must be in use, and still be unknown to them.
Exit 0, or 1 and the faults on stdout."""

import sys
import tomllib
from pathlib import Path

from pydicom.sr._concepts_dict import concepts

TOTALSEGMENTATOR = "SNOMED CT mapping of TotalSegmentator"
SNOMED = "SNOMED CT, clinical findings"
BEYOND = {
    ("SCT", "65985001"): TOTALSEGMENTATOR,  # S1 vertebra
    ("SCT", "110765007"): TOTALSEGMENTATOR,  # portal and splenic vein
    ("SCT", "181674001"): TOTALSEGMENTATOR,  # gluteal muscles
    ("SCT", "78333006"): TOTALSEGMENTATOR,
    ("SCT", "75297007"): TOTALSEGMENTATOR,
    ("SCT", "244849004"): TOTALSEGMENTATOR,  # deep muscle of back
    ("SCT", "68455001"): TOTALSEGMENTATOR,  # iliopsoas
    **{
        ("SCT", rib): TOTALSEGMENTATOR
        for rib in (
            "48535007 78247007 25888004 25523003 15339008 59558009 24915002 5953002 22565002 77644006 58830002 43993008"
        ).split()
    },
    ("SCT", "360499006"): SNOMED,  # intervertebral disc
    ("SCT", "46621007"): SNOMED,
    ("SCT", "8186001"): SNOMED,
    ("SCT", "233604007"): SNOMED,
    ("SCT", "95436008"): SNOMED,
    ("SCT", "87433001"): SNOMED,
    ("SCT", "51615001"): SNOMED,
    ("SCT", "414403008"): SNOMED,
    ("SCT", "125605004"): SNOMED,
    ("99SAGITTAL", "PLEURAL-THICKEN"): "our own: no public code is known",
}


def known():
    meanings = {}
    for scheme, by_keyword in concepts.items():
        for by_value in by_keyword.values():
            for value, (meaning, _) in by_value.items():
                meanings.setdefault((scheme, value), set()).add(meaning.lower())
    return meanings


def codes(value):
    """Every code of a table, however deep."""
    if isinstance(value, dict):
        if set(value) == {"value", "scheme", "meaning"}:
            yield value
        else:
            for inner in value.values():
                yield from codes(inner)


def main():
    meanings, used, faults, count = known(), set(), [], 0
    for path in sys.argv[1:]:
        for code in codes(tomllib.loads(Path(path).read_text())):
            key = (code["scheme"], code["value"])
            used.add(key)
            count += 1
            if key in meanings and code["meaning"].lower() not in meanings[key]:
                faults.append(f"{key}: {code['meaning']!r}, but {sorted(meanings[key])}")
            if key not in meanings and key not in BEYOND:
                faults.append(f"{key} {code['meaning']!r}: in no dictionary, and no source is given")
    for key in BEYOND:
        if key not in used:
            faults.append(f"{key}: not in use any more")
        if key in meanings:
            faults.append(f"{key}: in the dictionaries now; take it off the list")
    print("\n".join(faults) or f"{count} codes, {len(used)} of them different, {len(used & set(meanings))} in the dictionaries")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
