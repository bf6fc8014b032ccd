"""L4: the rules on the nodes themselves let the mesh's packets out of one cluster and into the other."""

from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from mesh import catalogue as fact
from mesh.addresses import cidrs, ranges, sample, union
from mesh.facts import Known
from mesh.finding import Check, Command, EvidenceRef, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.cilium import MeshApiServer
from mesh.model.kubernetes import Node
from mesh.model.network import Firewall, LoadBalancer
from mesh.reach.openings import far_ranges, open_fix, wider_fix
from mesh.reach.path import Closed, Far, Guard, SideVerdict, Unsure, far_at, far_of, judge_side, open_to
from mesh.reach.rules import ECHO, IN, OUT, Flow
from mesh.subject import OfCluster, OfPair, Subject
from mesh.text import plural
from mesh.view import NeedFact, View, any_of, attempt, in_force, settings_of, without_cilium

HEALTH: Final = Flow("tcp", 4240)
_RULES: Final = (fact.SETTINGS.name, fact.FIREWALL.name, fact.NODES.name, fact.CLOUD_NETWORK.name)


_NO_GROUPS: Final = Firewall()


class Sides(Struct):
    """What both ends say about a way: verdicts side by side, and what could not be read."""

    verdicts: list[SideVerdict]
    missing: list[Missing]

    @property
    def closed(self) -> list[Closed]:
        """Every group that keeps a flow out, at the target first: that is where rules are usually lacking."""
        found = [item for verdict in self.verdicts for item in verdict.closed]
        return sorted(found, key=lambda item: item.direction)


def _ends(subject: Subject) -> tuple[str, str]:
    assert isinstance(subject, OfPair)
    return subject.source, subject.target


def _not_judged(view: View, subject: Subject) -> str:
    source, target = _ends(subject)
    reason = without_cilium(view, source, target)
    if reason:
        return reason
    if not any_of(partial(_has_rules, view, cluster) for cluster in (source, target)):
        return "neither cluster is in a cloud whose rules are read"
    for cluster in (source, target):
        nodes = view.known(fact.NODES, OfCluster(cluster))
        if isinstance(nodes, Known) and not nodes.value:
            return f"{cluster} has no nodes"
    return ""


def _has_rules(view: View, cluster: str) -> bool:
    return view.of(fact.FIREWALL, cluster) is not None


def _no_tunnel(view: View, subject: Subject) -> str:
    source, _ = _ends(subject)
    reason = without_cilium(view, *_ends(subject))
    if not reason and settings_of(view, source).routing_mode != "tunnel":
        return f"{source} routes natively: it has no tunnel"
    return reason or _not_judged(view, subject)


def _no_health(view: View, subject: Subject) -> str:
    reason = without_cilium(view, *_ends(subject))
    silent = [] if reason else [c for c in _ends(subject) if not settings_of(view, c).health_checking]
    return reason or (f"health checking is off in {silent[0]}" if silent else "") or _not_judged(view, subject)


def _guard(view: View, cluster: str, missing: list[Missing]) -> Guard | None:
    """The rules on a cluster's nodes; None where no cloud is read, or what it would take is not known."""
    firewall = attempt(partial(view.of, fact.FIREWALL, cluster), missing)
    nodes = attempt(partial(view.of, fact.NODES, cluster), missing)
    network = attempt(partial(view.of, fact.CLOUD_NETWORK, cluster), missing)
    if not firewall or not nodes:
        return None
    return view.once(("guard", cluster), lambda: Guard(cluster, firewall, nodes, network.id if network else ""))


def _far(view: View, cluster: str, missing: list[Missing]) -> Far | None:
    """A cluster's nodes as the other end, as far as they are known."""
    lacking: list[Missing] = []
    nodes = attempt(partial(view.of, fact.NODES, cluster), lacking)
    firewall = view.known(fact.FIREWALL, OfCluster(cluster))
    groups = firewall.value or _NO_GROUPS if isinstance(firewall, Known) else None
    if groups is None:
        attempt(partial(view.of, fact.FIREWALL, cluster), lacking)
        groups = _NO_GROUPS if nodes and all(_outside_aws(node) for node in nodes) else None
    network = attempt(partial(view.of, fact.CLOUD_NETWORK, cluster), lacking)
    missing += lacking
    if nodes is None:
        return None

    def build() -> Far:
        return far_of(nodes, groups, network.node_subnets if network else (), network.id if network else "")

    return view.once(("far", cluster), build)


def _outside_aws(node: Node) -> bool:
    """Whether a node is known to be in no security group, by the cloud its provider id names."""
    cloud, found, _ = node.provider_id.partition("://")
    return bool(found) and cloud != "aws"


