#!/bin/sh
# Copies the MeshNet networks (and deepbet's, where models/deepbet has none) from an assets folder into models/<id>/.
# usage: install_assets.sh <assets dir> [models dir]
set -eu

assets=${1:?usage: install_assets.sh <assets dir> [models dir]}
models=${2:-$(dirname "$0")/../../models}

put() { # <model id> <file below assets/models> ...
    id=$1
    shift
    mkdir -p "$models/$id"
    for file in "$@"; do
        source="$assets/models/$file"
        target="$models/$id/$(basename "$file")"
        [ -f "$source" ] || { echo "install_assets.sh: $source is missing" >&2; exit 1; }
        [ -f "$target" ] || { cp "$source" "$target.part" && chmod 644 "$target.part" && mv "$target.part" "$target"; }
    done
    echo "installed $models/$id"
}

small=meshnet/meshnet_model5_gw_ae.onnx
put meshnet-gwm $small
put meshnet-gwm-large meshnet/meshnet_model11_gw_ae.onnx
put meshnet-18 $small meshnet/meshnet_model18cls.onnx
put meshnet-18-large $small meshnet/meshnet_model30chan18cls.onnx
put deepbet deepbet/deepbet_bbox_model.onnx deepbet/deepbet_model.onnx
