#!/usr/bin/env bash
# The software that the black-box suites talk to: DCMTK, Orthanc and poppler from Debian, the Python readers and validators,
# Node's; and the fonts of reports.
source "$(dirname "$0")/env.sh"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

missing=()
command -v storescu >/dev/null || missing+=(dcmtk)
command -v Orthanc >/dev/null || [ -x /usr/sbin/Orthanc ] || missing+=(orthanc)
[ -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so ] || missing+=(orthanc-dicomweb)
[ -e /usr/share/orthanc/plugins/libOrthancPython.so ] || missing+=(orthanc-python)
command -v openssl >/dev/null || missing+=(openssl)
command -v docker-compose >/dev/null || missing+=(docker-compose)
command -v zstd >/dev/null || missing+=(zstd)
command -v plastimatch >/dev/null || missing+=(plastimatch)
command -v pdftotext >/dev/null || missing+=(poppler-utils)
command -v qpdf >/dev/null || missing+=(qpdf)
[ -e /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf ] || missing+=(fonts-noto-core)
[ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || missing+=(fonts-noto-cjk)
if [ ${#missing[@]} -gt 0 ]; then
    say "Installing ${missing[*]}"
    command -v apt-get >/dev/null || die "the suites need ${missing[*]}; there is no apt-get here to install them"
    # RUNLEVEL=1 keeps Debian's package from starting its own Orthanc.
    install=(env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq -y --no-install-recommends install "${missing[@]}")
    as_root "${install[@]}" >/dev/null 2>&1 ||
        { as_root apt-get -qq update && as_root "${install[@]}"; } >/dev/null ||
        die "apt-get could not install ${missing[*]}; install them as root and run again"
fi
environment peers "$ROOT/tests/peers/requirements.txt" --only-binary=:all:
environment structures "$ROOT/tests/peers/requirements-structures.txt" --only-binary=:all: \
    --no-binary=dcmrtstruct2nii --no-deps

if ! command -v npm >/dev/null; then
    environment node "$ROOT/tests/peers/requirements-node.txt" --only-binary=:all:
    PATH="$ROOT/.venv/node/bin:$PATH"
fi

# The code with which OHIF reads a SEG, bundled for Node.
cornerstone() {
    local sources="$ROOT/tests/peers/cornerstone" folder="$ROOT/.venv/cornerstone" stamp
    stamp="$folder/.stamp-$(digest "$sources"/*)"
    [ -e "$stamp" ] && return
    say "Cornerstone adapters: $folder"
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$sources"/* "$folder"
    npm ci --prefix "$folder" --silent --no-audit --no-fund --ignore-scripts >/dev/null ||
        die "npm could not install what $sources/package-lock.json pins"
    "$folder/node_modules/.bin/esbuild" "$folder/read.mjs" --bundle --format=cjs --platform=node --main-fields=module,main \
        --loader:.wasm=file --outfile="$folder/read.cjs" --log-level=error
    ln -s "$(command -v node)" "$folder/node"
    touch "$stamp"
}
cornerstone
