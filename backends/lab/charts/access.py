"""Service accounts, roles and bindings of the release.

The agent's and operator's rules name the resources they need, without the per-release lists of the chart.
"""

from collections.abc import Iterable, Mapping, Sequence

from backends.lab.charts.context import Context, Object
from backends.lab.charts.trust.certgen import HUBBLE, MESH, uses_hubble_certgen, uses_mesh_certgen

PART = {"app.kubernetes.io/part-of": "cilium"}
READ = ("get", "list", "watch")
Rule = tuple[str, tuple[str, ...], tuple[str, ...]]

_CRDS = "apiextensions.k8s.io"
_MESH_OBJECTS = ("ciliumidentities", "ciliumendpoints", "ciliumnodes")


def access(context: Context) -> list[Object]:
    """All access objects, in no particular order."""
    found = [*_namespace(context), *_accounts(context)]
    if context.on("rbac.create"):
        found += [*_cluster_roles(context), *_agent_roles(context), *_operator_roles(context)]
    return [*found, *_certgen_roles(context)]


def secrets_namespace(context: Context) -> str:
    """Namespace of TLS secrets for policies (1.17 and later), empty when the chart makes none."""
    if context.minor < 17 or context.on("preflight.enabled") or not context.on("tls.secretsNamespace.create"):
        return ""
    return context.text("tls.secretsNamespace.name")


def _namespace(context: Context) -> list[Object]:
    name = secrets_namespace(context)
    if not name:
        return []
    metadata = context.metadata(name, PART, context.table("secretsNamespaceAnnotations"), namespaced=False)
    if context.minor >= 19:
        metadata["labels"].update(context.table("secretsNamespaceLabels"))
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}]


