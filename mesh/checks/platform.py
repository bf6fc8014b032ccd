"""L2: Cilium is there, whole, of matching versions, ours to change, and alone."""

from functools import partial
from typing import Final

from mesh import catalogue as fact
from mesh.facts import Known
from mesh.finding import Check, Command, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.context import Provider
from mesh.model.kubernetes import Node, OwnerKind, Workload
from mesh.releases import parts
from mesh.subject import MESH, Subject
from mesh.view import NeedFact, View, attempt, in_force, settings_of, without_cilium

_PARK: Final = '{"spec":{"template":{"spec":{"nodeSelector":{"meshwright.io/parked":"true"}}}}}'
# ``az`` reads a file, which the command before writes.
_PROXY_OFF: Final = ("sh", "-c", 'echo "{\\"enabled\\": false}" > kube-proxy.json')
_ADDON_MODE: Final = "addonmanager.kubernetes.io/mode"
_START: Final = 180.0
_BY_OTHERS: Final = (OwnerKind.ARGO, OwnerKind.FLUX, OwnerKind.OPERATOR)


def _cluster(subject: Subject) -> str:
    return subject.clusters()[0]


def _needs_cilium(view: View, subject: Subject) -> str:
    return without_cilium(view, _cluster(subject))


def _find(workloads: tuple[Workload, ...], kind: str, name: str) -> Workload | None:
    return next((item for item in workloads if item.kind == kind and item.name == name), None)


