"""Which Helm value becomes which key of ``cilium-config``, and when the key is there at all (cilium-clustermesh §2.1).

A rule holds for the minor versions ``since`` … ``until`` of Cilium 1.x.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

FIRST: Final = 15
LAST: Final = 20


class When(Enum):
    """The condition under which a key is written."""

    ALWAYS = auto()
    PRESENT = auto()
    TRUTHY = auto()
    FLAG = auto()
    NOT_NULL = auto()
    DURATION = auto()


@dataclass(frozen=True, slots=True)
class Rule:
    """``key`` of the ConfigMap from the value at ``path``; lists are joined with ``join``."""

    key: str
    path: str
    when: When
    since: int = FIRST
    until: int = LAST
    join: str = " "


def always(key: str, path: str, since: int = FIRST, until: int = LAST, join: str = " ") -> Rule:
    """Written whatever the value is."""
    return Rule(key, path, When.ALWAYS, since, until, join)


def present(key: str, path: str, since: int = FIRST, until: int = LAST, join: str = " ") -> Rule:
    """Written where the value is there, though it may be empty."""
    return Rule(key, path, When.PRESENT, since, until, join)


def given(key: str, path: str, since: int = FIRST, until: int = LAST, join: str = " ") -> Rule:
    """Written where a template takes the value for true."""
    return Rule(key, path, When.TRUTHY, since, until, join)


def flag(key: str, path: str, since: int = FIRST, until: int = LAST) -> Rule:
    """``true`` where the value is true, else absent."""
    return Rule(key, path, When.FLAG, since, until)


def unless_null(key: str, path: str, since: int = FIRST, until: int = LAST) -> Rule:
    """Written unless the value is null."""
    return Rule(key, path, When.NOT_NULL, since, until)


def duration(key: str, path: str, since: int = FIRST, until: int = LAST) -> Rule:
    """Written as a duration where it is one."""
    return Rule(key, path, When.DURATION, since, until)


MESH: Final = (
    always("cluster-name", "cluster.name"),
    present("cluster-id", "cluster.id"),
    present("max-connected-clusters", "clustermesh.maxConnectedClusters"),
    always("clustermesh-enable-endpoint-sync", "clustermesh.enableEndpointSliceSynchronization", 16),
    always("clustermesh-enable-mcs-api", "clustermesh.enableMCSAPISupport", 16, 18),
    always("clustermesh-mcs-api-install-crds", "clustermesh.mcsapi.installCRDs", 19),
    always("clustermesh-cache-ttl", "clustermesh.cacheTTL", 19),
    always("clustermesh-default-global-namespace", "clustermesh.defaultGlobalNamespace", 20),
    always("policy-default-local-cluster", "clustermesh.policyDefaultLocalCluster", 18),
)

NETWORK: Final = (
    always("enable-ipv4", "ipv4.enabled"),
    always("enable-ipv6", "ipv6.enabled"),
    given("mtu", "MTU"),
    given("tunnel-port", "tunnelPort"),
    given("tunnel-source-port-range", "tunnelSourcePortRange", 17),
    given("underlay-protocol", "underlayProtocol", 18),
    given("ipv4-native-routing-cidr", "ipv4NativeRoutingCIDR"),
    given("ipv6-native-routing-cidr", "ipv6NativeRoutingCIDR"),
    always("auto-direct-node-routes", "autoDirectNodeRoutes"),
    always("direct-routing-skip-unreachable", "directRoutingSkipUnreachable", 16),
    always("enable-ipv4-big-tcp", "enableIPv4BIGTCP"),
    always("enable-ipv6-big-tcp", "enableIPv6BIGTCP"),
    always("enable-ipv6-masquerade", "enableIPv6Masquerade"),
    always("enable-masquerade-to-route-source", "enableMasqueradeRouteSource"),
    present("egress-masquerade-interfaces", "egressMasqueradeInterfaces"),
    flag("enable-ip-masq-agent", "ipMasqAgent.enabled"),
    always("enable-xt-socket-fallback", "enableXTSocketFallback"),
    present("iptables-random-fully", "iptablesRandomFully"),
    present("iptables-lock-timeout", "iptablesLockTimeout"),
    given("enable-nat46x64-gateway", "nat46x64Gateway.enabled"),
    present("enable-ipv4-fragment-tracking", "fragmentTracking"),
    given("enable-host-firewall", "hostFirewall.enabled", 15, 19),
    always("enable-host-firewall", "hostFirewall.enabled", 20),
    present("devices", "devices"),
    flag("enable-runtime-device-detection", "enableRuntimeDeviceDetection", 15, 17),
    flag("force-device-detection", "forceDeviceDetection", 16),
    flag("enable-pmtu-discovery", "pmtuDiscovery.enabled"),
    always("packetization-layer-pmtud-mode", "pmtuDiscovery.packetizationLayerPMTUDMode", 19),
    given("enable-high-scale-ipcache", "highScaleIPcache.enabled", 15, 17),
    present("enable-local-redirect-policy", "localRedirectPolicy", 15, 17),
    always("nat-map-stats-entries", "nat.mapStatsEntries", 16),
    always("nat-map-stats-interval", "nat.mapStatsInterval", 16),
    present("enable-l2-neigh-discovery", "l2NeighDiscovery.enabled"),
    duration("arping-refresh-period", "l2NeighDiscovery.refreshPeriod", 15, 17),
    given("enable-endpoint-routes", "endpointRoutes.enabled"),
    flag("enable-ipv4-egress-gateway", "egressGateway.enabled", 15, 16),
    flag("enable-egress-gateway", "egressGateway.enabled", 17),
    present("egress-gateway-reconciliation-trigger-interval", "egressGateway.reconciliationTriggerInterval"),
    given("egress-gateway-policy-map-max", "egressGateway.maxPolicyEntries"),
    present("enable-vtep", "vtep.enabled"),
    present("vtep-endpoint", "vtep.endpoint"),
    present("vtep-cidr", "vtep.cidr"),
    present("vtep-mask", "vtep.mask"),
    present("vtep-mac", "vtep.mac"),
    given("prefer-ipv6", "preferIpv6", 20),
    always("enable-datapath-plugins", "datapathPlugins.enabled", 20),
    always("datapath-plugins-state-dir", "datapathPlugins.stateDir", 20),
    present("enable-source-ip-verification", "daemon.enableSourceIPVerification", 17),
)

LOAD_BALANCING: Final = (
    present("bpf-lb-sock", "socketLB.enabled"),
    present("bpf-lb-sock-hostns-only", "socketLB.hostNamespaceOnly"),
    present("bpf-lb-sock-terminate-pod-connections", "socketLB.terminatePodConnections", 16),
    present("trace-sock", "socketLB.tracing", 16),
    present("bpf-lb-mode", "loadBalancer.mode"),
    present("bpf-lb-algorithm", "loadBalancer.algorithm"),
    present("bpf-lb-acceleration", "loadBalancer.acceleration"),
    present("bpf-lb-dsr-dispatch", "loadBalancer.dsrDispatch"),
    present("enable-service-topology", "loadBalancer.serviceTopology"),
    given("bpf-lb-only", "loadBalancer.standalone", 17, 18),
    present("bpf-lb-maglev-table-size", "maglev.tableSize"),
    present("bpf-lb-maglev-hash-seed", "maglev.hashSeed"),
    given("enable-session-affinity", "sessionAffinity", 15, 18),
    given("enable-svc-source-range-check", "svcSourceRangeCheck", 15, 18),
    given("service-no-backend-response", "serviceNoBackendResponse"),
    given("policy-deny-response", "policyDenyResponse", 19),
    present("node-port-range", "nodePort.range", join=","),
    present("nodeport-addresses", "nodePort.addresses", 16, join=","),
    present("direct-routing-device", "nodePort.directRoutingDevice"),
    present("enable-health-check-nodeport", "nodePort.enableHealthCheck"),
    present("enable-health-check-loadbalancer-ip", "nodePort.enableHealthCheckLoadBalancerIP"),
    present("enable-dynamic-source-lookup-nodeport", "nodePort.enableDynamicSourceLookup", 20),
    always("node-port-bind-protection", "nodePort.bindProtection"),
    always("enable-auto-protect-node-port-range", "nodePort.autoProtectPortRange"),
    present("enable-no-service-endpoints-routable", "enableNoServiceEndpointsRoutable", 19),
    always("default-lb-service-ipam", "defaultLBServiceIPAM", 17),
    always("enable-lb-ipam", "enableLBIPAM", 17),
    always("enable-internal-traffic-policy", "enableInternalTrafficPolicy", 17, 18),
    flag("enable-node-ipam", "nodeIPAM.enabled", 16),
    present("enable-experimental-lb", "loadBalancer.experimental", 17, 17),
    given("enable-l2-announcements", "l2announcements.enabled"),
    present("k8s-service-proxy-name", "k8s.serviceProxyName"),
)

BPF: Final = (
    always("preallocate-bpf-maps", "bpf.preallocateMaps"),
    unless_null("enable-bpf-tproxy", "bpf.tproxy"),
    unless_null("enable-host-legacy-routing", "bpf.hostLegacyRouting"),
    unless_null("enable-bpf-masquerade", "bpf.masquerade"),
    always("monitor-aggregation", "bpf.monitorAggregation"),
    duration("monitor-aggregation-interval", "bpf.monitorInterval"),
    always("monitor-aggregation-flags", "bpf.monitorFlags"),
    given("bpf-node-map-max", "bpf.nodeMapMax"),
    given("bpf-auth-map-max", "bpf.authMapMax"),
    given("bpf-ct-global-tcp-max", "bpf.ctTcpMax"),
    given("bpf-ct-global-any-max", "bpf.ctAnyMax"),
    given("bpf-conntrack-accounting", "bpf.ctAccounting", 17),
    given("bpf-nat-global-max", "bpf.natMax"),
    given("bpf-neigh-global-max", "bpf.neighMax"),
    present("bpf-policy-map-max", "bpf.policyMapMax"),
    present("bpf-policy-stats-map-max", "bpf.policyStatsMapMax", 18),
    present("bpf-lb-map-max", "bpf.lbMapMax"),
    present("bpf-lb-external-clusterip", "bpf.lbExternalClusterIP"),
    present("bpf-lb-source-range-all-types", "bpf.lbSourceRangeAllTypes", 17),
    present("bpf-lb-algorithm-annotation", "bpf.lbAlgorithmAnnotation", 17),
    present("bpf-lb-mode-annotation", "bpf.lbModeAnnotation", 17),
    always("bpf-distributed-lru", "bpf.distributedLRU.enabled", 17),
    always("bpf-events-drop-enabled", "bpf.events.drop.enabled", 16),
    always("bpf-events-policy-verdict-enabled", "bpf.events.policyVerdict.enabled", 16),
    always("bpf-events-trace-enabled", "bpf.events.trace.enabled", 16),
    given("bpf-events-default-rate-limit", "bpf.events.default.rateLimit", 17),
    given("bpf-events-default-burst-limit", "bpf.events.default.burstLimit", 17),
    present("enable-tcx", "bpf.enableTCX", 16),
    present("datapath-mode", "bpf.datapathMode", 16),
    present("bpf-root", "bpf.root"),
    given("vlan-bpf-bypass", "bpf.vlanBypass"),
    given("disable-external-ip-mitigation", "bpf.disableExternalIPMitigation", 16),
    given("ip-tracing-option-type", "bpf.monitorTraceIPOption", 19),
    present("cgroup-root", "cgroup.hostRoot"),
)
