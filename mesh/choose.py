"""The default goal of a join, and the rules for editing it. Pure: from facts and edits to a ``Goal``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Final

import msgspec

from mesh import catalogue as fact
from mesh.addresses import is_own_machine
from mesh.errors import UsageError
from mesh.facts import FactStore
from mesh.goal import ClusterGoal, Exposure, Goal
from mesh.model.cilium import CiliumSettings
from mesh.model.context import Provider
from mesh.model.kubernetes import provider_of
from mesh.releases import TESTED, parts, propose, supported_lines
from mesh.subject import OfCluster
from mesh.text import mesh_name

NAME: Final = re.compile(r"(?=.{1,32}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_MESH_FIELDS: Final = ("version", "mtu", "exposure", "ca", "certificates", "image")
_CLUSTER_FIELDS: Final = ("name", "id", "pods", "nodeport", "apiserver")
# Whole /16 blocks tried in this order; the first that touches nothing known is taken.
_CANDIDATES: Final = tuple(
    ip_network(block)
    for block in (
        *(f"10.{second}.0.0/16" for second in (*range(120, 251), *range(32, 120), *range(32))),
        *(f"172.{second}.0.0/16" for second in range(16, 32)),
        *(f"100.{second}.0.0/16" for second in range(64, 128)),
    )
)


def default_goal(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str] | None = None) -> Goal:
    """The goal for joining ``clusters``: what is in force stays, the rest is chosen free of every known range.

    ``edits`` maps fields to text: ``pods``, ``name``, ``id``, ``nodeport`` or ``apiserver`` with ``.<cluster>``, and
    ``version``, ``mtu``, ``exposure``, ``ca``, ``certificates``, ``image``. Raises ``UsageError`` for an
    edit that breaks its rule.
    """
    edits = dict(edits or {})
    for field, text in edits.items():
        _refuse_bad(field, text, clusters)
    version, version_source = _version(store, clusters, edits)
    taken = _taken(store, clusters)
    ids = _ids(store, clusters, edits)
    members = []
    for cluster in clusters:
        member = _member(store, cluster, edits, version, version_source, taken, ids[cluster])
        taken += _networks(member.pod_cidrs)
        members.append(member)
    exposure, exposure_source = _exposure(store, clusters, edits)
    if exposure is Exposure.NODE_PORT:
        members = _with_node_ports(members, edits)
    mtu, mtu_source = _mtu(store, clusters, edits)
    goal = Goal(members=tuple(members), exposure=exposure, mtu=mtu, ca=_ca(store, clusters, edits))
    goal = _follow_in_force(goal, store, clusters)
    sources = {"version": version_source, "mtu": mtu_source, "exposure": exposure_source}
    sources["ca"] = "edited" if "ca" in edits else "default"
    return msgspec.structs.replace(
        goal,
        proof_image=edits.get("image", goal.proof_image),
        certificates=edits.get("certificates", goal.certificates),
        sources=sources,
    )


def edit_problem(field: str, text: str, clusters: Sequence[str]) -> str:
    """Why ``text`` cannot be the value of ``field``, or ""."""
    name, _, cluster = field.partition(".")
    if cluster and (name not in _CLUSTER_FIELDS or cluster not in clusters):
        return f"there is no choice {field}"
    if not cluster and name not in _MESH_FIELDS:
        return f"there is no choice {field}"
    return _RULES[name](text.strip(), clusters)


def _refuse_bad(field: str, text: str, clusters: Sequence[str]) -> None:
    problem = edit_problem(field, text, clusters)
    if problem:
        fields = ", ".join((*_MESH_FIELDS, *(f"{name}.<cluster>" for name in _CLUSTER_FIELDS)))
        raise UsageError(f"{field} = {text} cannot be used: {problem}", hint=f"Choices are {fields}.")


def _name_rule(text: str, _: Sequence[str]) -> str:
    if text == "default":
        return "default is Cilium's placeholder and refused in a mesh"
    return "" if NAME.match(text) else "1 to 32 of a-z, 0-9 and -, beginning and ending with a letter or digit"


def _id_rule(text: str, _: Sequence[str]) -> str:
    return "" if text.isdigit() and 1 <= int(text) <= 255 else "a number from 1 to 255"


def _pods_rule(text: str, _: Sequence[str]) -> str:
    for part in text.replace(",", " ").split() or [""]:
        try:
            network = ip_network(part)
        except ValueError as error:
            return str(error)
        if isinstance(network, IPv4Network) and network.prefixlen > 24:
            return f"{part} is smaller than one node's /24"
    return ""


def _nodeport_rule(text: str, _: Sequence[str]) -> str:
    return "" if text.isdigit() and 30000 <= int(text) <= 32767 else "a number from 30000 to 32767"


def _api_server_rule(text: str, _: Sequence[str]) -> str:
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[\w.-]+|\[[0-9a-fA-F:]+\]", host) or not (port.isdigit() and 0 < int(port) < 65536):
        return "HOST:PORT as the nodes reach it"
    return f"{host} is the machine that asks, not the API server" if is_own_machine(host.strip("[]")) else ""


def _version_rule(text: str, _: Sequence[str]) -> str:
    lines = supported_lines()
    line = ".".join(str(part) for part in parts(text)[:2])
    return "" if line in lines else f"values are known for {', '.join(lines)}"


def _mtu_rule(text: str, _: Sequence[str]) -> str:
    return "" if text.isdigit() and (text == "0" or 1280 <= int(text) <= 9001) else "0 (autodetect) or 1280 to 9001"


def _exposure_rule(text: str, _: Sequence[str]) -> str:
    return "" if text in set(Exposure) else "internal LB or NodePort"


def _ca_rule(text: str, clusters: Sequence[str]) -> str:
    good = text == "new" or (text.startswith("keep:") and text[5:] in clusters)
    return "" if good else "new, or keep:<cluster>"


def _certificates_rule(text: str, _: Sequence[str]) -> str:
    return "" if text in ("cronJob", "helm") else "cronJob or helm"


def _image_rule(text: str, _: Sequence[str]) -> str:
    return "" if re.fullmatch(r"[\w.\-/:@]+", text) else "an image reference"


_RULES: Final = {
    "name": _name_rule,
    "id": _id_rule,
    "pods": _pods_rule,
    "nodeport": _nodeport_rule,
    "apiserver": _api_server_rule,
    "version": _version_rule,
    "mtu": _mtu_rule,
    "exposure": _exposure_rule,
    "ca": _ca_rule,
    "certificates": _certificates_rule,
    "image": _image_rule,
}


def _settings(store: FactStore, cluster: str) -> CiliumSettings | None:
    return store.value(fact.SETTINGS, OfCluster(cluster))


def _version(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str]) -> tuple[str, str]:
    if "version" in edits:
        return edits["version"], "edited"
    for cluster in clusters:
        running = store.value(fact.CILIUM_VERSION, OfCluster(cluster))
        if running:
            return running, f"from {cluster}"
    servers = [store.value(fact.VERSION, OfCluster(cluster)) for cluster in clusters]
    return propose(server.git_version for server in servers if server), "default"


def _ids(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str]) -> dict[str, tuple[int, str]]:
    chosen: dict[str, tuple[int, str]] = {}
    for cluster in clusters:
        settings = _settings(store, cluster)
        if f"id.{cluster}" in edits:
            chosen[cluster] = (int(edits[f"id.{cluster}"]), "edited")
        elif settings and settings.cluster_id:
            chosen[cluster] = (settings.cluster_id, "in force")
    used = {number for number, _ in chosen.values()} | _foreign_ids(store, clusters)
    free = (number for number in range(1, 256) if number not in used)
    return {cluster: chosen.get(cluster) or (next(free), "default") for cluster in clusters}


def _foreign_ids(store: FactStore, clusters: Sequence[str]) -> set[int]:
    """Ids of peers outside the chosen clusters that agents of the chosen ones already know."""
    agents = [agent for cluster in clusters for agent in store.value(fact.AGENTS, OfCluster(cluster)) or ()]
    return {remote.cluster_id for agent in agents for remote in agent.remotes if remote.cluster_id}


def _taken(store: FactStore, clusters: Sequence[str]) -> list[IPv4Network]:
    texts: list[str] = ["169.254.0.0/16"]
    for cluster in clusters:
        subject = OfCluster(cluster)
        network = store.value(fact.CLOUD_NETWORK, subject)
        if network:
            texts += (*network.prefixes, *network.node_subnets, *network.service_cidrs, *network.peer_prefixes)
        for vpn in store.value(fact.VPN, subject) or ():
            texts += vpn.static_prefixes
        for node in store.value(fact.NODES, subject) or ():
            texts += (*node.internal_ips, *node.pod_cidrs)
        for service in store.value(fact.SERVICES, subject) or ():
            if (service.namespace, service.name) == ("default", "kubernetes") and service.cluster_ip:
                texts.append(_around(service.cluster_ip))
        settings = _settings(store, cluster)
        if settings:
            texts += settings.pod_cidrs
    return list(_networks(texts))


def _around(address: str) -> str:
    """The /16 about the first Service address: the smallest range the clouds hand out is not told by the API."""
    return address if ":" in address else str(ip_network(f"{address}/16", strict=False))


def _networks(texts: Iterable[str]) -> Iterable[IPv4Network]:
    for text in texts:
        try:
            network = ip_network(text if "/" in text else str(ip_address(text)), strict=False)
        except ValueError:
            continue
        if isinstance(network, IPv4Network):
            yield network


def _member(
    store: FactStore,
    cluster: str,
    edits: Mapping[str, str],
    version: str,
    version_source: str,
    taken: Sequence[IPv4Network],
    identity: tuple[int, str],
) -> ClusterGoal:
    settings = _settings(store, cluster)
    running = store.value(fact.CILIUM_VERSION, OfCluster(cluster))
    sources = {"id": identity[1], "version": "in force" if running else version_source}
    if f"name.{cluster}" in edits:
        name, sources["name"] = edits[f"name.{cluster}"], "edited"
    elif settings and settings.cluster_name not in ("", "default"):
        name, sources["name"] = settings.cluster_name, "in force"
    else:
        name, sources["name"] = mesh_name(cluster), "default"
    if f"pods.{cluster}" in edits:
        pods, sources["pods"] = tuple(edits[f"pods.{cluster}"].replace(",", " ").split()), "edited"
    elif settings and settings.pod_cidrs:
        pods, sources["pods"] = settings.pod_cidrs, "in force"
    else:
        pods, sources["pods"] = (free_range(taken),), "default"
    told = edits.get(f"apiserver.{cluster}", "").strip()
    return ClusterGoal(cluster, name, identity[0], pods, running or version, api_server=told, sources=sources)


def free_range(taken: Sequence[IPv4Network]) -> str:
    """The first /16 that overlaps nothing taken. Raises ``UsageError`` when all private space is in use."""
    for candidate in _CANDIDATES:
        if not any(candidate.overlaps(other) for other in taken):
            return str(candidate)
    raise UsageError(
        "No private /16 is free for pods",
        "Every candidate overlaps a known range.",
        "Choose ranges with pods.<cluster>=CIDR.",
    )


def _exposure(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str]) -> tuple[Exposure, str]:
    if "exposure" in edits:
        return Exposure(edits["exposure"]), "edited"
    for cluster in clusters:
        server = store.value(fact.MESH_API, OfCluster(cluster))
        if server and server.service_type == "NodePort":
            return Exposure.NODE_PORT, f"from {cluster}"
    if any(_provider(store, cluster) in (Provider.KIND, Provider.OTHER) for cluster in clusters):
        return Exposure.NODE_PORT, "default"
    return Exposure.INTERNAL_LB, "default"


def _provider(store: FactStore, cluster: str) -> Provider | None:
    """Whose load balancers the cluster has: as its nodes say, else as its context looks; None if neither is known."""
    ref = store.value(fact.CONTEXT, OfCluster(cluster))
    return provider_of(ref, store.value(fact.NODES, OfCluster(cluster)) or ()) if ref else None


def _with_node_ports(members: Sequence[ClusterGoal], edits: Mapping[str, str]) -> list[ClusterGoal]:
    """A different port per cluster: with kube-proxy replacement equal ones are answered locally (R13, F17)."""
    ports = {m.cluster: int(edits.get(f"nodeport.{m.cluster}", 32379 - 1 + m.cluster_id)) for m in members}
    return [msgspec.structs.replace(member, node_port=min(ports[member.cluster], 32767)) for member in members]


def _mtu(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str]) -> tuple[int, str]:
    if "mtu" in edits:
        return int(edits["mtu"]), "edited"
    in_force = {s.mtu for cluster in clusters if (s := _settings(store, cluster)) and s.mtu}
    if in_force:
        return min(in_force), "in force"
    networks = {network.id for c in clusters if (network := store.value(fact.CLOUD_NETWORK, OfCluster(c)))}
    return (1400, "default") if len(networks) > 1 else (0, "default")


def _ca(store: FactStore, clusters: Sequence[str], edits: Mapping[str, str]) -> str:
    if "ca" in edits:
        return edits["ca"]
    for cluster in clusters:
        certificates = store.value(fact.CERTIFICATES, OfCluster(cluster))
        if certificates and certificates.ca:
            return f"keep:{cluster}"
    return "new"


def _follow_in_force(goal: Goal, store: FactStore, clusters: Sequence[str]) -> Goal:
    """New members take the datapath of the first member that runs Cilium (R04, R05)."""
    for cluster in clusters:
        settings = _settings(store, cluster)
        if settings:
            return msgspec.structs.replace(
                goal,
                routing_mode=settings.routing_mode,
                tunnel_protocol=settings.tunnel_protocol,
                tunnel_port=settings.tunnel_port,
                max_connected_clusters=settings.max_connected_clusters,
            )
    return goal


def known_versions() -> tuple[str, ...]:
    """Every release named in the values table, newest first."""
    return tuple(sorted(TESTED, key=parts, reverse=True))
