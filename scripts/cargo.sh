#!/usr/bin/env bash
# cargo, with the pinned cmake wheel in front of it where the machine has no cmake (the charls crate needs one).
source "$(dirname "$0")/env.sh"

command -v cargo >/dev/null || die "cargo is not on the PATH; install Rust 1.92 or newer"
if ! command -v cmake >/dev/null; then
    environment cmake "$ROOT/scripts/requirements-cmake.txt" --require-hashes --only-binary=:all:
    PATH="$ROOT/.venv/cmake/bin:$PATH"
    export PATH CMAKE="$ROOT/.venv/cmake/bin/cmake"
fi
cd "$ROOT"
exec cargo "$@"
