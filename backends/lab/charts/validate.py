"""Values that the chart refuses, with its texts and places (cilium-clustermesh R02, R03, R20, R29)."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from backends.lab.charts.context import Context, refuse
from backends.lab.charts.trees import text

_NAME: Final = re.compile(r"([a-z0-9][-a-z0-9]*)?[a-z0-9]")
_SKB_BUG: Final = (
    "Cilium is currently affected by a bug that causes traffic matched by network policies to be incorrectly dropped "
    "when running in either ENI mode (both AWS and AlibabaCloud) or AWS VPC CNI chaining mode, if the cluster ID is "
    "128-255 (and 384-511 when maxConnectedClusters=511). Please refer to "
    "https://github.com/cilium/cilium/issues/21330 for additional details."
)
_REMOVED: Final = (
    ("enableCiliumEndpointSlice", 18, "enableCiliumEndpointSlice was deprecated in v1.16", "ces18"),
    ("remoteNodeIdentity", 16, "remoteNodeIdentity was deprecated in v1.15", "remotenode"),
    ("tunnel", 15, "tunnel was deprecated in v1.14", "tunnel"),
    ("clustermesh.apiserver.tls.ca.cert", 15, "", "tlsca"),
    ("clustermesh.apiserver.tls.ca.key", 15, "", "tlsca"),
    ("enableK8sEventHandover", 15, "enableK8sEventHandover was deprecated in v1.14", "handover"),
    ("enableCnpStatusUpdates", 15, "enableCnpStatusUpdates was deprecated in v1.14", "cnp"),
)

# Line and column of each refusal in validate.yaml, from the first minor version that has it there.
_PLACES: Final[Mapping[str, Mapping[int, str]]] = {
    "tunnel": {15: "3:5", 16: "33:5", 17: "41:5"},
    "tlsca": {15: "6:5", 16: "36:5", 17: "44:5"},
    "handover": {15: "9:5", 16: "39:5", 17: "47:5"},
    "cnp": {15: "12:5", 16: "42:5", 17: "50:5"},
    "ces18": {18: "5:5"},
    "encryption": {16: "10:5", 17: "18:5"},
    "remotenode": {16: "22:5", 17: "30:5"},
    "hostref": {18: "55:6"},
    "uirelay": {15: "18:7", 16: "48:7", 17: "61:7"},
    "relayhubble": {15: "28:7", 16: "58:7", 17: "71:7"},
    "hubblecm": {15: "43:7", 16: "73:7", 17: "86:7"},
    "meshcm": {15: "53:7", 16: "83:7", 17: "96:7"},
    "l7": {15: "72:9", 16: "102:9", 17: "115:9"},
    "slices": {15: "92:7", 16: "134:7", 17: "147:7"},
    "nameempty": {16: "140:5", 17: "153:5"},
    "namelong": {16: "144:5", 17: "156:5"},
    "namechars": {16: "147:5", 17: "159:5"},
    "namedefault": {16: "151:5", 17: "162:5"},
    "skb": {16: "156:5", 17: "168:5"},
    "idmode": {15: "99:7", 16: "162:7", 17: "186:9"},
    "nocrd": {15: "102:7", 16: "165:7", 17: "181:9"},
    "ewmode": {15: "107:7", 16: "170:7"},
    "ewcrd": {15: "110:7", 16: "173:7"},
    "kvmode": {18: "174:4"},
    "kvext": {18: "192:8"},
    "kvextcache": {18: "195:8"},
    "kvextreplicas": {18: "198:8"},
    "kvextmode": {18: "201:8"},
    "provided": {20: "214:6"},
    "max": {15: "116:6", 16: "179:6", 17: "207:6", 20: "219:6"},
    "enimode": {20: "257:5"},
}

Problems = Iterator[tuple[str, str]]


def validate(context: Context) -> None:
    """Raise ``ChartError`` for the first reason, in the chart's order, to refuse these values."""
    for family in _FAMILIES:
        for key, message in family(context):
            places = _PLACES[key]
            place = places[max(minor for minor in places if minor <= context.minor)]
            raise refuse(f"validate.yaml:{place}", message)


