"""Types of values, as the chart's JSON schema (1.16 and later) wants them: those of the defaults, and a few unions."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from backends.lab.charts.context import ChartError, Context
from backends.lab.charts.defaults import default_values

_BOTH: Final = ("integer", "string")
_UNIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "autoDirectNodeRoutes": ("boolean", "string"),
    "endpointRoutes.enabled": ("boolean", "string"),
    "kubeProxyReplacement": ("string", "boolean"),
    "k8sServicePort": _BOTH,
    "devices": ("null", "string", "array"),
    "ipam.operator.clusterPoolIPv4PodCIDRList": ("string", "array"),
    "ipam.operator.clusterPoolIPv6PodCIDRList": ("string", "array"),
    "nodePort.addresses": ("null", "string", "array"),
    "policyCIDRMatchMode": ("null", "string", "array"),
    "updateStrategy.rollingUpdate.maxUnavailable": _BOTH,
    "operator.updateStrategy.rollingUpdate.maxSurge": _BOTH,
    "operator.updateStrategy.rollingUpdate.maxUnavailable": _BOTH,
    "clustermesh.apiserver.updateStrategy.rollingUpdate.maxSurge": _BOTH,
    "clustermesh.apiserver.updateStrategy.rollingUpdate.maxUnavailable": _BOTH,
    "hubble.relay.updateStrategy.rollingUpdate.maxUnavailable": _BOTH,
    "envoy.updateStrategy.rollingUpdate.maxUnavailable": _BOTH,
}
_NULLABLE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("bpf.tproxy", "bpf.hostLegacyRouting", "bpf.masquerade", "envoy.enabled"), "boolean"),
    **dict.fromkeys(("bpf.nodeMapMax", "bpf.authMapMax", "bpf.ctTcpMax", "bpf.ctAnyMax"), "integer"),
    **dict.fromkeys(("bpf.natMax", "bpf.neighMax", "bpf.policyMapMax", "bpf.lbMapMax"), "integer"),
    **dict.fromkeys(("operator.setNodeTaints", "enableIPv4Masquerade", "tls.secretSync.enabled"), "boolean"),
    **dict.fromkeys(("cni.chainingMode", "cni.chainingTarget", "debug.verbose", "upgradeCompatibility"), "string"),
    **dict.fromkeys(("namespaceOverride", "k8sServiceHostRef.name", "k8sServiceHostRef.key"), "string"),
    "k8sClientRateLimit.qps": "integer",
    "k8sClientRateLimit.burst": "integer",
    "clustermesh.apiserver.service.loadBalancerClass": "string",
    "clustermesh.apiserver.service.loadBalancerIP": "string",
    "hubble.metrics.enabled": "array",
    "commonLabels": "object",
}
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "clustermesh.apiserver.service.externalTrafficPolicy": ("Local", "Cluster"),
    "clustermesh.apiserver.service.internalTrafficPolicy": ("Local", "Cluster"),
    "clustermesh.apiserver.service.enableSessionAffinity": ("HAOnly", "Always", "Never"),
    "clustermesh.apiserver.etcd.storageMedium": ("Disk", "Memory"),
    "scheduling.mode": ("anti-affinity", "kube-scheduler"),
    "identityManagementMode": ("agent", "operator", "both"),
}
_FREE: Final = ("nodeSelector", "matchLabels", "annotations", "labels", "minAvailable", "maxUnavailable", "override")
_ORDER: Final = ("null", "boolean", "number", "integer", "string", "array", "object")


def check_types(context: Context) -> None:
    """Raise ``ChartError`` listing every value of the wrong type; the chart of 1.15 has no schema."""
    if context.minor == 15:
        return
    problems = sorted(_problems(context, default_values(context.version), context.values, ""))
    if problems:
        lines = "\n".join(_listed({tuple(place.split("/")[1:]): problem for place, problem in problems}, 0))
        raise ChartError(
            f"values don't meet the specifications of the schema(s) in the following chart(s):\ncilium:\n{lines}\n"
        )


def _listed(problems: Mapping[tuple[str, ...], str], depth: int) -> Iterator[str]:
    """Several problems below one table, the top excepted, stand under a line of their own."""
    groups: dict[str, dict[tuple[str, ...], str]] = {}
    for place, problem in problems.items():
        groups.setdefault(place[depth], {})[place] = problem
    for group in groups.values():
        yield from _group(group, depth + 1)


def _group(problems: Mapping[tuple[str, ...], str], depth: int) -> Iterator[str]:
    (first, problem), *others = problems.items()
    if not others:
        yield f"- at '/{'/'.join(first)}': {problem}"
    elif len({place[depth] for place in problems}) == 1:
        yield from _group(problems, depth + 1)
    else:
        yield f"- at '/{'/'.join(first[:depth])}': validation failed"
        yield from (f"  {line}" for line in _listed(problems, depth))


def _problems(
    context: Context, defaults: Mapping[str, Any], values: Mapping[str, Any], above: str
) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        path = f"{above}{key}"
        if key not in defaults or any(word in key for word in _FREE):
            continue
        place = "/" + path.replace(".", "/")
        if path in _CHOICES:
            if value not in _CHOICES[path]:
                yield place, f"value must be one of {', '.join(repr(choice) for choice in _CHOICES[path])}"
            continue
        wanted = _wanted(context, path, defaults[key])
        got = _kind(value)
        fits = got in wanted or (got == "integer" and "number" in wanted)
        if wanted and not fits:
            shown = "number" if got == "integer" else got
            yield place, f"got {shown}, want {' or '.join(sorted(wanted, key=_ORDER.index))}"
        elif isinstance(value, Mapping) and isinstance(defaults[key], Mapping):
            yield from _problems(context, defaults[key], value, f"{path}.")


def _wanted(context: Context, path: str, default: Any) -> tuple[str, ...]:
    if path == "clustermesh.config.clusters":
        return ("object", "array") if context.minor >= 19 else ("array",)
    if path in _UNIONS:
        return _UNIONS[path]
    if path in _NULLABLE:
        return ("null", _NULLABLE[path])
    return () if default is None else (_kind(default),)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, name in (
        (bool, "boolean"),
        (int, "integer"),
        (float, "number"),
        (str, "string"),
        (list, "array"),
        (Mapping, "object"),
    ):
        if isinstance(value, kind):
            return "integer" if isinstance(value, float) and value.is_integer() else name
    return "unknown"
