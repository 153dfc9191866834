#!/bin/bash
# The root file system of a container with Debian's Python: python3, pip and all that they depend on, as if nothing
# were installed yet (an empty status file), unpacked only.
set -euo pipefail
touch status; mkdir -p debs/partial "$OUT/root"
get() {
  apt-get -qq -o Dir::State::status="$PWD/status" -o Dir::Cache::archives="$PWD/debs" -o Debug::NoLocking=1 \
    -o APT::Sandbox::User=root --no-install-recommends --download-only -y install python3 python3-pip python3-venv dash ca-certificates
}
get || { apt-get update -qq; get; }
for d in bin lib lib64 sbin; do mkdir -p "$OUT/root/usr/$d"; ln -s "usr/$d" "$OUT/root/$d"; done
for f in debs/*.deb; do dpkg-deb -x "$f" "$OUT/root"; done
rm -rf "$OUT"/root/usr/share/{doc,man,locale,info} "$OUT"/root/var/{cache,log}
# Debian's own scripts would make these after unpacking.
[ -e "$OUT/root/bin/sh" ] || ln -s dash "$OUT/root/usr/bin/sh"
[ -e "$OUT/root/etc/passwd" ] || printf 'root:x:0:0:root:/root:/bin/sh\nfissium:x:10001:10001::/tmp:/bin/sh\n' > "$OUT/root/etc/passwd"
cat "$OUT"/root/usr/share/ca-certificates/mozilla/*.crt > "$OUT/root/etc/ssl/certs/ca-certificates.crt"
mkdir -p "$OUT/root/tmp"; chmod 1777 "$OUT/root/tmp"
python() { PYTHONHOME="$OUT/root/usr" "$OUT/root/lib64/ld-linux-x86-64.so.2" --library-path "$OUT/root/usr/lib/x86_64-linux-gnu" "$OUT/root/usr/bin/python3.11" -s "$@"; }
# Debian's scripts compile the library too; without it each start of a pod takes most of a second of CPU for that.
python -m compileall -q --invalidation-mode unchecked-hash -s "$OUT/root" "$OUT/root/usr/lib/python3.11" "$OUT/root/usr/lib/python3" || echo "some files are not compiled"
python -c 'print("ok")'
