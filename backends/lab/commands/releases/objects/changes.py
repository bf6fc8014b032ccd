"""Objects of a release written, changed and removed: each by a request of its own, so that an end may come between."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from backends.lab.charts.context import Object
from backends.lab.commands.kube.kinds import kind_of
from backends.lab.commands.kube.port import ApiFailure, Port
from backends.lab.commands.releases.errors import ReleaseError, occurred
from backends.lab.commands.releases.objects.manifests import described, ownership_problem
from backends.lab.commands.releases.objects.merge import merge_patch, without_null

KEEP = ("helm.sh/resource-policy", "keep")
Key = tuple[str, str, str, str]


@dataclass(slots=True)
class Changed:
    """What an update did; filled while it runs, so that it is known after a failure too."""

    created: list[Object] = field(default_factory=list)
    updated: list[Object] = field(default_factory=list)
    deleted: list[Object] = field(default_factory=list)


def key(item: Object) -> Key:
    """What makes two objects the same one."""
    metadata = item["metadata"]
    return (kind_of(item).group, item["kind"], str(metadata.get("namespace") or ""), metadata["name"])


def create(port: Port, wanted: Sequence[Object]) -> None:
    """Create all; raises ``ReleaseError`` with every refusal at the end."""
    errors: list[ApiFailure] = []
    for item in wanted:
        try:
            port.create(kind_of(item), without_null(item))
        except ApiFailure as error:
            errors.append(error)
    if errors:
        raise ReleaseError(occurred(errors))


def update(port: Port, before: Iterable[Object], wanted: Sequence[Object], changed: Changed) -> None:
    """From the objects of one revision to those of another: create, merge, then delete what is no longer wanted.

    Raises ``ReleaseError``: at once where an object cannot be read or created, else after the last one.
    """
    past = {key(item): item for item in before}
    errors: list[str] = []
    for item in wanted:
        try:
            live = present(port, item)
        except ApiFailure as error:
            raise ReleaseError(f"could not get information about the resource: {error}") from error
        if live is None:
            changed.created.append(item)
            try:
                port.create(kind_of(item), without_null(item))
            except ApiFailure as error:
                raise ReleaseError(f"failed to create resource: {error}") from error
            continue
        changed.updated.append(item)
        try:
            _merge(port, past.get(key(item), live), item, live)
        except ApiFailure as error:
            errors.append(f'cannot patch "{item["metadata"]["name"]}" with kind {item["kind"]}: {error}')
    if errors:
        raise ReleaseError(" && ".join(errors))
    kept = {key(item) for item in wanted}
    for place, item in past.items():
        if place not in kept:
            _drop(port, item, changed)


def adopted(port: Port, wanted: Iterable[Object], release: str, namespace: str, *, take: bool) -> list[Object]:
    """The wanted objects that are there already and may become the release's; others' raise ``ReleaseError``."""
    found: list[Object] = []
    for item in wanted:
        try:
            live = present(port, item)
        except ApiFailure as error:
            raise ReleaseError(f"could not get information about the resource {described(item)}: {error}") from error
        if live is None:
            continue
        problem = "" if take else ownership_problem(live, release, namespace)
        if problem:
            raise ReleaseError(f"{described(item)} exists and cannot be imported into the current release: {problem}")
        found.append(item)
    return found


def delete(port: Port, unwanted: Iterable[Object]) -> list[ApiFailure]:
    """Delete all; what is gone already is no failure."""
    errors: list[ApiFailure] = []
    for item in unwanted:
        kind, metadata = kind_of(item), item["metadata"]
        try:
            port.delete(kind, metadata.get("namespace"), metadata["name"])
        except ApiFailure as error:
            if not error.missing:
                errors.append(error)
    return errors


def keep(item: Object) -> bool:
    """Whether an object outlives its release."""
    annotations: Mapping[str, str] = item["metadata"].get("annotations") or {}
    return annotations.get(KEEP[0]) == KEEP[1]


def _merge(port: Port, before: Object, wanted: Object, live: Object) -> None:
    patch = merge_patch(before, wanted, live)
    if patch:
        metadata = wanted["metadata"]
        port.patch(kind_of(wanted), metadata.get("namespace"), metadata["name"], patch)


def _drop(port: Port, item: Object, changed: Changed) -> None:
    """Helm only logs what cannot be removed."""
    kind, metadata = kind_of(item), item["metadata"]
    try:
        live = present(port, item)
        if live is None or keep(live):
            return
        port.delete(kind, metadata.get("namespace"), metadata["name"])
    except ApiFailure:
        return
    changed.deleted.append(item)


def present(port: Port, item: Object) -> Object | None:
    """The live object of the same name, or ``None``."""
    return port.get(kind_of(item), item["metadata"].get("namespace"), item["metadata"]["name"])
