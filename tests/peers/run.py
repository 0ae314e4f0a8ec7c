#!/usr/bin/env python3
"""Runs the black-box suites: every function `test_*` of the modules below.

usage: run.py [WORD ...]      only tests whose `module.name` holds one of the words

Ends with `N passed, N failed, N skipped`; exits 1 when a test failed.
"""

import importlib
import sys
import time
import traceback

from support import BIN, Skipped

MODULES = [
    "audit", "bad_input", "commitment", "dcmtk", "deploy", "destinations", "disk", "duplicates", "e2e_orthanc", "fetch", "interop",
    "kill", "negotiation", "notices", "observe", "placeholders", "quarantine", "quota", "recipes", "schemas", "stow", "study", "tls",
]


def main():
    if not BIN.exists():
        sys.exit(f"error: {BIN} is missing; build it (cargo build) or name another with SAGITTAL_BIN")
    count = {"passed": 0, "failed": 0, "skipped": 0}
    for name, test in tests(sys.argv[1:]):
        start = time.monotonic()
        outcome, detail = outcome_of(test)
        count[outcome] += 1
        print(f"{outcome:>8}  {name}  {time.monotonic() - start:.1f} s", flush=True)
        if detail:
            print("\n".join(f"          {line}" for line in detail.splitlines()), flush=True)
    if count["skipped"]:
        print(f"\nWARNING: {count['skipped']} tests were SKIPPED, see above: they prove nothing here.")
    print(f"\n{count['passed']} passed, {count['failed']} failed, {count['skipped']} skipped")
    return 1 if count["failed"] else 0


def tests(words):
    for module in map(importlib.import_module, MODULES):
        for name, test in list(vars(module).items()):
            full = f"{module.__name__}.{name}"
            if name.startswith("test_") and (not words or any(word in full for word in words)):
                yield full, test


def outcome_of(test):
    try:
        note = test()
        return "passed", note or ""
    except Skipped as reason:
        return "skipped", f"SKIPPED: {reason}"
    except Exception:
        return "failed", traceback.format_exc()


if __name__ == "__main__":
    sys.exit(main())
