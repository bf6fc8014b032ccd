"""``cilium clustermesh enable``, ``disable``, ``connect`` and ``disconnect``: values of Helm releases, changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from backends.lab.charts.trees import Tree
from backends.lab.charts.version import ChartVersion
from backends.lab.commands.cilium import peers
from backends.lab.commands.cilium.access import Access, access, check_pair, same_authority
from backends.lab.commands.cilium.client import Client, Fatal, Flavour
from backends.lab.commands.kube.port import Unreachable
from backends.lab.commands.releases.errors import NotFound
from backends.lab.commands.releases.options import Options, Patience
from backends.lab.commands.releases.upgrade import Values, stored_chart, upgrade

BIDIRECTIONAL: Final = "bidirectional"
MESH: Final = "mesh"
UNICAST: Final = "unicast"
MODES: Final = (BIDIRECTIONAL, MESH, UNICAST)

_BALANCERS: Final[Mapping[Flavour, tuple[str, dict[str, str]]]] = {
    "GKE": (
        "🔮 Auto-exposing service within GCP VPC (networking.gke.io/load-balancer-type=Internal)",
        {
            "networking.gke.io/load-balancer-type": "Internal",
            "networking.gke.io/internal-load-balancer-allow-global-access": "true",
        },
    ),
    "AKS": (
        "🔮 Auto-exposing service within Azure VPC (service.beta.kubernetes.io/azure-load-balancer-internal)",
        {"service.beta.kubernetes.io/azure-load-balancer-internal": "true"},
    ),
    "EKS": (
        "🔮 Auto-exposing service within AWS VPC (service.beta.kubernetes.io/aws-load-balancer-scheme: internal",
        {"service.beta.kubernetes.io/aws-load-balancer-scheme": "internal"},
    ),
}


@dataclass(slots=True)
class Plan:
    """What connect found out: peers to write per cluster, and CAs that must trust each other."""

    local: Access
    remotes: list[tuple[Client, Access]] = field(default_factory=list)
    authorities: dict[str, str] = field(default_factory=dict)


def enable(client: Client, service_type: str, kvstoremesh: bool | None) -> None:
    """Turn the mesh API on; an explicit service type gets no annotation, so a load balancer may be public (§3.2)."""
    apiserver: Tree = {"service": _service(client, service_type)}
    apiserver["tls"] = {"auto": {"enabled": True, "method": "cronJob", "schedule": "0 0 1 */4 *"}}
    if kvstoremesh is not None:
        apiserver["kvstoremesh"] = {"enabled": kvstoremesh}
    found = {"clustermesh": {"useAPIServer": True, "config": {"enabled": True}, "apiserver": apiserver}}
    _upgrade(client, found, "reuse")


def disable(client: Client) -> None:
    """Turn the mesh API off and forget the peers; other clusters keep theirs."""
    config = {"enabled": False, "clusters": []}
    _upgrade(client, {"clustermesh": {"useAPIServer": False, "config": config}}, "reuse")


def connect(
    client: Client,
    remotes: Sequence[Client],
    mode: str,
    endpoints: tuple[list[str], list[str]],
    *,
    allow_other_ca: bool,
) -> None:
    """Connect ``client`` with each remote; ``endpoints`` are the source's and the destinations', if given."""
    _check_mode(mode)
    try:
        here = client.last_release()
    except NotFound:
        print("❌ Unable to find Helm release for the target cluster")
        raise
    mine, disabled = peers.current(here.config)
    plan = Plan(_access(client, endpoints[0]))
    for remote in remotes:
        _survey(remote, plan, endpoints[1], allow_other_ca=allow_other_ca)
    theirs = {found.cluster_name: peers.entry(found) for _, found in plan.remotes}
    names = [remote.cluster_name for remote in remotes]
    _configure(client, names, "connect to")
    _write(client, {**mine, **theirs}, disabled, plan.authorities)
    if mode != UNICAST:
        own = {plan.local.cluster_name: peers.entry(plan.local)}
        for remote, found in plan.remotes:
            added = {**theirs, **own} if mode == MESH else own
            added = {name: peer for name, peer in added.items() if name != found.cluster_name}
            others = [*(names if mode == MESH else []), client.cluster_name]
            _configure(remote, [name for name in others if name != remote.cluster_name], "connect to")
            known, off = _peers_of(remote)
            _write(remote, {**known, **added}, off, plan.authorities)
    _say_done(client, names, mode, ("Connected cluster", "Connected clusters"), {BIDIRECTIONAL: "<=>", UNICAST: "=>"})


def disconnect(client: Client, remotes: Sequence[Client], mode: str) -> None:
    """Take the entries out on both sides; needs access to every remote."""
    if not remotes:
        raise Fatal(
            "no destination context specified, use --destination-context to specify which cluster to disconnect from"
        )
    _check_mode(mode)
    try:
        here = client.last_release()
    except NotFound:
        print("❌ Unable to find Helm release for the target cluster")
        raise
    gone = [_name(remote) for remote in remotes]
    mine, disabled = _without(peers.current(here.config), gone)
    own = [_name(client), *(gone if mode == MESH else [])]
    left = [(remote, _without(_peers_of(remote), own)) for remote in remotes]
    names = [remote.cluster_name for remote in remotes]
    _configure(client, names, "disconnect from")
    _write(client, mine, disabled, {})
    if mode != UNICAST:
        for remote, (known, off) in left:
            others = [name for name in names if name != remote.cluster_name] if mode == MESH else []
            _configure(remote, [*others, client.cluster_name], "disconnect from")
            _write(remote, known, off, {})
    marks = {BIDIRECTIONAL: "<x>", UNICAST: "x>"}
    _say_done(client, names, mode, ("Disconnected clusters", "Disconnected clusters"), marks)


def remote_clients(client: Client, contexts: Sequence[str]) -> list[Client]:
    """Clients of other contexts, which are looked up in the default configuration; raises ``Fatal``."""
    found = []
    for context in contexts:
        try:
            found.append(Client.of("", context, client.namespace, client.release_name))
        except Unreachable as error:
            raise Fatal(f'unable to create Kubernetes client to access remote cluster "{context}": {error}') from error
    return found


def _service(client: Client, service_type: str) -> Tree:
    if service_type == "NodePort":
        print("⚠️  Using service type NodePort may fail when nodes are removed from the cluster!")
    elif service_type and service_type != "LoadBalancer":
        raise Fatal(f'service type "{service_type}" is not valid')
    if service_type:
        return {"type": service_type}
    balancer = _BALANCERS.get(client.flavour())
    if balancer is None:
        raise Fatal("cannot auto-detect service type, please specify using '--service-type' option")
    print(balancer[0], flush=True)
    return {"type": "LoadBalancer", "annotations": dict(balancer[1])}


def _survey(remote: Client, plan: Plan, endpoints: list[str], *, allow_other_ca: bool) -> None:
    found = _access(remote, endpoints)
    check_pair(plan.local, found)
    if not same_authority(plan.local, found):
        pair = (
            f"Cilium CA certificates do not match between clusters {plan.local.cluster_name} and {found.cluster_name}."
        )
        if not allow_other_ca:
            raise Fatal(f"{pair} Use --allow-mismatching-ca to allow this by adding remote CAs to the CA bundle")
        print(f"⚠️ {pair} Remote cluster CA will be trusted in the CA bundle", flush=True)
        for each in (plan.local, found):
            plan.authorities.setdefault(each.cluster_name, each.authority.decode(errors="replace"))
    if any(other.cluster_name == found.cluster_name for _, other in plan.remotes):
        raise Fatal(f"Multiple remote clusters have the same name '{found.cluster_name}'")
    _peers_of(remote)
    plan.remotes.append((remote, found))


def _access(client: Client, endpoints: list[str]) -> Access:
    try:
        return access(client, endpoints, _say, verbose=True)
    except Fatal as error:
        print(f'❌ Unable to retrieve access information of cluster "{client.cluster_name}": {error}', flush=True)
        raise


def _peers_of(remote: Client) -> tuple[Tree, Tree]:
    try:
        return peers.current(remote.last_release().config)
    except NotFound:
        print("❌ Unable to find Helm release for the remote cluster")
        raise


def _without(found: tuple[Tree, Tree], names: Sequence[str]) -> tuple[Tree, Tree]:
    enabled, disabled = ({name: peer for name, peer in part.items() if name not in names} for part in found)
    return enabled, disabled


def _name(client: Client) -> str:
    settings = client.settings()
    for key in ("cluster-id", "cluster-name"):
        if key not in settings:
            raise Fatal(f'unable to locate key: "{key}" in ConfigMap "cilium-config"')
    return settings["cluster-name"]


def _write(client: Client, found: Tree, disabled: Tree, authorities: Mapping[str, str]) -> None:
    release = client.last_release()
    version = ChartVersion.parse(str((release.chart.get("metadata") or {}).get("version", "")))
    config = peers.planted(release, client.cluster_name, found, disabled, version.minor)
    if authorities:
        peers.trust(config, client.cluster_name, authorities, client.port.now())
    _upgrade(client, config, "default")


def _upgrade(client: Client, values: Mapping[str, Any], policy: Values) -> None:
    """The chart stays the release's own; hooks are waited for as helm 4 does by default."""
    release = client.last_release()
    options = Options(patience=Patience(30.0, sleep=client.sleep), history_max=0, keep_null=False, cli=True)
    upgrade(
        client.port,
        stored_chart(release),
        values,
        name=client.release_name,
        namespace=client.namespace,
        policy=policy,
        options=options,
    )


def _check_mode(mode: str) -> None:
    if mode not in MODES:
        print(f"❌ {mode} is not a correct connection mode.")
        print(f"Available connection modes: {', '.join(MODES)}")
        raise Fatal("Bad connection mode")


def _configure(client: Client, others: Sequence[str], what: str) -> None:
    _say(f"ℹ️ Configuring Cilium in cluster {client.cluster_name} to {what} cluster {','.join(others)}")


def _say_done(
    client: Client, names: Sequence[str], mode: str, words: tuple[str, str], marks: Mapping[str, str]
) -> None:
    if mode == MESH:
        print(f"✅ {words[1]} {', '.join(names)}, and {client.cluster_name}!")
        return
    for name in names:
        print(f"✅ {words[0]} {client.cluster_name} {marks[mode]} {name}!")


def _say(line: str) -> None:
    print(line, flush=True)
