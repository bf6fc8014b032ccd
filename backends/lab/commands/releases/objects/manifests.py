"""Manifests: the objects of a revision as the YAML text that its record holds."""

from collections.abc import Iterable, Iterator

from backends.lab.charts.context import Object
from backends.lab.commands.kube.yamls import dump, load_all

HOOK = "helm.sh/hook"
OWNER_LABEL = "app.kubernetes.io/managed-by"
OWNER = "Helm"
RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"

_FOLDERS = {
    "clustermesh-apiserver": "clustermesh-apiserver",
    "cilium-envoy": "cilium-envoy",
    "cilium-operator": "cilium-operator",
    "hubble-relay": "hubble-relay",
    "hubble": "hubble",
}


def split_hooks(objects: Iterable[Object]) -> tuple[list[Object], list[Object]]:
    """Ordinary objects and hooks."""
    ordinary: list[Object] = []
    hooks: list[Object] = []
    for item in objects:
        annotations = item["metadata"].get("annotations") or {}
        (hooks if HOOK in annotations else ordinary).append(item)
    return ordinary, hooks


def text(objects: Iterable[Object]) -> str:
    """The objects as one manifest."""
    return "".join(f"---\n# Source: {source(item)}\n{dump(item)}" for item in objects)


def objects(manifest: str) -> Iterator[Object]:
    """The objects of a manifest."""
    yield from (item for item in load_all(manifest) if isinstance(item, dict))


def source(item: Object) -> str:
    """The template a chart would keep the object in."""
    name = str(item["metadata"]["name"])
    folder = next((folder for start, folder in _FOLDERS.items() if name.startswith(start)), "cilium-agent")
    if item["kind"] in ("Secret", "ConfigMap", "Namespace"):
        return f"cilium/templates/{name}-{item['kind'].lower()}.yaml"
    return f"cilium/templates/{folder}/{item['kind'].lower()}.yaml"


def hook_record(item: Object) -> dict[str, object]:
    """A hook as a release's record holds it."""
    events = str(item["metadata"]["annotations"][HOOK]).split(",")
    return {
        "name": item["metadata"]["name"],
        "kind": item["kind"],
        "path": source(item),
        "manifest": dump(item),
        "events": [event.strip() for event in events],
        "last_run": {"started_at": "", "completed_at": "", "phase": ""},
    }


def owned(item: Object, release: str, namespace: str) -> Object:
    """The object with helm's ownership label and annotations."""
    metadata = dict(item["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), OWNER_LABEL: OWNER}
    marks = {RELEASE_NAME: release, RELEASE_NAMESPACE: namespace}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **marks}
    return {**item, "metadata": metadata}


def ownership_problem(live: Object, release: str, namespace: str) -> str:
    """Why a live object cannot be adopted; empty when it can."""
    labels, annotations = live["metadata"].get("labels") or {}, live["metadata"].get("annotations") or {}
    problems = [
        problem
        for start, table, key, value in (
            ("label validation error", labels, OWNER_LABEL, OWNER),
            ("annotation validation error", annotations, RELEASE_NAME, release),
            ("annotation validation error", annotations, RELEASE_NAMESPACE, namespace),
        )
        if (problem := _required(start, table, key, value))
    ]
    return "; ".join(["invalid ownership metadata", *problems]) if problems else ""


def _required(start: str, table: dict[str, str], key: str, value: str) -> str:
    if key not in table:
        return f'{start}: missing key "{key}": must be set to "{value}"'
    if table[key] != value:
        return f'{start}: key "{key}" must equal "{value}": current value is "{table[key]}"'
    return ""


def described(item: Object) -> str:
    """``Secret "cilium-ca" in namespace "kube-system"``."""
    namespace = item["metadata"].get("namespace", "")
    return f'{item["kind"]} "{item["metadata"]["name"]}" in namespace "{namespace}"'