def _between(view: View, subject: Subject, flows: tuple[Flow, ...]) -> Sides:
    """Nodes of the source to nodes of the target: out at the one, in at the other."""
    source, target = _ends(subject)
    sides = Sides([], [])
    for cluster, direction, other in ((target, IN, source), (source, OUT, target)):
        _side(view, sides, cluster, direction, flows, _far(view, other, sides.missing))
    return sides


def _side(view: View, sides: Sides, cluster: str, direction: str, flows: tuple[Flow, ...], far: Far | None) -> None:
    guard = _guard(view, cluster, sides.missing)
    if guard is not None and far is not None:
        sides.verdicts += (judge_side(guard, direction, flow, far) for flow in flows)


def _verdict(view: View, subject: Subject, sides: Sides, flows: tuple[Flow, ...], purpose: str) -> Verdict:
    source, target = _ends(subject)
    words = tuple(str(flow) for flow in flows)
    args: dict[str, object] = {"flows": words, "source": source, "target": target}
    notes = tuple(_note(view, verdict) for verdict in sides.verdicts)
    if sides.closed:
        return _closed(view, subject, sides, notes, purpose)
    if sides.missing:
        raise NeedFact(tuple(dict.fromkeys(sides.missing)))
    unsure = [item for verdict in sides.verdicts for item in verdict.unsure]
    if unsure:
        named: dict[str, object] = {"why": unsure[0].why, "cluster": unsure[0].cluster, "flows": words}
        return Verdict(State.UNKNOWN, named, "unsure", notes, _look(view, unsure[0]))
    later = [item for verdict in sides.verdicts for item in verdict.later]
    if later:
        subnets = cidrs(union(*(ranges(item.far) for item in later)))[:8]
        named = {"cluster": later[0].cluster, "flows": words, "subnets": subnets}
        # What is open today is no step of a plan.
        fixes = tuple(replace(fix, in_plan=False) for fix in _fixes(view, subject, later, purpose))
        return Verdict(State.WARN, named, notes=notes, fixes=fixes)
    return Verdict(State.PASS, args, notes=notes)


def _look(view: View, unsure: Unsure) -> tuple[Fix, ...]:
    """The rules of the group that leaves the verdict open, as its cloud lists them."""
    cloud = view.cloud(unsure.cluster)
    got = view.aside().known(fact.FIREWALL, OfCluster(unsure.cluster))
    groups = got.value.groups if isinstance(got, Known) and got.value else ()
    group = next((item for item in groups if item.id == unsure.group), None)
    if cloud is None or group is None:
        return ()
    words: tuple[str, ...]
    if group.kind == "sg":
        place = ("--region", cloud.region) if cloud.region else ()
        words = ("aws", "ec2", "describe-security-group-rules", *place)
        words = (*words, "--filters", f"Name=group-id,Values={group.id}")
    elif group.resource_id:
        words = ("az", "network", "nsg", "show", "--ids", group.resource_id)
    else:
        words = ("az", "network", "nsg", "show", "-g", cloud.node_resource_group, "-n", group.name or group.id)
    command = Command(words, unsure.cluster)
    return (Fix("look", f"look at the rules of {unsure.group} themselves", (command,), Risk.NONE),)


def _closed(view: View, subject: Subject, sides: Sides, notes: tuple[EvidenceRef, ...], purpose: str) -> Verdict:
    source, target = _ends(subject)
    closed = sides.closed
    first = closed[0]
    same = [item for item in closed if item.group.id == first.group.id and item.direction == first.direction]
    args: dict[str, object] = {
        "group": first.group.id,
        "flows": tuple(dict.fromkeys(str(item.flow) for item in same)),
        "far": far_ranges(first, _subnets(view, source if first.cluster == target else target))[:4],
        "also": tuple(dict.fromkeys(item.group.id for item in closed if item.group.id != first.group.id)),
    }
    if first.foreign:
        return Verdict(
            State.FAIL,
            args,
            "foreign",
            notes,
            (_let_gateway_learn(view, first), *_fixes(view, subject, closed, purpose)),
        )
    variant = "" if first.direction == IN else "out"
    if first.decided is not None and first.decided.priority < 65000:
        variant = "denied"
        args |= {"rule": first.decided.name or first.decided.id, "priority": first.decided.priority}
    return Verdict(State.FAIL, args, variant, notes, _fixes(view, subject, closed, purpose))


