"""L8: global Services stand where they are used, and their annotations mean something."""

from functools import partial
from typing import Final

from mesh import catalogue as fact
from mesh.affinity import is_global
from mesh.finding import Check, Fix, Missing, Risk, Scope, Severity, State, Verdict
from mesh.model.kubernetes import Service
from mesh.subject import OfService, Subject
from mesh.view import NeedFact, View, attempt

_PREFIX: Final = "service.cilium.io/"
_OLD: Final = {
    "io.cilium/global-service": "global",
    "io.cilium/shared-service": "shared",
    "io.cilium/service-affinity": "affinity",
}
_BOOLEAN: Final = ("true", "false")
_VALUES: Final = {
    "global": _BOOLEAN,
    "shared": _BOOLEAN,
    "affinity": ("local", "remote", "none"),
    "global-sync-endpoint-slices": _BOOLEAN,
}


def _name(subject: Subject) -> OfService:
    assert isinstance(subject, OfService)
    return subject


def _found(view: View, subject: Subject, missing: list[Missing]) -> dict[str, Service | None]:
    """The Service of that name in every member whose Services are known; None = it does not exist there."""
    name = _name(subject)
    found: dict[str, Service | None] = {}
    for cluster in view.clusters:
        listed = attempt(partial(_by_name, view, cluster), missing)
        if listed is not None:
            found[cluster] = listed.get((name.namespace, name.name))
    return found


def _by_name(view: View, cluster: str) -> dict[tuple[str, str], Service]:
    services = view.of(fact.SERVICES, cluster)
    return view.once(("services by name", cluster), lambda: {(item.namespace, item.name): item for item in services})


def _both_sides(view: View, subject: Subject) -> Verdict:
    missing: list[Missing] = []
    found = _found(view, subject, missing)
    here = tuple(cluster for cluster, service in found.items() if service is not None and is_global(service))
    if missing:
        raise NeedFact(tuple(missing))
    if not here:
        return Verdict(State.NOT_APPLICABLE, {"reason": "the Service is global nowhere"})
    unmarked = tuple(cluster for cluster, service in found.items() if service is not None and cluster not in here)
    absent = tuple(cluster for cluster, service in found.items() if service is None)
    if len(view.clusters) < 2:
        return Verdict(State.NOT_APPLICABLE, {"reason": "there is no other cluster"})
    if unmarked:
        # However many share it: where it stands unmarked it looks like theirs, and is served by its own pods alone.
        fix = _mark(view, subject, unmarked)
        return Verdict(State.FAIL, {"here": here, "others": unmarked}, "unmarked", fixes=(fix,))
    if len(here) == 1:
        fix = _define(view, subject, here[0], absent)
        return Verdict(State.FAIL, {"here": here, "others": absent}, fixes=(fix,))
    if absent:
        return Verdict(State.INFO, {"here": here, "others": absent})
    return Verdict(State.PASS, {"here": here})


def _mark(view: View, subject: Subject, clusters: tuple[str, ...]) -> Fix:
    name = _name(subject)
    words = ("-n", name.namespace, "annotate", "service", name.name, "--overwrite", f"{_PREFIX}global=true")
    commands = tuple(view.kubectl(cluster, *words) for cluster in clusters)
    return Fix("mark-global", f"mark it global in {', '.join(clusters)} too", commands, Risk.LOW)


def _define(view: View, subject: Subject, source: str, clusters: tuple[str, ...]) -> Fix:
    name = _name(subject)
    file = f"{name.namespace}-{name.name}.yaml"
    read = view.kubectl(source, "-n", name.namespace, "get", "service", name.name, "-o", "yaml").to_file(file)
    make = tuple(view.kubectl(cluster, "-n", name.namespace, "apply", "-f", file) for cluster in clusters)
    text = (
        f"create the same Service in {', '.join(clusters)}: name, namespace, port names and annotation; first take "
        f"clusterIP, clusterIPs and nodePort out of {file}"
    )
    return Fix("define-service", text, (read, *make), Risk.LOW)


def _wrong(service: Service) -> tuple[str, str, tuple[str, ...]] | None:
    """The first annotation whose value means nothing, with that value and what it may be."""
    for key in sorted(service.annotations):
        name = _OLD.get(key) or (key.removeprefix(_PREFIX) if key.startswith(_PREFIX) else "")
        allowed = _VALUES.get(name)
        if allowed and service.annotations[key].strip().lower() not in allowed:
            return key, service.annotations[key], allowed
    return None


def _annotations(view: View, subject: Subject) -> Verdict:
    missing: list[Missing] = []
    found = {cluster: service for cluster, service in _found(view, subject, missing).items() if service is not None}
    for cluster, service in found.items():
        wrong = _wrong(service)
        if wrong:
            key, value, allowed = wrong
            args: dict[str, object] = {"key": key, "value": value, "cluster": cluster, "allowed": allowed}
            return Verdict(State.FAIL, args, fixes=(_annotate(view, subject, cluster, f"{key}={allowed[0]}"),))
    if missing:
        raise NeedFact(tuple(missing))
    old = [(cluster, key) for cluster, service in found.items() for key in sorted(service.annotations) if key in _OLD]
    if old:
        cluster, key = old[0]
        value = found[cluster].annotations[key]
        fix = _annotate(view, subject, cluster, f"{_PREFIX}{_OLD[key]}={value}", f"{key}-")
        return Verdict(State.WARN, {"key": key, "cluster": cluster, "new": _PREFIX + _OLD[key]}, fixes=(fix,))
    return Verdict(State.PASS, {"clusters": tuple(found)})


def _annotate(view: View, subject: Subject, cluster: str, *pairs: str) -> Fix:
    name = _name(subject)
    words = ("-n", name.namespace, "annotate", "service", name.name, "--overwrite", *pairs)
    return Fix("annotate", f"write {pairs[0]}", (view.kubectl(cluster, *words),), Risk.LOW)


CHECKS: Final = (
    Check(
        code="CM0801",
        title="A global Service exists on both sides",
        layer=8,
        scope=Scope.SERVICE,
        severity=Severity.WARN,
        inputs=(fact.SERVICES.name,),
        gates=("CM0002",),
        body=_both_sides,
        texts={
            "PASS": "global in {here}",
            "INFO": "global in {here}; it does not exist in {others}, where its name does not resolve",
            "FAIL": "global in {here} only; it does not exist in {others}, where its name does not resolve",
            "FAIL.unmarked": "global in {here}, but in {others} the Service is not marked global",
        },
        why="A Service is the same by namespace and name alone, and each side takes part with its own Service object.",
        docs=("cilium/network/clustermesh/services",),
    ),
    Check(
        code="CM0803",
        title="Annotations of global Services are valid",
        layer=8,
        scope=Scope.SERVICE,
        severity=Severity.ERROR,
        inputs=(fact.SERVICES.name,),
        gates=("CM0002",),
        body=_annotations,
        texts={
            "PASS": "its annotations in {clusters} are valid",
            "WARN": "{key} in {cluster} is the old name of {new}",
            "FAIL": "{key}={value} in {cluster} means nothing; it may be {allowed}",
        },
        why="Agents ignore a value they do not know and serve as if it were not written.",
        docs=("cilium/network/clustermesh/services",),
    ),
)
