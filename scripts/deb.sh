#!/usr/bin/env bash
# A Debian package of the built program into target/deb/: `make deb`, then `apt install ./target/deb/sagittal_*.deb`.
source "$(dirname "$0")/env.sh"

bin="${BIN:-$ROOT/target/release/sagittal}"
out="${OUT:-$ROOT/target/deb}"
command -v dpkg-deb >/dev/null || die "dpkg-deb is missing; packages are made on Debian or Ubuntu"
version="$("$bin" --version | cut -d' ' -f2)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
DESTDIR="$work" BIN="$bin" "$ROOT/scripts/install.sh"
# dpkg asks an administrator about every changed conffile; *.new files are for those without dpkg.
find "$work" -name '*.new' -delete
install -d "$work/DEBIAN"
(cd "$work" && find etc -type f ! -path 'etc/sagittal/schema/*' | sed 's|^|/|' | sort) >"$work/DEBIAN/conffiles"
cat >"$work/DEBIAN/control" <<CONTROL
Package: sagittal
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: the Sagittal project <sagittal@localhost>
Installed-Size: $(du -sk "$work" | cut -f1)
Depends: libc6, libgcc-s1, libstdc++6, passwd, fonts-noto-core, fonts-noto-cjk
Recommends: ca-certificates
Section: science
Priority: optional
Description: DICOM node that routes finished series to AI models
 Receives studies by C-STORE, runs ONNX models by rules and returns the results
 to the PACS as DICOM objects. Research software, not a medical device.
CONTROL
cat >"$work/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    getent passwd sagittal >/dev/null || useradd --system --home-dir /var/lib/sagittal --shell /usr/sbin/nologin sagittal
    install -d -o sagittal -g sagittal -m 750 /var/lib/sagittal
    if [ -d /run/systemd/system ]; then
        systemctl daemon-reload
        # an upgrade starts the new program; a first installation waits for its configuration
        [ -z "$2" ] || systemctl try-restart sagittal.service
    fi
fi
SCRIPT
cat >"$work/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop sagittal.service; fi
SCRIPT
chmod 755 "$work/DEBIAN/postinst" "$work/DEBIAN/prerm"
mkdir -p "$out"
dpkg-deb -Z"${COMPRESS:-xz}" --root-owner-group --build "$work" "$out" >/dev/null
say "$(ls "$out"/sagittal_"$version"_*.deb)"