def _fixes(view: View, subject: Subject, closed: list[Closed], purpose: str) -> tuple[Fix, ...]:
    """The narrow remedy for every closed group at both ends, then the wider one."""
    source, target = _ends(subject)
    clouds = {c: identity for c in (source, target) if (identity := view.cloud(c))}
    narrow: list[Fix] = []
    wide: list[Fix] = []
    for cluster in (target, source):
        here = [item for item in closed if item.cluster == cluster]
        if not here:
            continue
        peer = source if cluster == target else target
        fix = open_fix(here, clouds, _subnets(view, peer), _subnets(view, cluster), peer, purpose)
        narrow.append(fix)
        if prefixes := _subnets(view, peer, prefixes=True):
            wide.append(wider_fix(fix, here, clouds, prefixes))
    return tuple(_joined(fixes) for fixes in (narrow, wide) if fixes)


def _subnets(view: View, cluster: str, prefixes: bool = False) -> tuple[str, ...]:
    """The nodes' subnets, or all prefixes of their network, where they are known: for naming a far end."""
    got = view.aside().known(fact.CLOUD_NETWORK, OfCluster(cluster))
    network = got.value if isinstance(got, Known) else None
    if network is None:
        return ()
    return tuple(network.prefixes if prefixes else network.node_subnets)


def _joined(fixes: list[Fix]) -> Fix:
    return Fix(
        fixes[0].id,
        "; ".join(fix.text for fix in fixes),
        tuple(command for fix in fixes for command in fix.commands),
        Risk.LOW,
        True,
        tuple(dict.fromkeys(right for fix in fixes for right in fix.needs)),
        all(fix.in_plan for fix in fixes),
        tuple(opening for fix in fixes for opening in fix.opens),
    )


def _let_gateway_learn(view: View, closed: Closed) -> Fix:
    """Azure: repair what the gateway knows, which mends tag and routes at once; a rule would mend neither."""
    identity = view.cloud(closed.cluster)
    group = identity.resource_group if identity else ""
    words = ("az", "network", "local-gateway", "list", "-g", group, "-o", "table") if group else ()
    text = f"let the VPN gateway of {closed.cluster} know {', '.join(closed.far)}: by BGP or its local network gateway"
    return Fix("gateway-prefixes", text, (Command(words, closed.cluster),) if words else (), Risk.DISRUPTIVE)


def _note(view: View, verdict: SideVerdict) -> EvidenceRef:
    way = f"{verdict.flow} {'into' if verdict.direction == IN else 'out of'} {verdict.cluster}"
    if verdict.closed:
        first, decided = verdict.closed[0], verdict.closed[0].decided
        if decided is not None:
            text = f"{way}: {first.group.id} rule {decided.name or decided.id} ({decided.priority}) denies"
        else:
            text = f"{way}: {first.group.id} has {plural(first.rules, 'rule')} of that direction, none matches "
            text += sample(ranges(first.far))
        if first.nearest:
            rule, fails = first.nearest.rule, first.nearest.fails
            text += f"; nearest {rule.name or rule.id}: {', '.join(fails)} differs"
        return view.note(fact.FIREWALL, verdict.cluster, text, State.FAIL.value)
    if verdict.unsure:
        return view.note(fact.FIREWALL, verdict.cluster, f"{way}: {verdict.unsure[0].why}", State.UNKNOWN.value)
    by = ", ".join(verdict.allowed_by) or "no group stands in the way"
    return view.note(fact.FIREWALL, verdict.cluster, f"{way} at {verdict.nodes} nodes: {by}", State.PASS.value)


def _tunnel(view: View, subject: Subject) -> Verdict:
    settings = settings_of(view, _ends(subject)[0])
    flows = (Flow("udp", settings.tunnel_port),)
    return _verdict(view, subject, _between(view, subject, flows), flows, settings.tunnel_protocol)


def _health(view: View, subject: Subject) -> Verdict:
    flows = (HEALTH, ECHO)
    return _verdict(view, subject, _between(view, subject, flows), flows, "health")


def _no_mesh_api(view: View, subject: Subject) -> str:
    source, target = _ends(subject)
    reason = without_cilium(view, source, target)
    if reason:
        return reason
    if view.of(fact.MESH_API, target) is None and target not in view.goal(source):
        return f"Cluster Mesh is not enabled in {target} and no join is planned"
    return _not_judged(view, subject)


def _mesh_api(view: View, subject: Subject) -> Verdict:
    _, target = _ends(subject)
    server = view.of(fact.MESH_API, target)
    if server is None:
        variant = "enable" if in_force(view, target) else ""
        return Verdict(State.INFO, {"target": target}, variant, to_do=True)
    if server.service_type == "NodePort":
        flow = Flow("tcp", server.node_port)
        return _verdict(view, subject, _between(view, subject, (flow,)), (flow,), "mesh-api")
    if server.service_type != "LoadBalancer":
        return Verdict(State.INFO, {"target": target, "type": server.service_type}, "type")
    balancer = view.of(fact.LOAD_BALANCER, target)
    if balancer is not None and balancer.internal is False:
        return Verdict(State.INFO, {"target": target}, "public")
    if not (server.ingress_ips or (balancer is not None and balancer.addresses)):
        return Verdict(State.INFO, {"target": target}, "no-address")
    sides = _through_balancer(view, subject, server, balancer)
    return _verdict(view, subject, sides, (Flow("tcp", server.port),), "mesh-api")


