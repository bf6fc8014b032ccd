"""Steps about what stands in the way: one CA for all, other CNIs and kube-proxy parked, old pods recreated."""

from mesh import catalogue as fact
from mesh.conditions import PARKED_LABEL, find, holds, unmanaged
from mesh.facts import Known
from mesh.finding import Command, Risk
from mesh.joining.situation import Situation, ids
from mesh.model.context import Provider
from mesh.model.kubernetes import Pod
from mesh.plan import Condition, DisableAksKubeProxy, Effect, ParkDaemonSets, PlaceCa, RestartPods, Step
from mesh.subject import OfCluster
from mesh.text import plural

_PATCH = f'{{"spec":{{"template":{{"spec":{{"nodeSelector":{{"{PARKED_LABEL}":"true"}}}}}}}}}}'

_OPENSSL = (
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
    "-subj", "/CN=Cilium CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
    "-keyout", "cilium-ca.key", "-out", "cilium-ca.crt",
)  # fmt: skip
_FROM_FILES = ("--from-file=ca.crt=cilium-ca.crt", "--from-file=ca.key=cilium-ca.key")
_RELEASE = ("meta.helm.sh/release-name=cilium", "meta.helm.sh/release-namespace=kube-system")
# ``az`` reads a file, which the command before writes.
_PROXY_OFF = ("sh", "-c", 'echo "{\\"enabled\\": false}" > kube-proxy.json')


def ca_step(now: Situation, _: tuple[Step, ...]) -> list[Step]:
    """One CA in every cluster before the first install, so that every leaf is signed by it from the start (§4.3,
    §4.4).
    """
    keep = now.goal.ca.removeprefix("keep:") if now.goal.ca.startswith("keep:") else ""
    without = tuple(c for c in now.clusters if c != keep and _ca_of(now, c) is None)
    if keep:
        kept = now.store.value(fact.CERTIFICATES, OfCluster(keep))
        args = {"spki": kept.ca.spki_sha256} if kept and kept.ca else {}
    else:
        args = {}
    where = f"copy cilium-ca of {keep}" if keep else "place one CA (cilium-ca)"
    return [
        Step(
            id="ca",
            title=where,
            clusters=now.clusters,
            why="Each side must trust the other's certificates; a CA placed before the install signs every leaf.",
            effects=(PlaceCa(without or now.clusters, keep),),
            until=(Condition("ca-shared", now.clusters, args),),
            codes=("CM0608",),
            undo="the Secrets that were created are deleted",
            does="makes the key in memory and writes it through the API alone: no file, argument or log holds it"
            if not keep
            else "copies the Secret through the API: no file, argument or log holds the key",
            commands=_ca_commands(now, keep, without or now.clusters),
            diff=tuple(f"+ {cluster} Secret kube-system/cilium-ca" for cluster in without),
            usual=6.0,
            deadline=60.0,
        )
    ]


def _ca_commands(now: Situation, keep: str, without: tuple[str, ...]) -> tuple[Command, ...]:
    """By hand: a CA as Helm would own it in the first member, unless one is kept, and its Secret copied to the others.

    The key stays in a file of the person who types this; no command prints it.
    """
    made: tuple[Command, ...] = ()
    source, targets = keep, without
    if not keep:
        source, *rest = without
        targets = tuple(rest)
        here = ("-n", "kube-system")
        made = (
            Command(_OPENSSL, source),
            now.kubectl(source, *here, "create", "secret", "generic", "cilium-ca", *_FROM_FILES),
            now.kubectl(source, *here, "label", "secret", "cilium-ca", "app.kubernetes.io/managed-by=Helm"),
            now.kubectl(source, *here, "annotate", "secret", "cilium-ca", *_RELEASE),
        )
    return made + tuple(_copy(now, source, target) for target in targets if target != source)


def _copy(now: Situation, source: str, target: str) -> Command:
    """The Secret with the labels and annotations by which Helm adopts it, from one cluster into another."""
    secret = ("-n", "kube-system", "get", "secret", "cilium-ca", "-o", "yaml")
    return now.kubectl(source, *secret).into(now.kubectl(target, "create", "-f", "-"))


def _ca_of(now: Situation, cluster: str) -> object:
    certificates = now.store.value(fact.CERTIFICATES, OfCluster(cluster))
    return certificates.ca if certificates else None


def running(now: Situation, cluster: str) -> tuple[str, ...]:
    """Which of ``aws-node`` and ``kube-proxy`` run here."""
    workloads = now.store.value(fact.WORKLOADS, OfCluster(cluster)) or ()
    found = []
    for name in ("aws-node", "kube-proxy"):
        item = find(workloads, "DaemonSet", name)
        if item and (item.desired or item.current):
            found.append(name)
    return tuple(found)