def _removed(context: Context) -> Problems:
    for path, since, start, key in _REMOVED:
        if context.minor < since or not context.on(path):
            continue
        if key == "tlsca":
            start = "clustermesh.apiserver.tls.ca.cert and clustermesh.apiserver.tls.ca.key were deprecated in v1.14"
        yield key, f"{start} and has been removed in v1.{since}. {_options(since)}"
    names = ("keyFile", "mountPath", "secretName", "interface")
    if context.minor >= 16 and any(context.on(f"encryption.{name}") for name in names):
        joined = "encryption.{keyFile,mountPath,secretName,interface}"
        yield "encryption", f"{joined} were deprecated in v1.14 and has been removed in v1.16. {_options(16)}"


def _options(minor: int) -> str:
    return f"For details please refer to https://docs.cilium.io/en/v1.{minor}/operations/upgrade/#helm-options"


def _api_server(context: Context) -> Problems:
    named = context.on("k8sServiceHostRef.name") and context.on("k8sServiceHostRef.key")
    if context.minor >= 18 and named and context.on("k8sServiceHost"):
        yield "hostref", "Both k8sServiceHostRef and k8sServiceHost are set. Please set only one of them."


def _hubble(context: Context) -> Problems:
    relay = context.on("hubble.relay.enabled")
    if context.on("hubble.ui.enabled") and not context.on("hubble.ui.standalone.enabled") and not relay:
        yield "uirelay", "Hubble UI requires .Values.hubble.relay.enabled=true"
    if relay and not context.on("hubble.enabled"):
        yield "relayhubble", "Hubble Relay requires .Values.hubble.enabled=true"
    auto = "hubble.tls.auto"
    manager = context.on(f"{auto}.enabled") and context.text(f"{auto}.method") == "certmanager"
    served = context.on("hubble.enabled") and context.on("hubble.tls.enabled")
    if served and manager and not context.on(f"{auto}.certManagerIssuerRef"):
        yield "hubblecm", _issuer("Hubble", auto)
    auto = "clustermesh.apiserver.tls.auto"
    manager = context.on(f"{auto}.enabled") and context.text(f"{auto}.method") == "certmanager"
    if context.mesh_server and manager and not context.on(f"{auto}.certManagerIssuerRef"):
        yield "meshcm", _issuer("ClusterMesh", auto)


def _issuer(part: str, auto: str) -> str:
    return f"{part} TLS certgen method=certmanager requires that user specifies .Values.{auto}.certManagerIssuerRef"


def _proxy(context: Context) -> Problems:
    gateways = context.on("ingressController.enabled") or context.on("gatewayAPI.enabled")
    if (gateways or context.text("loadBalancer.l7.backend") == "envoy") and not context.on("l7Proxy"):
        yield (
            "l7",
            "Ingress or Gateway API controller or Envoy L7 Load Balancer  requires .Values.l7Proxy to be set to 'true'",
        )


def _slices(context: Context) -> Problems:
    old = context.minor < 18 and context.on("enableCiliumEndpointSlice")
    new = context.minor >= 16 and context.on("ciliumEndpointSlice.enabled")
    if (old or new) and context.get("disableEndpointCRD") is True:
        path = "enableCiliumEndpointSlice" if context.minor == 15 else "ciliumEndpointSlice.enabled"
        yield (
            "slices",
            f"if Cilium Endpoint Slice is enabled (.Values.{path}=true), it requires .Values.disableEndpointCRD=false",
        )


def _cluster_name(context: Context) -> Problems:
    if context.minor == 15:
        return
    name, start = context.text("cluster.name"), "The cluster name is invalid"
    if not name:
        yield "nameempty", f"{start}: cannot be empty"
    skip = ""
    if context.minor == 16:
        if not context.compatible(16):
            return
        skip = ". Configure 'upgradeCompatibility' to 1.15 or earlier to temporarily skip this check at your own risk"
    if len(name) > 32:
        yield "namelong", f"{start}: must not be more than 32 characters{skip}"
    if not _NAME.fullmatch(name):
        rule = "must consist of lower case alphanumeric characters and '-'"
        yield "namechars", f"{start}: {rule}, and must start and end with an alphanumeric character{skip}"
    if name == "default" and _integer(context, "cluster.id") != 0:
        yield "namedefault", f"{start}: cannot use default value with cluster.id != 0"


