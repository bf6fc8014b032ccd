"""Rows of nodes, Services, configuration, events and access rules."""

from collections.abc import Mapping
from typing import Any, Final

from backends.lab.api.tables.durations import since
from backends.lab.api.tables.texts import NONE, equalities, first_ones, or_none, selector

_ROLE: Final = "node-role.kubernetes.io/"


def _name(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Mapping[str, Any], now: float) -> str:
    return since(obj["metadata"].get("creationTimestamp"), now)


def node(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Node."""
    status = obj.get("status") or {}
    ready = next((c for c in status.get("conditions") or () if c["type"] == "Ready"), None)
    state = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    if (obj.get("spec") or {}).get("unschedulable"):
        state += ",SchedulingDisabled"
    labels = obj["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    info = status.get("nodeInfo") or {}

    def address(kind: str) -> str:
        return next((str(a["address"]) for a in status.get("addresses") or () if a["type"] == kind), NONE)

    return [
        _name(obj),
        state,
        ",".join(sorted(roles)) or NONE,
        _age(obj, now),
        info.get("kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def namespace(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Namespace."""
    return [_name(obj), (obj.get("status") or {}).get("phase", ""), _age(obj, now)]


def service(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Service."""
    spec = obj["spec"]
    ports = [
        f"{port['port']}{':' + str(port['nodePort']) if port.get('nodePort') else ''}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or ()
    ]
    return [
        _name(obj),
        spec.get("type", ""),
        (spec.get("clusterIPs") or [NONE])[0],
        _external(obj),
        ",".join(ports) or NONE,
        _age(obj, now),
        equalities(spec.get("selector")),
    ]


def _external(obj: Mapping[str, Any]) -> str:
    spec = obj["spec"]
    given = list(spec.get("externalIPs") or ())
    kind = spec.get("type")
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    if kind != "LoadBalancer":
        return ",".join(given) or NONE
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    found = sorted({str(entry.get("ip") or entry.get("hostname") or "") for entry in ingress} - {""})
    return ",".join([*found, *given]) or "<pending>"


def endpoints(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of an Endpoints object."""
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [address["ip"] for address in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [f"{ip}:{port['port']}" for port in ports for ip in addresses] if ports else addresses
    return [_name(obj), first_ones(found) if found else NONE, _age(obj, now)]


def endpointslice(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of an EndpointSlice."""
    ports = [str(port.get("port") or port.get("name") or "*") for port in obj.get("ports") or ()]
    addresses = [address for endpoint in obj.get("endpoints") or () for address in endpoint.get("addresses") or ()]
    return [_name(obj), obj.get("addressType", ""), first_ones(ports), first_ones(addresses), _age(obj, now)]


def secret(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Secret."""
    return [_name(obj), obj.get("type", ""), len(obj.get("data") or ()), _age(obj, now)]


def configmap(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a ConfigMap."""
    return [_name(obj), len(obj.get("data") or ()) + len(obj.get("binaryData") or ()), _age(obj, now)]


def service_account(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a ServiceAccount."""
    return [_name(obj), len(obj.get("secrets") or ()), _age(obj, now)]


def lease(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Lease."""
    return [_name(obj), (obj.get("spec") or {}).get("holderIdentity", ""), _age(obj, now)]


def network_policy(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a NetworkPolicy."""
    return [_name(obj), selector((obj.get("spec") or {}).get("podSelector")), _age(obj, now)]


def disruption_budget(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a PodDisruptionBudget."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    least, most = spec.get("minAvailable"), spec.get("maxUnavailable")
    return [
        _name(obj),
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        status.get("disruptionsAllowed", 0),
        _age(obj, now),
    ]


def event(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of an Event."""
    first = since(obj.get("firstTimestamp") or obj.get("eventTime"), now)
    last = since(obj["lastTimestamp"], now) if obj.get("lastTimestamp") else first
    count = obj.get("count") or 1
    if obj.get("series"):
        last, count = since(obj["series"].get("lastObservedTime"), now), obj["series"].get("count", 1)
    about = obj.get("involvedObject") or {}
    kind, name = str(about.get("kind", "")).lower(), about.get("name", "")
    source = obj.get("source") or {}
    component = source.get("component") or obj.get("reportingComponent") or ""
    host = source.get("host") or obj.get("reportingInstance") or ""
    return [
        last,
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath", ""),
        ", ".join(part for part in (component, host) if part),
        str(obj.get("message", "")).strip(),
        first,
        count,
        _name(obj),
    ]


def role(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a Role or ClusterRole: the time itself, not the age."""
    return [_name(obj), obj["metadata"].get("creationTimestamp")]


def binding(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a RoleBinding or ClusterRoleBinding."""
    reference = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or ()
    accounts = [f"{s.get('namespace', '')}/{s['name']}" for s in subjects if s["kind"] == "ServiceAccount"]
    return [
        _name(obj),
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        _age(obj, now),
        ", ".join(s["name"] for s in subjects if s["kind"] == "User"),
        ", ".join(s["name"] for s in subjects if s["kind"] == "Group"),
        ", ".join(accounts),
    ]


def webhooks(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a webhook configuration."""
    return [_name(obj), len(obj.get("webhooks") or ()), _age(obj, now)]


def storage_class(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a StorageClass; the default one is marked in its name."""
    annotations = obj["metadata"].get("annotations") or {}
    default = annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    return [
        _name(obj) + (" (default)" if default else ""),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy", ""),
        obj.get("volumeBindingMode", ""),
        str(bool(obj.get("allowVolumeExpansion"))).lower(),
        _age(obj, now),
    ]


def ingress(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of an Ingress."""
    spec = obj.get("spec") or {}
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    balancer = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    addresses = sorted({str(entry.get("ip") or entry.get("hostname") or "") for entry in balancer} - {""})
    return [
        _name(obj),
        or_none(spec.get("ingressClassName")),
        ",".join(hosts) or "*",
        ",".join(addresses),
        "80, 443" if spec.get("tls") else "80",
        _age(obj, now),
    ]


def priority_class(obj: Mapping[str, Any], now: float) -> list[Any]:
    """Cells of a PriorityClass."""
    return [
        _name(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        _age(obj, now),
        obj.get("preemptionPolicy", ""),
    ]
