#!/usr/bin/env bash
# `make demo`: everything it fetches is pinned by hash; no server and no private file is needed.
source "$(dirname "$0")/env.sh"

"$ROOT/scripts/runtime.sh"
"$ROOT/scripts/models.sh"
"$ROOT/scripts/head.sh"
say "Building sagittal"
"$ROOT/scripts/cargo.sh" build --release --quiet
cd "$ROOT"
keep=()
[ -n "${KEEP:-}" ] && [ "${KEEP:-}" != 0 ] && keep=(--keep)
exec target/release/sagittal demo --head .demo/head.nii.gz --description "$(cat .demo/head.txt)" --models models --out demo-out ${keep[@]+"${keep[@]}"}