def _identity_mark(context: Context) -> Problems:
    number = _integer(context, "cluster.id")
    cloud = context.on("eni.enabled") or context.on("alibabacloud.enabled")
    affected = cloud or context.text("cni.chainingMode") == "aws-cni"
    allowed = context.text("extraConfig.allow-unsafe-policy-skb-usage") == "true"
    if context.minor >= 16 and affected and not allowed and (128 <= number <= 255 or 384 <= number <= 511):
        yield "skb", _SKB_BUG


def _mesh_server(context: Context) -> Problems:
    mode, start = context.text("identityAllocationMode"), "The clustermesh-apiserver cannot be enabled"
    if context.on("clustermesh.useAPIServer"):
        direct = "To establish a Cluster Mesh, directly configure the parameters to access the remote"
        if context.minor < 17 and mode != "crd":
            yield (
                "idmode",
                f"{start} in combination with .Values.identityAllocationMode={mode}. "
                f"{direct} kvstore through .Values.clustermesh.config",
            )
        if context.minor < 17 or context.crd_identities:
            if context.on("disableEndpointCRD"):
                yield "nocrd", f"{start} in combination with .Values.disableEndpointCRD=true"
        elif not context.on("clustermesh.apiserver.kvstoremesh.enabled"):
            yield (
                "idmode",
                "The kvstoremesh container cannot be disabled in combination with "
                f".Values.identityAllocationMode={mode}. {direct} kvstores through .Values.clustermesh.config",
            )
    if context.minor < 17 and context.on("externalWorkloads.enabled"):
        start = "External workloads support cannot be enabled in combination with"
        if mode != "crd":
            yield "ewmode", f"{start} .Values.identityAllocationMode={mode}"
        if context.on("disableEndpointCRD"):
            yield "ewcrd", f"{start} .Values.disableEndpointCRD=true"


def _store_mode(context: Context) -> Problems:
    if context.minor < 18:
        return
    mode = context.text("clustermesh.apiserver.kvstoremesh.kvstoreMode")
    if mode not in ("internal", "external"):
        path = ".Values.clustermesh.apiserver.kvstoremesh.kvstoreMode"
        yield "kvmode", f"{path} must have the value of external or internal"
    if mode != "external":
        return
    start = "kvstoremesh.kvstoreMode=external can only be used with"
    if not context.on("clustermesh.useAPIServer"):
        yield "kvext", f"{start} clustermesh.useAPIServer=true"
    if not context.on("clustermesh.apiserver.kvstoremesh.enabled"):
        yield "kvextcache", f"{start} kvstoremesh.enabled=true"
    if context.text("clustermesh.apiserver.replicas") != "1":
        yield "kvextreplicas", "Only single clustermesh-apiserver replica is allowed when kvstoreMode=external"
    identities = context.text("identityAllocationMode")
    if identities not in ("kvstore", "doublewrite-readkvstore", "doublewrite-readcrd"):
        combination = f"in combination with .Values.identityAllocationMode={identities}"
        yield "kvextmode", f"KVStoreMesh with {mode} etcd cannot be enabled {combination}"


def _certificates(context: Context) -> Problems:
    tls = "clustermesh.apiserver.tls"
    given = any(context.on(f"{tls}.{part}.cert") for part in ("server", "admin", "remote"))
    if context.minor >= 20 and context.mesh_server and not context.on(f"{tls}.auto.enabled") and given:
        yield (
            "provided",
            "The support for providing Cluster Mesh certs and keys as helm values has been removed. "
            "You must enable auto-generation or pre-create the corresponding secrets",
        )


def _limits(context: Context) -> Problems:
    if _integer(context, "clustermesh.maxConnectedClusters") not in (255, 511):
        yield "max", "max-connected-clusters must be set to 255 or 511"
    if context.minor >= 20 and context.text("ipam.mode") == "eni" and not context.on("eni.enabled"):
        yield "enimode", "ipam.mode=eni requires eni.enabled=true"


def _integer(context: Context, path: str) -> int:
    try:
        return int(text(context.get(path)))
    except ValueError:
        return 0


_FAMILIES: Final[tuple[Callable[[Context], Problems], ...]] = (
    _removed,
    _api_server,
    _hubble,
    _proxy,
    _slices,
    _cluster_name,
    _identity_mark,
    # External storage is checked before and after the server in the chart; its mode name comes first.
    _mesh_server,
    _store_mode,
    _certificates,
    _limits,
)
