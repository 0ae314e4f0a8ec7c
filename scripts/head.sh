#!/usr/bin/env bash
# The demo's head into .demo/: Colin 27 out of Debian's mricron-data, or, where there is no apt, the MNI template
# of the nilearn wheel. No root needed. What is unpacked is compared with the hash of the image that was tried.
source "$(dirname "$0")/env.sh"

COLIN=707a360b809ba937f6c007231bcf7dc6e2d33657497b254414c9894b6efa5f8c
MNI=eeb8a792a93948c83462305c71db783800e95eb3f6ce35975a4dd0f374f79bff
demo="$ROOT/.demo"
image="$demo/head.nii.gz"

holds() { [ -e "$1" ] && [ "$(gzip -dc "$1" | sha256sum | cut -d' ' -f1)" = "$2" ]; }

take() { # FILE SHA NAME
    holds "$1" "$2" || return 1
    mkdir -p "$demo"
    mv "$1" "$image"
    printf '%s\n' "$3" >"$demo/head.txt"
}

# apt-get without root: first with the machine's package lists, then with private ones.
debian() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    local own=(-o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=)
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    cd "$work"
    apt-get -qq download mricron-data >/dev/null 2>&1 ||
        { apt-get -qq "${own[@]}" update && apt-get -qq "${own[@]}" download mricron-data; } >/dev/null 2>&1 || return 1
    dpkg-deb -x mricron-data_*.deb package
    take package/usr/share/mricron/templates/ch2.nii.gz "$COLIN" "T1 3D head (Colin 27)"
}

template() {
    wheel "$ROOT/scripts/requirements-template.txt" "$work"
    unpack "$work"/nilearn-*.whl '*/mni_icbm152_t1_tal_*.nii.gz' "$work/template"
    take "$work"/template/mni_*.nii.gz "$MNI" "T1 3D head (MNI 152)"
}

if [ -e "$demo/head.txt" ] && { holds "$image" "$COLIN" || holds "$image" "$MNI"; }; then exit 0; fi
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
say "A head for the demo into .demo/"
(debian) || { say "  no apt, or its mricron-data is another one: taking the template of the nilearn wheel"; template; } ||
    die "neither apt (package mricron-data) nor pip (wheel nilearn) gave the demo's head"
