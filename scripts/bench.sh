#!/usr/bin/env bash
# Every comparison under benches/, the peer beside Sagittal in one run; tables here, JSON in target/bench/.
source "$(dirname "$0")/env.sh"

"$ROOT/scripts/runtime.sh"
"$ROOT/scripts/peers.sh"
environment bench "$ROOT/benches/requirements.txt" --only-binary=:all:
"$ROOT/scripts/cargo.sh" build --release --bin sagittal --example storeload --example storefloor --example resultload
for bench in ${BENCH:-receive e2e results}; do
    "$ROOT/.venv/peers/bin/python" "$ROOT/benches/$bench.py"
done
