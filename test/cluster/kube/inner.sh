#!/bin/bash
# PID 1 of the cluster's namespaces. Started by up.sh only.
export E2E_STATE=$1; . "$(dirname "$(readlink -f "$0")")/env.sh"
[ $$ = 1 ] || { echo "only as PID 1 of up.sh's namespaces" >&2; exit 1; }
trap 'exit 0' TERM INT
t0=$(date +%s%N); mark() { echo "$(( ($(date +%s%N) - t0) / 1000000 )) ms $*" >> "$S/times"; }
die() { echo "$*" > "$S/failed"; sleep 1; exit 1; }
set -e; trap 'die "inner.sh line $LINENO"' ERR

# --- mounts: private to this namespace; all gone with it
mount --make-rshared /                                  # its own peer group; the outer one is not touched
mount -t proc proc /proc
mount -t sysfs sysfs /sys                               # the new network namespace's view
mount -t tmpfs -o mode=755,size=1m tmpfs /sys/fs/cgroup
while read -r g; do                                     # cgroup v1 again, rooted at our own cgroup (cgroup namespace)
  n=${g#/sys/fs/cgroup/}; n=${n%%/*}; mkdir -p /sys/fs/cgroup/$n
  case $n in
    unified) mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified ;;
    systemd) mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd ;;
    *) mount -t cgroup -o "$n" cgroup "/sys/fs/cgroup/$n" ;;
  esac
done < "$S/cgroups"
mount -t tmpfs -o mode=755 tmpfs /run                   # shim sockets, /run/netns, /run/runc ...
mkdir -p /run/netns /run/lock /run/containerd; ln -s "$S/run/containerd.sock" /run/containerd/containerd.sock   # where kubelet's cAdvisor looks
mkdir -p "$S/log/var"; mount --bind "$S/log/var" /var/log   # kubelet's /var/log/containers
mkdir -p "$S/varlib/up" "$S/varlib/work"                # kubelet hard-codes /var/lib/kubelet/device-plugins: writes below /var/lib go to state/
mount -t overlay -o "lowerdir=/var/lib,upperdir=$S/varlib/up,workdir=$S/varlib/work" overlay /var/lib
# containerd's databases in memory: it syncs them for every step of every container, which takes seconds while others
# write to the same disk. Images and layers stay on disk.
for d in metadata.v1.bolt snapshotter.v1.overlayfs; do
  mkdir -p "$S/containerd/io.containerd.$d"; mount -t tmpfs -o mode=700,size=256m tmpfs "$S/containerd/io.containerd.$d"
done
mkdir -p "$S/snapshots" "$S/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
mount --bind "$S/snapshots" "$S/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots"
# kubelet insists on writing these machine-wide sysctls; give it files that already have the values it wants
fake() { echo "$2" > "$S/fake/${1//\//_}"; mount --bind "$S/fake/${1//\//_}" "/proc/sys/$1"; }
fake vm/overcommit_memory 1; fake vm/panic_on_oom 0; fake kernel/panic 10; fake kernel/panic_on_oops 1
fake kernel/keys/root_maxkeys 1000000; fake kernel/keys/root_maxbytes 25000000
printf 'nameserver %s\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n' $NODE_IP > "$S/resolv.conf"
: > "$S/resolv.kubelet.conf"
mount --bind "$S/resolv.conf" /etc/resolv.conf
hostname $NODE
printf '127.0.0.1 localhost\n%s %s\n' $NODE_IP $NODE > "$S/hosts"; mount --bind "$S/hosts" /etc/hosts

# --- network: nothing leads outside. No dummy driver in this kernel, so a veth pair carries the node address.
ip link set lo up
ip link add node0 type veth peer name node0p
ip addr add $NODE_IP/24 dev node0; ip link set node0p up; ip link set node0 up
ip route add $SVC_CIDR dev node0                        # so that a connect() to a ClusterIP has a route; NAT happens after it
echo 1 > /proc/sys/net/ipv4/ip_forward
echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables   # pod -> service -> pod on the same bridge
mark namespaces