def _accounts(context: Context) -> list[Object]:
    mesh = "clustermesh.annotations"
    wanted = {
        "cilium": (context.on("agent"), ""),
        "envoy": (context.envoy_daemonset, "envoy.annotations"),
        "operator": (context.on("operator.enabled"), ""),
        "clustermeshApiserver": (context.mesh_server, mesh),
        "clustermeshcertgen": (uses_mesh_certgen(context), mesh),
        "hubblecertgen": (uses_hubble_certgen(context), "hubble.annotations"),
        "relay": (context.on("hubble.enabled") and context.on("hubble.relay.enabled"), "hubble.annotations"),
    }
    found = []
    for account, (needed, notes) in wanted.items():
        path = f"serviceAccounts.{account}"
        if not needed or not context.on(f"{path}.create") or context.on("preflight.enabled"):
            continue
        annotations = {**context.table(f"{path}.annotations"), **(context.table(notes) if notes else {})}
        metadata = context.metadata(context.text(f"{path}.name"), None, annotations)
        found.append({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    return found


def _rules(rules: Iterable[Rule]) -> list[Object]:
    return [
        {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)} for group, resources, verbs in rules
    ]


def _cluster_roles(context: Context) -> list[Object]:
    parts: dict[str, tuple[bool, str, list[Rule]]] = {
        "cilium": (context.on("agent"), "cilium", _agent_rules()),
        "cilium-operator": (context.on("operator.enabled"), "operator", _operator_rules()),
        "clustermesh-apiserver": (_writes_mesh(context), "clustermeshApiserver", _mesh_rules(context)),
    }
    found: list[Object] = []
    for name, (needed, account, rules) in parts.items():
        if not needed or not context.on(f"serviceAccounts.{account}.create") or context.on("preflight.enabled"):
            continue
        notes = context.table("clustermesh.annotations") if account == "clustermeshApiserver" else {}
        metadata = context.metadata(name, PART, notes, namespaced=False)
        api = "rbac.authorization.k8s.io/v1"
        found.append({"apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": _rules(rules)})
        found.append(
            {
                "apiVersion": api,
                "kind": "ClusterRoleBinding",
                "metadata": context.metadata(name, PART, notes, namespaced=False),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [_subject(context, account)],
            }
        )
    return found


def _writes_mesh(context: Context) -> bool:
    if not context.mesh_server:
        return False
    return context.minor < 17 or (context.internal_store and context.crd_identities)


def _subject(context: Context, account: str) -> Object:
    name = context.text(f"serviceAccounts.{account}.name")
    return {"kind": "ServiceAccount", "name": name, "namespace": context.home}


def _mesh_rules(context: Context) -> list[Rule]:
    found: list[Rule] = []
    objects: tuple[str, ...] = _MESH_OBJECTS
    if context.minor == 15:
        found.append(("cilium.io", ("ciliumnodes", "ciliumendpoints", "ciliumidentities"), ("create",)))
        updated = ("ciliumexternalworkloads/status", "ciliumnodes", "ciliumidentities")
        found.append(("cilium.io", updated, ("update",)))
        found.append(("cilium.io", ("ciliumendpoints", "ciliumendpoints/status"), ("patch",)))
        objects = ("ciliumidentities", "ciliumexternalworkloads", "ciliumendpoints", "ciliumnodes")
    elif context.minor >= 17:
        objects = (*_MESH_OBJECTS, "ciliumendpointslices")
    found.append(("cilium.io", objects, READ))
    found.append((_CRDS, ("customresourcedefinitions",), READ if context.minor >= 17 else ("list", "watch")))
    core = ("namespaces", "services") if context.minor >= 20 else ("endpoints", "namespaces", "services")
    found.append(("", core, READ))
    found.append(("discovery.k8s.io", ("endpointslices",), READ))
    if context.minor >= 17 and context.mcs_api:
        found.append(("multicluster.x-k8s.io", ("serviceexports",), READ))
    return found


def _agent_rules() -> list[Rule]:
    return [
        ("networking.k8s.io", ("networkpolicies",), READ),
        ("discovery.k8s.io", ("endpointslices",), READ),
        ("", ("namespaces", "services", "pods", "endpoints", "nodes"), READ),
        (_CRDS, ("customresourcedefinitions",), READ),
        ("cilium.io", ("*",), ("list", "watch")),
        ("cilium.io", ("ciliumidentities", "ciliumendpoints", "ciliumnodes"), ("create",)),
        ("cilium.io", ("ciliumidentities", "ciliumnodes", "ciliumnodes/status"), ("get", "update")),
        ("cilium.io", ("ciliumendpoints",), ("delete", "get")),
        ("cilium.io", ("ciliumendpoints", "ciliumendpoints/status"), ("patch",)),
    ]


def _operator_rules() -> list[Rule]:
    write = ("create", "update", "delete", "patch")
    return [
        ("", ("pods",), (*READ, "delete")),
        ("", ("nodes", "nodes/status"), ("list", "watch", "patch")),
        ("", ("services", "endpoints", "namespaces"), READ),
        ("", ("services/status",), ("update", "patch")),
        ("discovery.k8s.io", ("endpointslices",), READ),
        (_CRDS, ("customresourcedefinitions",), ("create", "get", "list", "watch", "update")),
        ("cilium.io", ("*",), (*READ, *write)),
        ("coordination.k8s.io", ("leases",), ("create", "get", "update")),
    ]


def _role(context: Context, name: str, namespace: str, account: str, rules: Sequence[Rule]) -> list[Object]:
    api = "rbac.authorization.k8s.io/v1"
    return [
        {
            "apiVersion": api,
            "kind": "Role",
            "metadata": context.metadata(name, PART, namespace=namespace),
            "rules": _rules(rules),
        },
        {
            "apiVersion": api,
            "kind": "RoleBinding",
            "metadata": context.metadata(name, PART, namespace=namespace),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [_subject(context, account)],
        },
    ]


def _agent_roles(context: Context) -> list[Object]:
    if not context.on("agent") or not context.on("serviceAccounts.cilium.create") or context.on("preflight.enabled"):
        return []
    found = _role(context, "cilium-config-agent", context.home, "cilium", [("", ("configmaps",), READ)])
    secrets = secrets_namespace(context)
    if secrets:
        role, binding = _role(context, "cilium-tlsinterception-secrets", secrets, "cilium", [("", ("secrets",), READ)])
        # This one role goes without the labels that every other object gets.
        for key in context.table("commonLabels"):
            role["metadata"]["labels"].pop(key, None)
        found += [role, binding]
    return found


def _operator_roles(context: Context) -> list[Object]:
    if not context.on("operator.enabled") or not context.on("serviceAccounts.operator.create"):
        return []
    found: list[Object] = []
    secrets = secrets_namespace(context)
    if secrets:
        write = [("", ("secrets",), ("create", "delete", "update", "patch"))]
        found += _role(context, "cilium-operator-tlsinterception-secrets", secrets, "operator", write)
    if context.minor >= 19:
        rules: list[Rule] = [("apps", ("daemonsets",), ("create", "delete", *READ))]
        if context.minor >= 20:
            rules.append(("", ("serviceaccounts",), READ))
        found += _role(context, "cilium-operator-ztunnel", context.home, "operator", rules)
    return found


def _certgen_roles(context: Context) -> list[Object]:
    found: list[Object] = []
    if uses_mesh_certgen(context) and context.on("serviceAccounts.clustermeshcertgen.create"):
        names = ["clustermesh-apiserver-server-cert", "clustermesh-apiserver-admin-cert"]
        names.append("clustermesh-apiserver-remote-cert")
        if context.minor >= 16:
            names.append("clustermesh-apiserver-local-cert")
        if context.minor < 19:
            names.append("clustermesh-apiserver-client-cert")
        found += _certgen_role(context, MESH, "clustermeshcertgen", names, context.table("clustermesh.annotations"))
    if uses_hubble_certgen(context) and context.on("serviceAccounts.hubblecertgen.create"):
        names = ["hubble-server-certs", "hubble-relay-client-certs", "hubble-relay-server-certs"]
        if context.minor >= 16:
            names += ["hubble-metrics-server-certs", "hubble-ui-client-certs"]
        found += _certgen_role(context, HUBBLE, "hubblecertgen", names, context.table("hubble.annotations"))
    return found


def _certgen_role(
    context: Context, name: str, account: str, secrets: list[str], notes: Mapping[str, str]
) -> list[Object]:
    api = "rbac.authorization.k8s.io/v1"
    everywhere = "Cluster" if name == HUBBLE and context.minor == 15 else ""
    writes = [_on_secrets(["get", "update"], ["cilium-ca"]), _on_secrets(["update"], secrets)]
    if name == HUBBLE:
        writes.reverse()
    metadata = context.metadata(name, PART, notes, namespaced=not everywhere)
    return [
        {
            "apiVersion": api,
            "kind": f"{everywhere}Role",
            "metadata": metadata,
            "rules": [_on_secrets(["create"], []), *writes],
        },
        {
            "apiVersion": api,
            "kind": f"{everywhere}RoleBinding",
            "metadata": context.metadata(name, PART, notes, namespaced=not everywhere),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": f"{everywhere}Role", "name": name},
            "subjects": [_subject(context, account)],
        },
    ]


def _on_secrets(verbs: list[str], names: list[str]) -> Object:
    rule: Object = {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}
    return {**rule, "resourceNames": names} if names else rule
