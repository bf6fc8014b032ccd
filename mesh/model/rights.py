"""Which Kubernetes rights reading and joining need, as data, and the roles that grant them (cilium-clustermesh §7)."""

from collections.abc import Iterable
from typing import Final

from mesh.model import kinds
from mesh.model.context import Right, Rights

SYSTEM: Final = "kube-system"

READ: Final[tuple[Right, ...]] = (
    kinds.NODES.right("list"),
    kinds.NAMESPACES.right("get"),
    kinds.NAMESPACES.right("list"),
    kinds.PODS.right("list"),
    kinds.SERVICES.right("list"),
    kinds.ENDPOINT_SLICES.right("list"),
    kinds.DAEMON_SETS.right("list"),
    kinds.DEPLOYMENTS.right("list", SYSTEM),
    kinds.CILIUM_NODES.right("list"),
    kinds.CONFIG_MAPS.right("get", SYSTEM),
    kinds.SERVICES.right("get", SYSTEM),
    kinds.JOBS.right("list", SYSTEM),
    kinds.CRON_JOBS.right("list", SYSTEM),
)
# Both hold or open private keys, so a cautious administrator may leave them out: what they show is then unknown.
SECRETS: Final[tuple[Right, ...]] = (kinds.SECRETS.right("get", SYSTEM), kinds.SECRETS.right("list", SYSTEM))
# An API server before 1.35 asks for ``get`` where the connection is a WebSocket, a newer one also for ``create``.
EXEC: Final[tuple[Right, ...]] = (Right("create", "pods/exec", "", SYSTEM), Right("get", "pods/exec", "", SYSTEM))
CHECK: Final[tuple[Right, ...]] = (*READ, *SECRETS, *EXEC)

_LEASES: Final = "coordination.k8s.io"
_RBAC: Final = "rbac.authorization.k8s.io"
_CHART: Final = (("serviceaccounts", ""), ("daemonsets", "apps"), ("jobs", "batch"), ("cronjobs", "batch"))
# What Helm does with the chart, and what the steps around it do. Helm reads each object before it writes it.
CHANGE: Final[tuple[Right, ...]] = (
    *(Right(verb, "leases", _LEASES, SYSTEM) for verb in ("get", "create", "update")),
    *(Right(verb, "secrets", "", SYSTEM) for verb in ("create", "update", "patch", "delete")),
    *(Right(verb, plural, group, SYSTEM) for plural, group in _CHART for verb in ("get", "create", "patch")),
    kinds.DEPLOYMENTS.right("get", SYSTEM),
    # The chart before 1.18 makes its certificates in a hook: its Job is replaced, and waited for.
    *(Right(verb, "jobs", "batch", SYSTEM) for verb in ("watch", "delete")),
    *(
        Right(verb, plural, _RBAC)
        for plural in ("clusterroles", "clusterrolebindings")
        for verb in ("get", "create", "patch")
    ),
    # The chart's roles hold more than most users do; without these the API server refuses them half-way.
    *(Right(verb, plural, _RBAC) for plural in ("clusterroles", "roles") for verb in ("bind", "escalate")),
    Right("create", "pods/eviction"),
    *(Right(verb, "namespaces") for verb in ("create", "patch", "delete")),
    # In namespaces that the run makes itself, where no role can stand before: the chart's own (cilium-secrets), and the
    # proof's (meshwright-demo).
    *(Right(verb, plural, _RBAC) for plural in ("roles", "rolebindings") for verb in ("get", "create", "patch")),
    *(
        Right(verb, plural, group)
        for plural, group in (("configmaps", ""), ("services", ""), ("deployments", "apps"))
        for verb in ("create", "patch")
    ),
    *(Right(verb, "pods/exec") for verb in ("create", "get")),
)
APPLY: Final[tuple[Right, ...]] = (*CHECK, *CHANGE)

# A role that names single objects suffices where it names all of these.
NAMES: Final[dict[Right, frozenset[str]]] = {
    kinds.NAMESPACES.right("get"): frozenset({SYSTEM}),
    kinds.CONFIG_MAPS.right("get", SYSTEM): frozenset({"cilium-config", "cilium-root-ca.crt"}),
    kinds.SERVICES.right("get", SYSTEM): frozenset({"clustermesh-apiserver"}),
    Right("get", "leases", _LEASES, SYSTEM): frozenset({"meshwright"}),
    Right("update", "leases", _LEASES, SYSTEM): frozenset({"meshwright"}),
}


# Stands where nobody told who the user is, with how to find it out.
USER: Final = "USER"
WHO: Final = (
    f"{USER} stands for the name that the API server knows the user by: kubectl auth whoami tells it, and where "
    "Kubernetes is older than 1.27 each refusal does"
)


def profile(rights: Rights) -> str:
    """What these rights make of a user: ``operator`` may change, ``diagnoser`` may ask agents, ``viewer`` may look."""
    denied = frozenset(rights.denied)
    if not denied & frozenset(APPLY):
        return "operator"
    return "viewer" if denied & frozenset(CHECK) else "diagnoser"


def roles(rights: Iterable[Right], name: str, user: str) -> str:
    """Roles and bindings that give exactly these rights to ``user``, as YAML for ``kubectl apply``.

    The bindings carry the user's name: with one for all, granting the next user would take it from the last.
    """
    said, user = ("", user) if user else (f"# {WHO}.\n", USER)
    by_place: dict[str, dict[tuple[str, str], list[str]]] = {}
    for right in sorted(rights):
        rules = by_place.setdefault(right.namespace, {})
        rules.setdefault((right.group, right.resource), []).append(right.verb)
    return said + "---\n".join(_role(namespace, rules, name, user) for namespace, rules in sorted(by_place.items()))


def _role(namespace: str, rules: dict[tuple[str, str], list[str]], name: str, user: str) -> str:
    kind = "Role" if namespace else "ClusterRole"
    place = f", namespace: {namespace}" if namespace else ""
    # A name may hold all but these (``arn:aws:iam::111122223333:user/joiner`` has one).
    binding = _quoted(f"{name}-{user}".translate({ord("/"): "-", ord("%"): "-"}))
    lines = [f"apiVersion: {_RBAC}/v1", f"kind: {kind}", f"metadata: {{name: {name}{place}}}", "rules:"]
    for (group, resource), verbs in sorted(rules.items()):
        lines.append(f"- {{apiGroups: [{_quoted(group)}], resources: [{resource}], verbs: [{', '.join(verbs)}]}}")
    lines += [
        "---",
        f"apiVersion: {_RBAC}/v1",
        f"kind: {kind}Binding",
        f"metadata: {{name: {binding}{place}}}",
        f"roleRef: {{apiGroup: {_RBAC}, kind: {kind}, name: {name}}}",
        f"subjects: [{{apiGroup: {_RBAC}, kind: User, name: {_quoted(user)}}}]",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