# --- configuration
# containerd 1.x (Debian's 1.6) and 2.x name their settings differently
if containerd --version | grep -qE ' v?1\.[0-9]'; then
  V=2 CRI_RT='plugins."io.containerd.grpc.v1.cri"'
  CNI="bin_dir = \"$BIN\""; SANDBOX="sandbox_image = \"localhost/pause:1\""
else
  V=3 CRI_RT='plugins."io.containerd.cri.v1.runtime"'
  CNI="bin_dirs = [\"$BIN\"]"; SANDBOX=""
fi
cat > "$S/containerd.toml" <<Y
version = $V
root = "$S/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "$S/run/containerd.sock"
[ttrpc]
  address = "/run/containerd/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "$S/opt"
$([ $V = 2 ] || printf '%s\n' '[plugins."io.containerd.cri.v1.images".pinned_images]' '  sandbox = "localhost/pause:1"')
[$CRI_RT]
  restrict_oom_score_adj = true
  $SANDBOX
  [$CRI_RT.cni]
    $CNI
    conf_dir = "$S/cni/net.d"
  [$CRI_RT.containerd]
    default_runtime_name = "runc"
    [$CRI_RT.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [$CRI_RT.containerd.runtimes.runc.options]
        BinaryName = "$BIN/runc"
        SystemdCgroup = false
Y
cat > "$S/cni/net.d/10-e2e.conflist" <<Y
{"cniVersion":"1.0.0","name":"e2e","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","ranges":[[{"subnet":"$POD_CIDR"}]],"routes":[{"dst":"0.0.0.0/0"}],"dataDir":"/run/cni-ipam"}}]}
Y
cat > "$S/kubelet.yaml" <<Y
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
containerRuntimeEndpoint: unix://$S/run/containerd.sock
address: $NODE_IP
readOnlyPort: 0
healthzBindAddress: 127.0.0.1
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/kubelet-serving.crt
tlsPrivateKeyFile: $PKI/kubelet-serving.key
clusterDomain: cluster.local
clusterDNS: ["$NODE_IP"]
resolvConf: $S/resolv.kubelet.conf
failSwapOn: false
oomScoreAdj: 0
podLogsDir: $S/log/pods
volumePluginDir: $S/libexec
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: "0%", nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%", imagefs.inodesFree: "0%"}
maxOpenFiles: $(ulimit -Hn)
kubeAPIQPS: 200
kubeAPIBurst: 400
Y
cat > "$S/proxy.yaml" <<Y
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
bindAddress: $NODE_IP
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
clientConnection: {kubeconfig: $PKI/kube-proxy.kubeconfig}
mode: nftables
clusterCIDR: $POD_CIDR
detectLocalMode: ClusterCIDR
hostnameOverride: $NODE
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
nftables: {minSyncPeriod: 10ms, syncPeriod: 30s}
Y
cat > "$S/Corefile" <<Y
.:53 {
  bind $NODE_IP
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $PKI/coredns.kubeconfig
    pods verified
    ttl 1
  }
}
Y

# --- processes: one file each in cmd/ (how it starts), so that a test can stop one and start it again
declare -A pid
run() { local n=$1; shift; printf '%q ' "$@" > "$S/cmd/$n"; start "$n"; }
start() { bash -c "exec $(cat "$S/cmd/$1")" </dev/null >>"$S/log/$1.log" 2>&1 & pid[$1]=$!; rm -f "$S/stopped/$1"; }
alive() { local n; for n in "${!pid[@]}"; do [ -d "/proc/${pid[$n]}" ] || die "$n ended: $(tail -1 "$S/log/$n.log")"; done; }
waitfor() { local what=$1 n=$2; shift 2; for ((i = 0; i < n * 20; i++)); do "$@" >/dev/null 2>&1 && { mark "$what"; return 0; }; alive; sleep 0.05; done; die "$what: not after $n s"; }
api() { curl -sf --max-time 5 --cacert $PKI/ca.crt --cert $PKI/admin.crt --key $PKI/admin.key "https://127.0.0.1:6443$1"; }

run etcd etcd --data-dir "$S/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
  --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380 \
  --log-level warn
