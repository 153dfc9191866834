# Shared settings of these scripts, which dev.ts and run.ts start (cluster.ts sets the variables).
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${CLUSTER_NODE_PART:?start these scripts by dev.ts}" "${CLUSTER_KUBERNETES_PART:?}" "${CLUSTER_COREDNS_PART:?}"
S=${E2E_STATE:?}              # all run-time state of one cluster (wiped by up.sh)
PKI=${CLUSTER_PKI:?}          # certificates, kept between runs and shared by all clusters
BIN=$CLUSTER_NODE_PART
NODE=node1
NODE_IP=10.88.0.1
SVC_CIDR=10.96.0.0/16
API_SVC_IP=10.96.0.1
POD_CIDR=10.244.0.0/22
CGNAME=fissium-e2e-$(printf %s "$S" | cksum | cut -d' ' -f1)   # one per state folder, so that clusters can run side by side
export PATH=$CLUSTER_NODE_PART:$CLUSTER_KUBERNETES_PART:$CLUSTER_COREDNS_PART:$PATH
# Is pid $1 still a process that up.sh of this state folder started? Neither a zombie nor a pid used again.
mine() {
  [ -n "${1:-}" ] && [ -r "/proc/$1/cmdline" ] && tr '\0' ' ' < "/proc/$1/cmdline" 2>/dev/null | grep -qF "/inner.sh $S "
}
