"""One function per effect: from data to calls on the writing gateways. Every effect may be carried out again."""

from collections.abc import Mapping

from mesh import catalogue as fact
from mesh import plan as effects
from mesh.aim import overlay
from mesh.checks import ALL_CHECKS
from mesh.conditions import api_addresses
from mesh.effects.demonstration import demonstrate
from mesh.effects.workbench import Workbench
from mesh.engine import evaluate
from mesh.errors import StepFailed
from mesh.facts import FactStore
from mesh.finding import Opening, State
from mesh.model.cilium import PeerEntry
from mesh.plan import Effect, Plan
from mesh.ports import Outcome
from mesh.subject import OfCluster
from mesh.values import connect_values

_PATH_FACTS = (
    fact.MESH_API.name,
    fact.NODES.name,
    fact.LOAD_BALANCER.name,
    fact.FIREWALL.name,
    fact.SETTINGS.name,
    fact.CLOUD_NETWORK.name,
)


async def carry_out(effect: Effect, bench: Workbench) -> Outcome:
    """Do it. Raises ``StepFailed`` or ``Refused`` with the words of whoever refused."""
    match effect:
        case effects.OpenRules():
            cloud = bench.writers.cloud(effect.cluster)
            return await cloud.open_rules(effect.group, effect.resource_id, effect.rules, bench.output)
        case effects.PlaceCa():
            return await _place_ca(effect, bench)
        case effects.ParkDaemonSets():
            cluster = bench.writers.cluster(effect.cluster)
            return _merge([await cluster.park_daemon_set(effect.namespace, name) for name in effect.names])
        case effects.DisableAksKubeProxy():
            return await bench.writers.cloud(effect.cluster).disable_kube_proxy(effect.resource_id, bench.output)
        case effects.HelmApply():
            ref = bench.writers.context(effect.cluster)
            return await bench.writers.helm.apply(
                ref, effect.release, effect.namespace, effect.version, effect.values, bench.output
            )
        case effects.RestartPods():
            return await bench.writers.cluster(effect.cluster).restart_unmanaged_pods(bench.output, bench.clock)
        case effects.OpenPath():
            return await _open_path(bench)
        case effects.ConnectPeers():
            return await _connect(effect, bench)
        case effects.Prove():
            return await demonstrate(effect, bench)
        case effects.WaitAddress() | effects.Verify():
            return Outcome()


def _merge(outcomes: list[Outcome]) -> Outcome:
    changed = tuple(item for outcome in outcomes for item in outcome.changed)
    undo = {"parts": [outcome.undo for outcome in outcomes if outcome.undo]}
    return Outcome(changed, undo if undo["parts"] else {})


async def _place_ca(effect: effects.PlaceCa, bench: Workbench) -> Outcome:
    """The source's CA, else one that a member already has (an earlier try placed it), else a new one."""
    ca = await bench.writers.cluster(effect.source).read_ca(effect.namespace) if effect.source else None
    if effect.source and ca is None:
        raise StepFailed(
            f"{effect.source} has no cilium-ca with a key", hint="Choose another CA in the plan's choices."
        )
    for cluster in effect.clusters:
        ca = ca or await bench.writers.cluster(cluster).read_ca(effect.namespace)
    ca = ca or bench.writers.new_ca()
    outcomes = []
    for cluster in effect.clusters:
        outcomes.append(await bench.writers.cluster(cluster).write_ca(effect.namespace, effect.release, ca))
        bench.output(f"secret/cilium-ca in {cluster}: CA {ca.fingerprint[:16]}")
    return _merge(outcomes)


