#!/usr/bin/env bash
# Installs the built program on this machine, or below DESTDIR for a package.
#
# usage: [DESTDIR=/somewhere] [BIN=target/release/sagittal] scripts/install.sh
#
# What lies in /etc/sagittal stays as it is; new shipped files are put beside it as *.new.
source "$(dirname "$0")/env.sh"

dest="${DESTDIR:-}"
bin="${BIN:-$ROOT/target/release/sagittal}"
[ -x "$bin" ] || die "$bin is missing; build it first: scripts/cargo.sh build --release"
[ -n "$dest" ] || [ "$(id -u)" = 0 ] || die "installing into the system needs root; or set DESTDIR"
"$ROOT/scripts/runtime.sh"

lib="$dest/usr/lib/sagittal" etc="$dest/etc/sagittal" doc="$dest/usr/share/doc/sagittal"
install -d "$lib" "$etc/schema" "$doc" "$dest/usr/bin" "$dest/lib/systemd/system" "$dest/usr/share/sagittal/models" \
    "$dest/usr/share/sagittal/orthanc"
install -m 755 "$bin" "$lib/sagittal"
# The library is looked for beside the program.
install -m 644 "$RUNTIME"/libonnxruntime*.so* "$lib/"
ln -sfn ../lib/sagittal/sagittal "$dest/usr/bin/sagittal"
install -m 644 "$ROOT/packaging/sagittal.service" "$dest/lib/systemd/system/sagittal.service"
install -m 644 "$ROOT/LICENSE" "$ROOT/README.md" "$ROOT/CHANGELOG.md" "$ROOT/conformance-statement.md" "$ROOT"/docs/*.md "$doc/"
install -m 644 "$ROOT"/orthanc/*.lua "$ROOT"/orthanc/*.py "$ROOT/orthanc/orthanc.json" "$dest/usr/share/sagittal/orthanc/"
install -m 644 "$ROOT"/config/schema/*.json "$etc/schema/"
[ ! -d "$ROOT/models/deepbet" ] || cp -r "$ROOT/models/deepbet" "$dest/usr/share/sagittal/models/"

place() { # FILE: the shipped text, with the installed folders
    local to="$etc/$1" text
    text="$(sed -e 's|^data = "../data"|data = "/var/lib/sagittal"|; s|^models = "../models"|models = "/usr/share/sagittal/models"|' \
        -e 's|"../data/|"/var/lib/sagittal/|' "$ROOT/config/$1")"
    if [ -e "$to" ] && [ "$(cat "$to")" != "$text" ]; then
        to="$to.new"
        say "$etc/$1 was changed and stays; the shipped one is $1.new"
    fi
    printf '%s\n' "$text" >"$to"
    chmod 644 "$to"
}
for file in node.toml destinations.toml pipelines.toml rules.toml rules.test.toml; do place "$file"; done

if [ -z "$dest" ]; then
    getent passwd sagittal >/dev/null || useradd --system --home-dir /var/lib/sagittal --shell /usr/sbin/nologin sagittal
    install -d -o sagittal -g sagittal -m 750 /var/lib/sagittal
    if [ -d /run/systemd/system ]; then systemctl daemon-reload; fi
    say "Installed. Look at /etc/sagittal, then: systemctl enable --now sagittal"
fi
