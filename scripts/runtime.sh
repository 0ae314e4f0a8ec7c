#!/usr/bin/env bash
# ONNX Runtime's shared library into .runtime/, where `sagittal` looks for it.
source "$(dirname "$0")/env.sh"

pin="$ROOT/scripts/requirements-runtime.txt"
stamp="$RUNTIME/.stamp-$(digest "$pin")"
[ -e "$stamp" ] && exit 0

say "ONNX Runtime into .runtime/"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
wheel "$pin" "$work"
rm -f "$RUNTIME"/libonnxruntime* "$RUNTIME"/.stamp-*
unpack "$work"/onnxruntime-*.whl 'onnxruntime/capi/libonnxruntime*.so*' "$RUNTIME"
unpack "$work"/onnxruntime-*.whl 'onnxruntime/*LICENSE' "$RUNTIME"
touch "$stamp"