async def _open_path(bench: Workbench) -> Outcome:
    """Judge the path to each mesh API on fresh facts and open what the findings say is closed."""
    store = await bench.reread(_PATH_FACTS)
    planned = overlay(store, bench.plan.goal, bench.plan.clusters)
    findings = evaluate(planned, bench.plan.clusters, ALL_CHECKS)
    closed: dict[tuple[str, str, str], list[Opening]] = {}
    for finding in findings:
        if finding.code == "CM0405" and finding.state is State.FAIL and finding.fixes:
            for opening in finding.fixes[0].opens:
                closed.setdefault((opening.cluster, opening.group, opening.resource_id), []).append(opening)
    if not closed:
        bench.output("every hop is open already")
    outcomes = []
    for (cluster, group, resource_id), openings in sorted(closed.items()):
        rules = tuple(dict.fromkeys(opening.rule for opening in openings))
        outcomes.append(await bench.writers.cloud(cluster).open_rules(group, resource_id, rules, bench.output))
    return _merge(outcomes)


async def _connect(effect: effects.ConnectPeers, bench: Workbench) -> Outcome:
    """Write every other member into each release: addresses as they are now, peers from outside the plan kept."""
    store = await bench.reread((fact.MESH_API.name, fact.NODES.name, fact.LOAD_BALANCER.name, fact.PEERS.name))
    entries: dict[str, PeerEntry] = {}
    ports: dict[str, int] = {}
    for cluster in effect.clusters:
        name = _name(bench.plan, cluster)
        addresses = await _addresses(store, cluster, bench)
        server = store.value(fact.MESH_API, OfCluster(cluster))
        ports[name] = server.node_port if server and server.service_type == "NodePort" else 2379
        entries[name] = PeerEntry(name, (f"https://{name}.mesh.cilium.io:{ports[name]}",), addresses)
    return _merge(
        await bench.together([_list_peers(cluster, entries, ports, store, bench) for cluster in effect.clusters])
    )


async def _list_peers(
    cluster: str, entries: Mapping[str, PeerEntry], ports: Mapping[str, int], store: FactStore, bench: Workbench
) -> Outcome:
    own = _name(bench.plan, cluster)
    others = [peer for peer in store.value(fact.PEERS, OfCluster(cluster)) or () if peer.name not in entries]
    _refuse_embedded(cluster, others)
    every = {**ports, **{peer.name: _port_of(peer) for peer in others}}
    peers = [*(entry for name, entry in entries.items() if name != own), *others]
    version = next(member.version for member in bench.plan.goal.members if member.cluster == cluster)
    values = connect_values(version, peers, every)
    bench.output(f"{cluster}: peers {', '.join(sorted(peer.name for peer in peers))}")
    ref = bench.writers.context(cluster)
    return await bench.writers.helm.apply(ref, "cilium", "kube-system", version, values, bench.output)


def _name(plan: Plan, cluster: str) -> str:
    return next(member.name for member in plan.goal.members if member.cluster == cluster)


def _port_of(peer: PeerEntry) -> int:
    tail = peer.endpoints[0].rpartition(":")[2] if peer.endpoints else ""
    return int(tail) if tail.isdigit() else 2379


def _refuse_embedded(cluster: str, peers: list[PeerEntry]) -> None:
    for peer in peers:
        if peer.embedded_certificate or not peer.ips:
            raise StepFailed(
                f"{cluster} lists {peer.name}, which is not part of this plan, in a form that cannot be kept",
                "Its entry holds a certificate of its own or no address, and Helm replaces the whole list of peers.",
                f"Add {peer.name} to the plan, or remove it from clustermesh.config.clusters first.",
            )


async def _addresses(store: FactStore, cluster: str, bench: Workbench) -> tuple[str, ...]:
    found = api_addresses(store, cluster)
    server = store.value(fact.MESH_API, OfCluster(cluster))
    if not found and server:
        for host in server.ingress_hostnames:
            found += await bench.writers.cloud(cluster).resolve(host)
    if not found:
        context = bench.writers.context(cluster).context
        raise StepFailed(
            f"The mesh API of {cluster} has no address that peers could use",
            "Its Service has no load balancer address, and the cloud told none.",
            f"Look at its events: kubectl --context {context} -n kube-system describe service clustermesh-apiserver",
        )
    server_type = server.service_type if server else ""
    return found[:1] if server_type == "NodePort" else found
