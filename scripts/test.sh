#!/usr/bin/env bash
# `make test`: all that CI runs. Each section is announced; the first that fails ends the run.
source "$(dirname "$0")/env.sh"

section() { printf '\n=== %s (%s s) ===\n' "$*" "$SECONDS"; }

section "tools: ONNX Runtime, the demo's model, DCMTK, Orthanc, Python readers, Cornerstone"
"$ROOT/scripts/runtime.sh"
"$ROOT/scripts/models.sh"
"$ROOT/scripts/peers.sh"

section "format"
"$ROOT/scripts/cargo.sh" fmt --check

section "build"
"$ROOT/scripts/cargo.sh" build --all-targets

section "cargo test: library, integration, documentation"
"$ROOT/scripts/cargo.sh" test

section "peers: Orthanc, DCMTK, dciodvfy, dcmqi, highdicom"
SAGITTAL_BIN="${SAGITTAL_BIN:-$ROOT/target/debug/sagittal}" "$ROOT/.venv/peers/bin/python" "$ROOT/tests/peers/run.py"

section "done"
