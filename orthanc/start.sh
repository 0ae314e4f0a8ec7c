#!/usr/bin/env bash
# Starts Debian's Orthanc with orthanc.json in a folder, says where it listens, and stops it on exit.
#
# usage: start.sh FOLDER [--aet ORTHANC] [--dicom PORT] [--http PORT] [--node HOST:PORT] [--stable URL [--python]] [--remote]
#
# Prints one line when it answers: `ready dicom=<port> http=<port> pid=<pid>`. A port of 0 (the default) takes a free one.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
aet=ORTHANC dicom=0 http=0 node=127.0.0.1:11112 remote=false stable= python= lua= folder=

while [ $# -gt 0 ]; do
    case "$1" in
        --aet) aet="$2"; shift 2 ;;
        --dicom) dicom="$2"; shift 2 ;;
        --http) http="$2"; shift 2 ;;
        --node) node="$2"; shift 2 ;;
        --stable) export SAGITTAL_URL="$2"; stable=lua; shift 2 ;;
        --python) python=yes; shift ;;
        --remote) remote=true; shift ;;
        -*) echo "start.sh: unknown option $1" >&2; exit 2 ;;
        *) folder="$1"; shift ;;
    esac
done
[ -n "$folder" ] || { sed -n '4p' "$0" >&2; exit 2; }
orthanc="$(command -v Orthanc || echo /usr/sbin/Orthanc)"
[ -x "$orthanc" ] || { echo "start.sh: Orthanc is not installed (Debian: apt-get install orthanc)" >&2; exit 1; }
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"

free_port() { env -u PYTHONHOME python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
[ "$dicom" != 0 ] || dicom="$(free_port)"
[ "$http" != 0 ] || http="$(free_port)"

# Debian's package orthanc-dicomweb: STOW-RS, QIDO-RS and WADO-RS under /dicom-web/.
dicomweb=/usr/share/orthanc/plugins/libOrthancDicomWeb.so
[ ! -e "$dicomweb" ] || plugins="\"$dicomweb\""
# ... orthanc-python: what Lua cannot do, waiting for a node that is away.
script=
if [ -n "$stable" ] && [ -n "$python" ]; then
    plugin=/usr/share/orthanc/plugins/libOrthancPython.so
    [ -e "$plugin" ] || { echo "start.sh: the Python plugin is not installed (Debian: apt-get install orthanc-python)" >&2; exit 1; }
    plugins="${plugins:+$plugins, }\"$plugin\"" script="$here/stable_series.py"
    # The plugin's interpreter is the system's, whichever python3 comes first on the PATH.
    export PYTHONHOME=/usr
elif [ -n "$stable" ]; then
    lua="\"$here/stable-series.lua\""
fi

sed -e "s|@PLUGINS@|${plugins:-}|; s|@AET@|$aet|; s|@FOLDER@|$folder|; s|@DICOM_PORT@|$dicom|; s|@HTTP_PORT@|$http|; s|@REMOTE@|$remote|; s|@LUA@|$lua|; s|@PYTHON@|$script|" \
    -e "s|@NODE_HOST@|${node%:*}|; s|@NODE_PORT@|${node##*:}|" "$here/orthanc.json" >"$folder/orthanc.json"

# Without TCP_NODELAY Orthanc answers every C-STORE some 40 ms late.
TCP_NODELAY=1 "$orthanc" "$folder/orthanc.json" >"$folder/orthanc.log" 2>&1 &
pid=$!
trap 'kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null || true' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT

answers() {
    env -u PYTHONHOME python3 - "$http" <<'PY'
import sys, urllib.request
try:
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://127.0.0.1:{sys.argv[1]}/system", timeout=1)
except OSError:
    sys.exit(1)
PY
}
for _ in $(seq 150); do
    if answers; then
        echo "ready dicom=$dicom http=$http pid=$pid"
        wait "$pid"
        exit
    fi
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
done
echo "start.sh: Orthanc did not start; the end of $folder/orthanc.log:" >&2
tail -n 5 "$folder/orthanc.log" >&2
exit 1
