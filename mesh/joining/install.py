"""Helm steps: install Cilium where it is absent, enable the mesh API where Cilium is there without it."""

from mesh import catalogue as fact
from mesh.finding import Command, Risk
from mesh.joining.handover import values_file
from mesh.joining.situation import Situation, ids
from mesh.plan import Condition, HelmApply, Step
from mesh.releases import CHART_REPOSITORY
from mesh.subject import OfCluster
from mesh.values import Values, diff, enable_values, install_values


def install_steps(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Per member one Helm step: ``install Cilium`` or ``enable the mesh API``; none on a guess which of them."""
    return [
        _enable(now, cluster, steps) if now.installed(cluster) else _install(now, cluster, steps)
        for cluster in now.clusters
        if now.installed(cluster) or now.absent(cluster)
    ]


def helm_command(now: Situation, cluster: str, version: str, values_file: str) -> Command:
    """The helm line for a person; values never go through arguments."""
    words = (
        "helm", "upgrade", "--install", "cilium", "cilium", "--repo", CHART_REPOSITORY, "--version", version,
        "--namespace", "kube-system", "--kube-context", now.context(cluster).context,
        "--reset-then-reuse-values", "--values", values_file,
    )  # fmt: skip
    return Command(words, cluster)


def _install(now: Situation, cluster: str, steps: tuple[Step, ...]) -> Step:
    member = now.member(cluster)
    host, port = now.api_server(cluster)
    values = install_values(now.goal, member, now.provider(cluster), host, port)
    nodes = now.store.value(fact.NODES, OfCluster(cluster)) or ()
    busy = any(node.ready for node in nodes)
    return Step(
        id=f"install.{cluster}",
        title=f"install Cilium {member.version}, id {member.cluster_id}",
        clusters=(cluster,),
        why="Same datapath, own identity and own pod range in every member.",
        effects=(HelmApply(cluster, member.version, values),),
        until=(
            Condition("installed", (cluster,), {"name": member.name, "id": member.cluster_id}),
            Condition("mesh-enabled", (cluster,)),
        ),
        needs=(*ids(steps, "ca"), *ids(steps, f"park.{cluster}")),
        codes=("CM0201", "CM0301", "CM0302", "CM0306", "CM0320", "CM0601"),
        risk=Risk.DISRUPTIVE if busy else Risk.LOW,
        undo="helm uninstall with cni.uninstall=true, then the parked DaemonSets run again",
        commands=(helm_command(now, cluster, member.version, values_file(cluster, "install")),),
        same_as=(_cilium_install(now, cluster, values),),
        diff=diff({}, values),
        usual=180.0,
        deadline=900.0,
        consequence="every node's network is replaced; open connections may drop" if busy else "",
    )


def _cilium_install(now: Situation, cluster: str, values: Values) -> Command:
    member = now.member(cluster)
    return Command(
        (
            "cilium",
            "install",
            "--context",
            now.context(cluster).context,
            "--version",
            member.version,
            "--values",
            values_file(cluster, "install"),
        ),
        cluster,
    )


def _enable(now: Situation, cluster: str, steps: tuple[Step, ...]) -> Step:
    member = now.member(cluster)
    values = enable_values(now.goal, member, now.provider(cluster))
    release = now.store.value(fact.HELM, OfCluster(cluster))
    before = release.values if release else {}
    service = "NodePort" if now.goal.exposure.value == "NodePort" else "LoadBalancer"
    cli = ("cilium", "clustermesh", "enable", "--context", now.context(cluster).context, "--service-type", service)
    return Step(
        id=f"install.{cluster}",
        title="enable the mesh API",
        clusters=(cluster,),
        why="Peers read this cluster's services and identities from clustermesh-apiserver.",
        effects=(HelmApply(cluster, member.version, values, purpose="enable"),),
        until=(Condition("mesh-enabled", (cluster,)), Condition("agents-running", (cluster,))),
        needs=ids(steps, "ca"),
        codes=("CM0601", "CM0602"),
        undo="helm rollback to the revision before",
        commands=(helm_command(now, cluster, member.version, values_file(cluster, "enable")),),
        same_as=(Command(cli, cluster),),
        diff=diff(before, values),
        usual=60.0,
        deadline=600.0,
    )
