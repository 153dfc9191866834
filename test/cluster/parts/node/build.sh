#!/bin/bash
# What a node needs beside Kubernetes, from Debian's packages: unpacked, not installed, so that no maintainer script
# runs, no service starts and nothing outside this folder is written. And the pause program of a pod's sandbox.
set -euo pipefail
pk="etcd-server containerd runc containernetworking-plugins nftables libnftables1 libnftnl11 libjansson4 libseccomp2 busybox"
# A new machine has no package lists yet.
# shellcheck disable=SC2086
apt-get download -qq $pk 2>/dev/null || { apt-get update -qq; apt-get download -qq $pk; }
for f in *.deb; do dpkg-deb -x "$f" root; done
mkdir -p "$OUT/lib"
cp root/usr/bin/{etcd,containerd,containerd-shim-runc-v2,ctr} root/usr/sbin/runc root/bin/busybox "$OUT/"
cp root/usr/lib/cni/{bridge,host-local,loopback,portmap} "$OUT/"
cp root/usr/sbin/nft "$OUT/lib/nft"
cp -P root/usr/lib/*-linux-gnu/lib{nftables,nftnl,jansson,seccomp}.so.* "$OUT/lib/"
cat > "$OUT/nft" <<'S'
#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/lib
LD_LIBRARY_PATH=$lib exec "$lib/nft" "$@"
S
chmod +x "$OUT/nft"
gcc -Os -static -s -o "$OUT/pause" pause.c
for b in "$OUT"/{etcd,containerd,ctr,runc}; do
  if ldd "$b" 2>/dev/null | grep 'not found'; then echo "$b lacks a library" >&2; exit 1; fi
done
