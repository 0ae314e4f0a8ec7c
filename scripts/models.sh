#!/usr/bin/env bash
# The demo's brain mask into models/deepbet/; the installer pins its wheel and its outputs, and is instant when they are there.
source "$(dirname "$0")/env.sh"

"$PYTHON" "$ROOT/scripts/models/install_deepbet.py" --models "$ROOT/models"
