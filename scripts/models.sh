#!/usr/bin/env bash
# The demo's model package: deepbet's weights (MIT) out of its wheel, written as ONNX.
source "$(dirname "$0")/env.sh"

pin="$ROOT/scripts/requirements-weights.txt"
installer="$ROOT/scripts/models/install_deepbet.py"
stamp="$RUNTIME/.deepbet-$(digest "$pin" "$installer")"
[ -e "$stamp" ] && [ -e "$ROOT/models/deepbet/model.toml" ] && exit 0

say "The brain mask model into models/deepbet/"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
wheel "$pin" "$work"
environment convert "$ROOT/scripts/requirements-convert.txt" --require-hashes --only-binary=:all:
"$ROOT/.venv/convert/bin/python" "$installer" "$work"/deepbet-*.whl "$ROOT/models/deepbet"
mkdir -p "$RUNTIME"
rm -f "$RUNTIME"/.deepbet-*
touch "$stamp"