def _present(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    version = view.fact(fact.CILIUM_VERSION, subject) or ""
    if not in_force(view, cluster):
        return Verdict(State.INFO, {"version": version}, to_do=True)
    workloads = view.fact(fact.WORKLOADS, subject)
    agents, operator = _find(workloads, "DaemonSet", "cilium"), _find(workloads, "Deployment", "cilium-operator")
    if agents is None:
        return Verdict(State.FAIL, {}, "gone", fixes=(_look(view, cluster, "get", "daemonsets", "-A"),))
    nodes = sum(_takes_agents(node) for node in view.fact(fact.NODES, subject))
    args: dict[str, object] = {"ready": agents.ready, "desired": agents.desired}
    look = _look(view, cluster, "-n", agents.namespace, "get", "pods", "-l", "k8s-app=cilium", "-o", "wide")
    if agents.desired < nodes:
        return Verdict(State.FAIL, {"desired": agents.desired, "nodes": nodes}, "missing", fixes=(look,))
    if agents.ready < agents.desired or not agents.desired:
        if _starting(view, subject, agents.desired - agents.ready):
            return Verdict(State.WARN, args, "starting", fixes=(look,))
        return Verdict(State.FAIL, args, fixes=(look,))
    if operator is not None and not operator.ready:
        see = _look(
            view, cluster, "-n", operator.namespace, "get", "pods", "-l", "io.cilium/app=operator", "-o", "wide"
        )
        return Verdict(State.FAIL, {}, "operator", fixes=(see,))
    if agents.updated < agents.desired or agents.observed_generation < agents.generation:
        follow = view.kubectl(cluster, "-n", agents.namespace, "rollout", "status", "daemonset", agents.name)
        fix = Fix("follow", "wait for the roll-out to end", (follow,), Risk.NONE)
        return Verdict(State.WARN, {"updated": agents.updated, "desired": agents.desired}, fixes=(fix,))
    return Verdict(State.PASS, args | {"version": version})


def _takes_agents(node: Node) -> bool:
    """Whether DaemonSets run there: not on Windows, Fargate or a virtual kubelet."""
    virtual = (
        node.labels.get("eks.amazonaws.com/compute-type") == "fargate" or node.labels.get("type") == "virtual-kubelet"
    )
    return node.os in ("", "linux") and not virtual


def _starting(view: View, subject: Subject, unready: int) -> bool:
    """Whether every agent that is not ready was started moments ago and has not failed yet."""
    pods, now = view.known(fact.PODS, subject), view.known(fact.NOW, MESH)
    if not isinstance(pods, Known) or not isinstance(now, Known):
        return False
    agents = [pod for pod in pods.value if pod.labels.get("k8s-app") == "cilium" and not pod.ready]
    young = [pod for pod in agents if not pod.restarts and 0 <= now.value - pod.started_at < _START]
    return bool(young) and len(young) == len(agents) >= unready


def _look(view: View, cluster: str, *words: str) -> Fix:
    return Fix("look", "look at the pods: reason, events, log", (view.kubectl(cluster, *words),), Risk.NONE)


def _skew(view: View, subject: Subject) -> Verdict:
    missing: list[Missing] = []
    found: dict[str, str] = {}
    for cluster in view.clusters:
        version = attempt(partial(view.of, fact.CILIUM_VERSION, cluster), missing)
        if version:
            found[cluster] = version
    minors = {cluster: parts(version)[:2] for cluster, version in found.items()}
    read = {minor for minor in minors.values() if minor[0]}
    oldest = min(minors, key=lambda c: (minors[c], c), default="")
    newest = max(minors, key=lambda c: (minors[c], c), default="")
    args: dict[str, object] = {
        "oldest": found.get(oldest, ""),
        "newest": found.get(newest, ""),
        "clusters": tuple(dict.fromkeys((oldest, newest))),
    }
    if read and _distance(min(read), max(read)) > 1:
        return Verdict(State.FAIL, args, fixes=(_upgrade(view, oldest, found[newest]),))
    if missing:
        raise NeedFact(tuple(missing))
    if len(found) < 2:
        return Verdict(State.NOT_APPLICABLE, {"reason": "fewer than two clusters run Cilium or shall"})
    if strange := [cluster for cluster, minor in minors.items() if not minor[0]]:
        words = ("-n", "kube-system", "get", "daemonset", "cilium", "-o", "wide")
        looks = tuple(view.kubectl(cluster, *words) for cluster in strange)
        fix = Fix("image", "run agents of a release: its image tells the version", looks, Risk.NONE)
        named: dict[str, object] = {"version": found[strange[0]], "clusters": tuple(strange)}
        return Verdict(State.UNKNOWN, named, "strange", fixes=(fix,))
    if len(read) > 1:
        return Verdict(State.INFO, args)
    return Verdict(State.PASS, {"versions": tuple(sorted(set(found.values()))), "clusters": tuple(found)})


def _distance(old: tuple[int, ...], new: tuple[int, ...]) -> int:
    return new[1] - old[1] if old[0] == new[0] else 100


def _upgrade(view: View, cluster: str, version: str) -> Fix:
    old, new = (parts(text)[:2] for text in (view.of(fact.CILIUM_VERSION, cluster) or "", version))
    between = [f"{new[0]}.{minor}.x" for minor in range(old[1] + 1, new[1])] if old[0] == new[0] else []
    steps = [view.helm_upgrade(cluster, version=step) for step in (*between, version)]
    text = f"upgrade {cluster} towards {new[0]}.{new[1]}, one minor at a time"
    return Fix("upgrade", text, tuple(command for step in steps for command in step), Risk.DISRUPTIVE)


def _managed(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    owner = view.fact(fact.OWNER, subject)
    if owner.kind is OwnerKind.MANAGED:
        way = Fix("provider-mesh", "use the provider's own mesh, or clusters without managed Cilium", risk=Risk.NONE)
        return Verdict(State.FAIL, {"owner": owner.name or "the provider", "sign": owner.evidence}, fixes=(way,))
    if view.planned(fact.SETTINGS, cluster):
        identity = view.fact(fact.CLOUD, subject)
        plugin = identity.network_plugin if identity and identity.provider is Provider.AKS else ""
        if plugin not in ("", "none"):
            way = Fix("byocni", "make the cluster with --network-plugin none", risk=Risk.IRREVERSIBLE, reversible=False)
            return Verdict(State.FAIL, {"plugin": plugin}, "plugin", fixes=(way,))
    return Verdict(State.PASS, {"owner": owner.kind.value})


def _nobody_owns_nothing(view: View, subject: Subject) -> str:
    return "" if in_force(view, _cluster(subject)) else "Cilium is not installed: there is nothing to own"


def _owned(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    owner = view.fact(fact.OWNER, subject)
    args: dict[str, object] = {"owner": owner.kind.value, "name": owner.name, "sign": owner.evidence}
    if owner.kind is OwnerKind.MANAGED:
        return Verdict(State.NOT_APPLICABLE, {"reason": "the provider manages Cilium (CM0204)"})
    if owner.kind in _BY_OTHERS:
        return Verdict(State.INFO, args)
    if owner.kind is OwnerKind.UNOWNED:
        look = view.helm(cluster, "list", "-A", "--all")
        adopt = Fix(
            "adopt", "install again as a Helm release, or name the release it belongs to", (look,), Risk.DISRUPTIVE
        )
        return Verdict(State.FAIL, {}, fixes=(adopt,))
    return Verdict(State.PASS, args)


def _release(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    release = view.fact(fact.HELM, subject)
    if release is None:
        return Verdict(State.NOT_APPLICABLE, {"reason": "there is no Helm release of Cilium"})
    args: dict[str, object] = {"release": release.name, "revision": release.revision, "status": release.status}
    if release.status == "deployed":
        return Verdict(State.PASS, args)
    words: tuple[str, ...]
    if release.deployed_revision:
        words = ("rollback", release.name, str(release.deployed_revision))
        text = f"roll back to revision {release.deployed_revision}, which is deployed"
    else:
        words = ("uninstall", release.name)
        text = "no revision was ever deployed: uninstall the rest and install again"
    command = view.helm(cluster, "-n", release.namespace, *words)
    needs = (f"update secrets in {release.namespace}",)
    fix = Fix("helm-rollback", text, (command,), Risk.DISRUPTIVE, needs=needs)
    state = State.WARN if release.status == "failed" and release.deployed_revision else State.FAIL
    return Verdict(state, args, fixes=(fix,))


def _alone(view: View, subject: Subject) -> Verdict:
    cluster = _cluster(subject)
    settings = settings_of(view, cluster)
    workloads = view.fact(fact.WORKLOADS, subject)
    rivals = ["kube-proxy"] if settings.kube_proxy_replacement else []
    if settings.cni_chaining_mode != "aws-cni":
        rivals.insert(0, "aws-node")
    found = [item for name in rivals if (item := _find(workloads, "DaemonSet", name))]
    running = [item for item in found if item.desired or item.current]
    if running:
        args: dict[str, object] = {
            "names": tuple(item.name for item in running),
            "pods": sum(max(item.desired, item.current) for item in running),
        }
        fix = _park(view, cluster, running)
        if in_force(view, cluster):
            return Verdict(State.FAIL, args, fixes=(fix,))
        return Verdict(State.INFO, args, fixes=(fix,), to_do=True)
    watched = [item for item in found if item.labels.get(_ADDON_MODE) == "Reconcile"]
    if watched and not _off_in_aks(view, subject):
        return Verdict(
            State.WARN, {"names": tuple(item.name for item in watched)}, fixes=(_park(view, cluster, watched),)
        )
    return Verdict(State.PASS, {"names": tuple(rivals)})


def _off_in_aks(view: View, subject: Subject) -> bool:
    identity = view.fact(fact.CLOUD, subject)
    return identity is not None and identity.kube_proxy_enabled is False


def _park(view: View, cluster: str, workloads: list[Workload]) -> Fix:
    identity = view.cloud(cluster)
    commands, file = [], ""
    for item in workloads:
        watched = item.labels.get(_ADDON_MODE) == "Reconcile"
        if watched and identity is not None and identity.provider is Provider.AKS and item.name == "kube-proxy":
            place = ("-g", identity.resource_group, "-n", identity.name, "--subscription", identity.account)
            commands.append(Command(_PROXY_OFF, cluster))
            commands.append(Command(("az", "aks", "update", *place, "--kube-proxy-config", "kube-proxy.json"), cluster))
            file = '; kube-proxy.json holds {"enabled": false}'
        else:
            patch = ("patch", "daemonset", item.name, "--type", "merge", "-p", _PARK)
            commands.append(view.kubectl(cluster, "-n", item.namespace, *patch))
    names = " and ".join(item.name for item in workloads)
    return Fix("park", f"park {names} durably{file}", tuple(commands), Risk.DISRUPTIVE, in_plan=True)


CHECKS: Final = (
    Check(
        code="CM0201",
        title="Cilium runs on every node",
        layer=2,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.SETTINGS.name, fact.CILIUM_VERSION.name, fact.WORKLOADS.name, fact.NODES.name),
        defeaters=(fact.PODS.name, fact.NOW.name),
        answers_for=(fact.AGENTS.name, fact.HEALTH.name),
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_present,
        texts={
            "PASS": "Cilium {version}: {ready}/{desired} agents ready",
            "INFO": "Cilium is not installed yet: {version} is planned",
            "WARN": "agents are being replaced: {updated}/{desired} are of the newest template",
            "WARN.starting": "{ready}/{desired} Cilium agents ready, the others are starting",
            "FAIL": "{ready}/{desired} Cilium agents ready",
            "FAIL.missing": "Cilium agents on {desired} of {nodes:node}",
            "FAIL.operator": "no cilium-operator is ready",
            "FAIL.gone": "cilium-config is there, but no DaemonSet cilium",
        },
        why="A node without a ready agent gives its pods no network and hears nothing of the mesh.",
        docs=("cilium/operations/troubleshooting",),
    ),
    Check(
        code="CM0202",
        title="Cilium versions are at most one minor apart",
        layer=2,
        scope=Scope.MESH,
        severity=Severity.ERROR,
        inputs=(fact.CILIUM_VERSION.name,),
        gates=("CM0002",),
        body=_skew,
        texts={
            "PASS": "one minor in {clusters}: Cilium {versions}",
            "INFO": "one minor of skew between {clusters}: Cilium {oldest} and {newest}",
            "FAIL": "Cilium {oldest} and {newest} in {clusters}: more than one minor apart",
            "UNKNOWN.strange": "the version {version} of {clusters} cannot be placed",
        },
        why="Only one minor of skew inside a mesh is tested; beyond it features and certificates differ.",
        docs=("cilium/operations/upgrade",),
    ),
    Check(
        code="CM0204",
        title="Cilium is not managed by the provider",
        layer=2,
        scope=Scope.CLUSTER,
        severity=Severity.CRITICAL,
        inputs=(fact.OWNER.name, fact.SETTINGS.name, fact.CLOUD.name),
        gates=("CM0002",),
        body=_managed,
        texts={
            "PASS": "the provider does not manage Cilium here (owner: {owner})",
            "FAIL": "Cilium is managed by {owner}: {sign}",
            "FAIL.plugin": "AKS runs its own network plugin {plugin}: Cilium cannot be installed beside it",
        },
        why="A provider's reconciler puts its own values back, so a mesh built by hand does not last.",
        docs=("azure/use-byo-cni",),
    ),
    Check(
        code="CM0205",
        title="It is known who owns Cilium",
        layer=2,
        scope=Scope.CLUSTER,
        severity=Severity.WARN,
        inputs=(fact.OWNER.name, fact.SETTINGS.name),
        gates=("CM0002",),
        applies=_nobody_owns_nothing,
        body=_owned,
        texts={
            "PASS": "Cilium is owned by {owner} {name} ({sign})",
            "INFO": "{owner} owns Cilium as {name} ({sign}): changes are handed over as values",
            "FAIL": "Cilium belongs to no Helm release and no GitOps tool",
        },
        why="Whoever owns the installation reverts what others change; without a release no tool can change it safely.",
        docs=("cilium/installation/k8s-install-helm",),
    ),
    Check(
        code="CM0206",
        title="No Helm operation is left half-done",
        layer=2,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=(fact.HELM.name,),
        gates=("CM0002",),
        body=_release,
        texts={
            "PASS": "Helm release {release}: revision {revision} is {status}",
            "WARN": "Helm release {release}: revision {revision} {status}; the one before is in force",
            "FAIL": "Helm release {release}: revision {revision} is {status}",
        },
        why="A pending release refuses every further change: another operation is in progress.",
        docs=("helm/rollback",),
    ),
    Check(
        code="CM0208",
        title="No other CNI or service proxy runs beside Cilium",
        layer=2,
        scope=Scope.CLUSTER,
        severity=Severity.ERROR,
        inputs=(fact.SETTINGS.name, fact.WORKLOADS.name, fact.CLOUD.name),
        gates=("CM0002",),
        applies=_needs_cilium,
        body=_alone,
        texts={
            "PASS": "no pod of {names} runs",
            "INFO": "{pods:pod} of {names} still run: the plan parks them before Cilium is installed",
            "WARN": "{names}: patched, but put back by the addon manager",
            "FAIL": "{pods:pod} of {names} run beside Cilium",
        },
        why="Two CNIs give pods addresses of two networks; two service proxies undo each other's rules.",
        docs=("cilium/network/kubernetes/kubeproxy-free", "aks/configure-kube-proxy"),
    ),
)