def park_steps(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Park what Cilium replaces, durably: by patch on EKS, through the AKS API where an addon manager undoes a
    patch.
    """
    made = []
    for cluster in now.clusters:
        names = running(now, cluster)
        if not names or not _replaces(now, cluster):
            continue
        made.append(_park_step(now, cluster, names, ids(steps, "ca", "vpn")))
    return made


def _replaces(now: Situation, cluster: str) -> bool:
    settings = now.settings(cluster)
    return settings.kube_proxy_replacement if settings else now.absent(cluster)


def _park_step(now: Situation, cluster: str, names: tuple[str, ...], needs: tuple[str, ...]) -> Step:
    effects: list[Effect] = []
    commands: list[Command] = []
    by_patch = names
    identity = now.store.value(fact.CLOUD, OfCluster(cluster))
    if now.provider(cluster) is Provider.AKS and "kube-proxy" in names and identity and identity.resource_id:
        by_patch = tuple(name for name in names if name != "kube-proxy")
        effects.append(DisableAksKubeProxy(cluster, identity.resource_id))
        commands += [Command(_PROXY_OFF, cluster), _az_command(identity.resource_group, identity.name, cluster)]
    if by_patch:
        effects.append(ParkDaemonSets(cluster, by_patch))
        commands += [
            now.kubectl(cluster, "-n", "kube-system", "patch", "daemonset", name, "--type", "merge", "-p", _PATCH)
            for name in by_patch
        ]
    preview = " Azure calls kubeProxyConfig a preview feature." if len(by_patch) != len(names) else ""
    return Step(
        id=f"park.{cluster}",
        title=f"park {' and '.join(names)}",
        clusters=(cluster,),
        why="Two CNIs or two service proxies on one node undo each other." + preview,
        effects=tuple(effects),
        until=(Condition("parked", (cluster,), {"names": list(names)}),),
        needs=needs,
        codes=("CM0208",),
        risk=Risk.DISRUPTIVE,
        undo="the DaemonSets get their old node selector back",
        commands=tuple(commands),
        diff=tuple(f"~ DaemonSet {name} nodeSelector {PARKED_LABEL}=true" for name in names),
        usual=15.0,
        deadline=300.0,
        consequence="pods get no new addresses until Cilium is installed",
    )


def _az_command(group: str, name: str, cluster: str) -> Command:
    words = ("az", "aks", "update", "-g", group, "-n", name, "--kube-proxy-config", "kube-proxy.json")
    return Command(words, cluster)


def _restarts(now: Situation, cluster: str, managed: Condition) -> bool:
    """Whether there is or may be a pod to restart.

    Where Cilium runs and the pods were not read there is not: restarting workloads on a guess is worse than not to.
    """
    if not now.absent(cluster):
        return holds(managed, now.store)[0] is not None
    pods = now.store.get(fact.PODS, OfCluster(cluster))
    return not isinstance(pods, Known) or bool(unmanaged(pods.value, ()))


def restart_steps(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """Pods that started before Cilium keep their old address and route: recreate them (F80)."""
    made = []
    for cluster in now.clusters:
        managed = Condition("pods-managed", (cluster,))
        if not _restarts(now, cluster, managed):
            continue
        install = ids(steps, f"install.{cluster}")
        old = _older(now, cluster)
        made.append(
            Step(
                id=f"restart.{cluster}",
                title="restart pods older than Cilium",
                clusters=(cluster,),
                why="They keep the address of the old CNI and are not managed by Cilium: DNS first of all.",
                effects=(RestartPods(cluster),),
                until=(managed,),
                needs=install,
                risk=Risk.DISRUPTIVE,
                does="evicts one after another, DNS first, as PodDisruptionBudgets allow, and waits for each",
                commands=_restart_commands(now, cluster, old),
                found=(_old_words(old),) if old else (),
                undo="nothing to undo: restarted pods stay",
                reversible=False,
                usual=60.0,
                deadline=1200.0,
                consequence="every pod off the host network restarts, one workload at a time",
            )
        )
    return made


def _older(now: Situation, cluster: str) -> list[Pod]:
    """Pods that Cilium gave no address: all off the host network where it is not there yet."""
    settings = now.settings(cluster)
    nodes = now.store.value(fact.CILIUM_NODES, OfCluster(cluster)) or ()
    pool = (*settings.pod_cidrs, *(cidr for node in nodes for cidr in node.pod_cidrs)) if settings else ()
    pods = now.store.value(fact.PODS, OfCluster(cluster))
    return unmanaged(pods or (), pool)


def _old_words(pods: list[Pod]) -> str:
    names = sorted({f"{pod.namespace}/{_workload(pod)[1] or pod.name}" for pod in pods})
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"{plural(len(pods), 'pod')} with an address that is not Cilium's: {', '.join(names[:4])}{more}"


def _restart_commands(now: Situation, cluster: str, pods: list[Pod]) -> tuple[Command, ...]:
    """One line per namespace, that of DNS first; a pod without a controller is the user's to make again."""
    workloads: dict[str, list[str]] = {}
    for pod in sorted(pods):
        kind, name = _workload(pod)
        if kind and f"{kind}/{name}" not in workloads.setdefault(pod.namespace, []):
            workloads[pod.namespace].append(f"{kind}/{name}")
    order = sorted(
        (namespace for namespace in workloads if workloads[namespace]), key=lambda n: (n != "kube-system", n)
    )
    return tuple(now.kubectl(cluster, "-n", name, "rollout", "restart", *workloads[name]) for name in order)


def _workload(pod: Pod) -> tuple[str, str]:
    """Kind and name as ``rollout restart`` takes them; ("", "") for what has no roll-out."""
    if pod.owner_kind == "ReplicaSet":
        return "deployment", pod.owner_name.rpartition("-")[0]
    return (pod.owner_kind.lower(), pod.owner_name) if pod.owner_kind in ("DaemonSet", "StatefulSet") else ("", "")