def _through_balancer(view: View, subject: Subject, server: MeshApiServer, balancer: LoadBalancer | None) -> Sides:
    """Client nodes → load balancer → node port (cloud-network §4.6)."""
    source, target = _ends(subject)
    sides = Sides([], [])
    front = Flow("tcp", server.port)
    addresses = balancer.addresses if balancer and balancer.addresses else server.ingress_ips
    place = attempt(partial(view.of, fact.CLOUD_NETWORK, target), sides.missing)
    network = place.id if place else ""
    groups = tuple(group.id for group in balancer.groups) if balancer else ()
    _side(view, sides, source, OUT, (front,), far_at(addresses, groups, network))
    clients = _far(view, source, sides.missing)
    if balancer is None or clients is None:
        return sides
    if balancer.groups:
        sides.verdicts.append(open_to(balancer.groups, front, clients, target, network))
    port = balancer.target_port or server.node_port
    if port:
        inside = far_at((*addresses, *balancer.subnets), groups, network)
        seen = clients if balancer.preserves_client_ip else inside
        _side(view, sides, target, IN, (Flow("tcp", port),), seen)
    return sides


_PATH_TEXTS: Final = {
    "PASS": "{flows} from {source} to {target} is let out and in",
    "WARN": "{flows}: the rules of {cluster} let today's nodes through, not new ones in {subnets}",
    "FAIL": "{group} has no rule for {flows} from {far}{also:; nor has }",
    "FAIL.out": "{group} lets no {flows} out to {far}{also:; nor does }",
    "FAIL.denied": "{group} denies {flows} for {far}: rule {rule}, priority {priority}{also:; so does }",
    "FAIL.foreign": "{group} drops {flows} from {far}: the VPN gateway does not know these addresses{also:; so does }",
    "UNKNOWN.unsure": "{flows} at {cluster}: {why}",
}
_DOCS: Final = ("cilium/operations/system_requirements", "cloud/security-groups", "cloud/network-security-groups")

CHECKS: Final = (
    Check(
        code="CM0403",
        title="The nodes' rules let the tunnel through, this way",
        layer=4,
        scope=Scope.DIRECTED,
        severity=Severity.CRITICAL,
        inputs=_RULES,
        gates=("CM0002", "CM0323"),
        causes=("CM0307",),
        applies=_no_tunnel,
        body=_tunnel,
        texts=_PATH_TEXTS,
        why="A tunnel is two one-way flows: to a firewall the answer is no reply, so each direction needs a rule.",
        docs=_DOCS,
    ),
    Check(
        code="CM0404",
        title="The nodes' rules let health checks through, this way",
        layer=4,
        scope=Scope.DIRECTED,
        severity=Severity.WARN,
        inputs=_RULES,
        gates=("CM0002", "CM0323"),
        applies=_no_health,
        body=_health,
        texts=_PATH_TEXTS,
        why="Without 4240/tcp and ICMP echo the health of every remote node is red, and a real fault hides among them.",
        docs=_DOCS,
    ),
    Check(
        code="CM0405",
        title="The nodes' rules let clients reach the mesh API, this way",
        layer=4,
        scope=Scope.DIRECTED,
        severity=Severity.CRITICAL,
        inputs=(*_RULES, fact.MESH_API.name, fact.LOAD_BALANCER.name, fact.CONNECTION_GOAL.name),
        gates=("CM0002", "CM0323"),
        applies=_no_mesh_api,
        body=_mesh_api,
        texts={
            **_PATH_TEXTS,
            "INFO": "the mesh API of {target} is not there yet: its port comes from the Service",
            "INFO.enable": "Cluster Mesh is not enabled in {target} yet: the port comes from its Service",
            "INFO.type": "the mesh API of {target} is a Service of type {type}: no path from outside is judged",
            "INFO.public": "the load balancer of {target} is public: its path is not over private addresses (CM0603)",
            "INFO.no-address": "the mesh API of {target} has no address yet: its path is judged then (CM0602)",
        },
        why="Agents read the other cluster's state there; each hop from client to node port must let them.",
        docs=(*_DOCS, "cilium/network/clustermesh/setup"),
    ),
)
