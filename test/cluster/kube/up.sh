#!/bin/bash
# Brings the one-node cluster up inside its own mount, network, PID, UTS, IPC and cgroup namespaces.
# Returns when the node is Ready. Refuses to start when one is already up.
# down.sh ends it, or E2E_TTL=SECONDS does.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
t0=$(date +%s%N); ms() { echo $(( ($(date +%s%N) - t0) / 1000000 )); }
if mine "$(cat "$S/init.pid" 2>/dev/null)"; then echo "already up (pid $(cat "$S/init.pid"))" >&2; exit 1; fi
bash "$HERE/down.sh" >/dev/null 2>&1 || true           # leftovers of a run that was killed
mkdir -p "$PKI"; flock "$PKI/.lock" bash "$HERE/pki.sh"
[ ! -e "$S" ] || [ -e "$S/log" ] || { echo "$S is there and is not the state folder of a cluster" >&2; exit 1; }
rm -rf "$S"; mkdir -p "$S"/{log,run,etcd,containerd,kubelet,cni/net.d,fake,libexec,cmd,stop,stopped}
cp "$PKI/admin.kubeconfig" "$S/kubeconfig"

# 1. A cgroup of our own below the caller's, in every v1 hierarchy that is mounted (and the v2 one).
: > "$S/cgroups"
while IFS=: read -r _ ctl path; do
  case $ctl in
    '') d=/sys/fs/cgroup/unified ;;
    name=*) d=/sys/fs/cgroup/${ctl#name=} ;;
    *) d=/sys/fs/cgroup/$ctl ;;
  esac
  [ -d "$d" ] || continue
  g=$d${path%/}/$CGNAME; mkdir -p "$g"
  if [ "$ctl" = cpuset ]; then cat "$d${path%/}/cpuset.cpus" > "$g/cpuset.cpus"; cat "$d${path%/}/cpuset.mems" > "$g/cpuset.mems"; fi
  echo "$g" >> "$S/cgroups"
done < /proc/self/cgroup

# 2. The namespaces. The inner shell is PID 1 there: when it ends, the kernel ends everything in it.
(
  while read -r g; do echo $BASHPID > "$g/cgroup.procs"; done < "$S/cgroups"
  exec setsid unshare --mount --net --pid --uts --ipc --cgroup --fork --kill-child=KILL --propagation private \
    bash "$HERE/inner.sh" "$S" </dev/null >"$S/log/inner.log" 2>&1
) &
u=$!; disown $u
for _ in $(seq 100); do c=$(cat /proc/$u/task/$u/children 2>/dev/null || true); [ -n "$c" ] && break; sleep 0.02; done
c=${c%% *}; echo "$u" > "$S/unshare.pid"; echo "$c" > "$S/init.pid"

# 3. Wait until the inner side says ready.
for _ in $(seq 1200); do
  [ -f "$S/ready" ] && break
  if ! kill -0 $u 2>/dev/null || [ -f "$S/failed" ]; then echo "start failed:" >&2; cat "$S/failed" >&2 2>/dev/null || true; tail -n 5 "$S"/log/*.log >&2 || true; bash "$HERE/down.sh"; exit 1; fi
  sleep 0.1
done
[ -f "$S/ready" ] || { echo "not ready after 120 s" >&2; tail -n 3 "$S"/log/*.log >&2 || true; bash "$HERE/down.sh"; exit 1; }
cat "$S/times"; echo "up in $(ms) ms; state in $S"