run containerd containerd --config "$S/containerd.toml"
run kube-apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --bind-address=0.0.0.0 --secure-port=6443 --advertise-address=$NODE_IP \
  --service-cluster-ip-range=$SVC_CIDR --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --client-ca-file=$PKI/ca.crt --tls-cert-file=$PKI/apiserver.crt --tls-private-key-file=$PKI/apiserver.key \
  --service-account-issuer=https://kubernetes.default.svc.cluster.local --service-account-key-file=$PKI/sa.pub --service-account-signing-key-file=$PKI/sa.key \
  --kubelet-client-certificate=$PKI/apiserver-kubelet-client.crt --kubelet-client-key=$PKI/apiserver-kubelet-client.key \
  --kubelet-certificate-authority=$PKI/ca.crt --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file=$PKI/front-proxy-ca.crt --requestheader-allowed-names=front-proxy-client --requestheader-username-headers=X-Remote-User \
  --requestheader-group-headers=X-Remote-Group --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file=$PKI/front-proxy-client.crt --proxy-client-key-file=$PKI/front-proxy-client.key --profiling=false
waitfor containerd 30 ctr -a "$S/run/containerd.sock" version
waitfor apiserver 60 api /readyz
run kube-controller-manager kube-controller-manager --kubeconfig=$PKI/kube-controller-manager.kubeconfig --authentication-kubeconfig=$PKI/kube-controller-manager.kubeconfig \
  --authorization-kubeconfig=$PKI/kube-controller-manager.kubeconfig --bind-address=127.0.0.1 --leader-elect=false --client-ca-file=$PKI/ca.crt \
  --root-ca-file=$PKI/ca.crt --service-account-private-key-file=$PKI/sa.key --use-service-account-credentials=true \
  --cluster-signing-cert-file=$PKI/ca.crt --cluster-signing-key-file=$PKI/ca.key --profiling=false \
  --kube-api-qps=500 --kube-api-burst=1000 --flex-volume-plugin-dir="$S/libexec"
run kube-scheduler kube-scheduler --kubeconfig=$PKI/kube-scheduler.kubeconfig --authentication-kubeconfig=$PKI/kube-scheduler.kubeconfig \
  --authorization-kubeconfig=$PKI/kube-scheduler.kubeconfig --bind-address=127.0.0.1 --leader-elect=false --profiling=false \
  --kube-api-qps=500 --kube-api-burst=1000
run kubelet kubelet --config="$S/kubelet.yaml" --kubeconfig=$PKI/kubelet.kubeconfig --root-dir="$S/kubelet" --cert-dir="$S/kubelet/pki" \
  --hostname-override=$NODE --node-ip=$NODE_IP
run kube-proxy kube-proxy --config="$S/proxy.yaml"
run coredns coredns -conf "$S/Corefile"
ready() { local n; n=$(api /api/v1/nodes/$NODE) && [[ $n == *'"reason": "KubeletReady"'* && $n != *'"taints"'* ]]; }   # Ready, and the not-ready taint is off
waitfor node-ready 60 ready
waitfor default-serviceaccount 30 api /api/v1/namespaces/default/serviceaccounts/default
touch "$S/ready"

# --- stay: end when told (down.sh), or after E2E_TTL seconds if that is set; say what ends by itself; and while a file
# stop/NAME is there, holding a signal's name, keep that program stopped (support/components.ts)
set +e; trap - ERR
end=$(( ${E2E_TTL:-0} > 0 ? SECONDS + ${E2E_TTL:-0} : 0 ))
while :; do
  [ $end = 0 ] || [ $SECONDS -lt $end ] || { echo "$(date -Is) E2E_TTL is over" >> "$S/ended"; exit 0; }
  for n in "${!pid[@]}"; do
    p=${pid[$n]}
    if [ -e "$S/stop/$n" ]; then
      if [ "$p" != - ]; then
        kill "-$(cat "$S/stop/$n")" "$p" 2>/dev/null
        for _ in $(seq 100); do [ -d "/proc/$p" ] || break; sleep 0.05; done
        [ -d "/proc/$p" ] && kill -KILL "$p"
        pid[$n]=-; touch "$S/stopped/$n"
      fi
    elif [ "$p" = - ]; then start "$n"
    elif [ ! -d "/proc/$p" ]; then echo "$(date -Is) $n ended by itself" >> "$S/ended"; unset "pid[$n]"; fi
  done
  sleep 0.1
done
