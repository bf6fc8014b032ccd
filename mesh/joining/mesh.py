"""The mesh itself: addresses proven private, the path to them opened, peers connected, one service asked from all
sides.
"""

from mesh.finding import Command, Risk
from mesh.goal import Exposure
from mesh.joining.handover import values_file
from mesh.joining.install import helm_command
from mesh.joining.network import openings_for, port_words, unique
from mesh.joining.situation import Situation, ids
from mesh.plan import Condition, ConnectPeers, OpenPath, Prove, Step, Verify, WaitAddress


def wait_step(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Load balancers get their address minutes after Helm returns; a public one must stop the run here (CM0603)."""
    private = now.goal.exposure is Exposure.INTERNAL_LB
    return [
        Step(
            id="addresses",
            title="wait for private API addresses" if private else "wait for the mesh APIs",
            clusters=now.clusters,
            why="Peers store addresses, not names; a public one puts the mesh's etcd on the Internet.",
            effects=(WaitAddress(now.clusters),),
            until=(
                Condition("mesh-enabled", now.clusters),
                Condition("api-address", now.clusters),
                Condition("lb-private", now.clusters),
            ),
            needs=(*ids(steps, "install"), *ids(steps, "restart")),
            codes=("CM0602", "CM0603"),
            risk=Risk.NONE,
            undo="nothing to undo",
            does="waits, and reads back from the clouds that no address is public; nothing is changed",
            commands=tuple(
                now.kubectl(c, "-n", "kube-system", "get", "service", "clustermesh-apiserver") for c in now.clusters
            ),
            usual=120.0 if private else 15.0,
            deadline=900.0,
        )
    ]


def path_step(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Client → load balancer → node port, from the real Service (cloud-network §4.6); before it exists the port is
    open.
    """
    if len(now.clusters) < 2:
        return []
    commands: list[Command] = []
    lines: list[str] = []
    for finding in now.findings:
        if finding.code == "CM0405" and finding.fixes:
            commands += finding.fixes[0].commands
    for cluster in now.clusters:
        for opening in openings_for(now, cluster, ("CM0405",)):
            lines.append(f"+ {opening.group} {port_words(opening.rule)} from {', '.join(opening.rule.sources)}")
    return [
        Step(
            id="path",
            title="open the mesh path",
            clusters=now.clusters,
            why="Every hop from the peers' nodes over the load balancer to the node port must be open.",
            effects=(OpenPath(now.clusters),),
            until=(Condition("api-address", now.clusters), Condition("path-not-closed", now.clusters)),
            needs=ids(steps, "addresses"),
            codes=("CM0405",),
            undo="the added rules are removed by their own ids; others stay",
            does="reads port and load balancer of the Service once it is there, then adds the rules that lack through "
            "the cloud's API; what is open is left alone",
            commands=unique(tuple(commands)),
            diff=tuple(lines) or ("port: from the Service after the addresses are known",),
            usual=15.0,
            deadline=180.0,
        )
    ]


def connect_step(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Every member's release lists every other member (what ``cilium clustermesh connect`` writes)."""
    if len(now.clusters) < 2:
        return []
    peers = now.peers()
    first, *others = now.clusters
    cli = ["cilium", "clustermesh", "connect", "--context", now.context(first).context]
    for other in others:
        cli += ["--destination-context", now.context(other).context]
    if len(now.clusters) > 2:
        cli += ["--connection-mode", "mesh"]
    return [
        Step(
            id="connect",
            title="connect both ways" if len(now.clusters) == 2 else "connect all ways",
            clusters=now.clusters,
            why="A peer that only one side lists is half a mesh.",
            effects=(ConnectPeers(now.clusters),),
            until=(
                Condition("peers-configured", now.clusters, {"peers": peers}),
                Condition("agents-ready", now.clusters, {"peers": peers}),
            ),
            needs=(*ids(steps, "rules"), *ids(steps, "path")),
            codes=("CM0701",),
            undo="helm rollback to the revision before, in every member",
            commands=tuple(
                helm_command(now, c, now.member(c).version, values_file(c, "connect")) for c in now.clusters
            ),
            does="writes the values with the peers' addresses, which are known when the step runs",
            same_as=(Command(tuple(cli)),),
            diff=tuple(f"+ clustermesh.config.clusters of {c}: {', '.join(peers[c])}" for c in now.clusters),
            usual=90.0,
            deadline=600.0,
        )
    ]


def prove_step(now: Situation, steps: tuple[Step, ...]) -> Step:
    """The procedure's own proof: one global service, served locally in the first member, taken from it in the
    others.
    """
    image = now.goal.proof_image
    alone = len(now.clusters) < 2
    return Step(
        id="prove",
        title="prove: agents and one service",
        clusters=now.clusters,
        why="Green agents say nothing about packets: a request from every side does.",
        effects=(Verify(now.clusters),) if alone else (Prove(now.clusters, image),),
        until=(),
        needs=tuple(step.id for step in steps if step.id in ("connect", "path", "addresses"))[-1:],
        codes=("CM0701",),
        risk=Risk.NONE if alone else Risk.LOW,
        undo="namespace meshwright-demo is deleted in every member, also after a failure",
        does="reads again; nothing is changed"
        if alone
        else "deploys echo and a client on every side (namespace "
        "meshwright-demo), asks echo from each, and removes them",
        commands=() if alone else tuple(_curl(now, cluster) for cluster in now.clusters),
        usual=60.0,
        deadline=420.0,
    )


def _curl(now: Situation, cluster: str) -> Command:
    return now.kubectl(
        cluster,
        "-n",
        "meshwright-demo",
        "exec",
        "deploy/client",
        "--",
        "curl",
        "-sm",
        "2",
        "http://echo.meshwright-demo/",
    )
