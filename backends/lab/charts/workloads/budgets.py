"""PodDisruptionBudgets of the release, all off by default."""

from backends.lab.charts.context import Context, Object
from backends.lab.charts.workloads import apiserver, operator, relay


def budgets(context: Context) -> list[Object]:
    """One budget per workload that asks for it."""
    hubble = context.on("hubble.enabled") and context.on("hubble.relay.enabled")
    parts = (
        (context.on("operator.enabled"), "operator", "cilium-operator", operator.LABELS),
        (context.mesh_server, apiserver.ROOT, "clustermesh-apiserver", apiserver.LABELS),
        (hubble, relay.ROOT, "hubble-relay", relay.LABELS),
    )
    found = []
    for present, root, name, labels in parts:
        if not present or not context.on(f"{root}.podDisruptionBudget.enabled"):
            continue
        spec: Object = {"selector": {"matchLabels": _selector(labels)}}
        for field in ("maxUnavailable", "minAvailable"):
            if context.get(f"{root}.podDisruptionBudget.{field}") is not None:
                spec[field] = context.get(f"{root}.podDisruptionBudget.{field}")
        found.append(
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": context.metadata(name, labels),
                "spec": spec,
            }
        )
    return found


def _selector(labels: dict[str, str]) -> dict[str, str]:
    own = ("k8s-app",) if "k8s-app" in labels else ("io.cilium/app", "name")
    return {key: labels[key] for key in own}
