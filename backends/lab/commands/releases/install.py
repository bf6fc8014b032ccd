"""The first revision of a release."""

from collections.abc import Mapping
from typing import Any

from backends.lab.charts.context import Object
from backends.lab.commands.kube.kinds import NAMESPACE
from backends.lab.commands.kube.port import ApiFailure, Port, Unreachable
from backends.lab.commands.releases import hooks
from backends.lab.commands.releases.errors import NameInUse, NotFound, ReleaseError
from backends.lab.commands.releases.objects import changes, ready
from backends.lab.commands.releases.objects.manifests import objects, owned
from backends.lab.commands.releases.options import HELM, Chart, Options
from backends.lab.commands.releases.record import (
    DEPLOYED,
    FAILED,
    PENDING_INSTALL,
    SUPERSEDED,
    UNINSTALLED,
    Release,
)
from backends.lab.commands.releases.rendering import Place, revision
from backends.lab.commands.releases.storage import Storage
from backends.lab.commands.releases.uninstall import uninstall


def install(
    port: Port,
    chart: Chart,
    values: Mapping[str, Any],
    *,
    name: str = "cilium",
    namespace: str = "kube-system",
    options: Options = HELM,
) -> Release:
    """Install the chart with the user's values as revision 1 of a release.

    Raises ``ChartError`` or ``ReleaseError`` before anything is written, ``ReleaseError`` afterwards with the release
    marked ``failed``. A process that is killed leaves ``pending-install``.
    """
    storage = Storage(port, namespace, options.history_max)
    earlier = _earlier(storage, name)
    if earlier is not None and not options.dry_run and not _replaceable(earlier, options):
        raise NameInUse
    release = revision(port, chart, values, Place(name, namespace), PENDING_INSTALL, options)
    release.description = "Initial install underway"
    wanted = [owned(item, name, namespace) for item in objects(release.manifest)]
    try:
        existing = changes.adopted(port, wanted, name, namespace, take=options.take_ownership)
    except ReleaseError as error:
        raise ReleaseError(f"Unable to continue with install: {error}") from error
    if options.dry_run:
        release.description = "Dry run complete"
        return release
    if options.create_namespace:
        _make_namespace(port, namespace)
    if earlier is not None:
        _replace(storage, earlier, release)
    storage.create(release)
    try:
        with options.writing():
            _perform(storage, release, wanted, existing, options)
    except (ReleaseError, ApiFailure, Unreachable) as error:
        raise _failed(storage, release, error, options) from error
    release.status = DEPLOYED
    release.description = options.description or "Install complete"
    storage.note(release)
    return release


def _perform(
    storage: Storage, release: Release, wanted: list[Object], existing: list[Object], options: Options
) -> None:
    port = storage.port
    if options.hooks:
        _hooks(storage, release, "pre-install", options)
    if existing:
        changes.update(port, existing, wanted, changes.Changed())
    else:
        changes.create(port, wanted)
    if options.wait or options.atomic:
        ready.wait(port, wanted, options.patience, jobs=options.wait_for_jobs)
    if options.hooks:
        _hooks(storage, release, "post-install", options)


def _hooks(storage: Storage, release: Release, event: str, options: Options) -> None:
    try:
        hooks.run(storage, release, event, options)
    except ReleaseError as error:
        raise ReleaseError(f"{event} hooks failed: {error}" if options.cli else f"failed {event}: {error}") from error


def _failed(storage: Storage, release: Release, error: Exception, options: Options) -> ReleaseError:
    release.status = FAILED
    release.description = f'Release "{release.name}" failed: {error}'
    if options.atomic:
        uninstall(storage, release.name, options)
        return ReleaseError(f"release {release.name} failed, and has been uninstalled due to atomic being set: {error}")
    storage.note(release)
    return error if isinstance(error, ReleaseError) else ReleaseError(str(error))


def _earlier(storage: Storage, name: str) -> Release | None:
    try:
        return storage.last(name)
    except NotFound:
        return None


def _replaceable(earlier: Release, options: Options) -> bool:
    return options.replace and earlier.status in (UNINSTALLED, FAILED)


def _replace(storage: Storage, earlier: Release, release: Release) -> None:
    """Use the name of a deleted release again."""
    release.revision = earlier.revision + 1
    if earlier.status != FAILED:
        earlier.status, earlier.description = SUPERSEDED, "superseded by new release"
        storage.update(earlier)


def _make_namespace(port: Port, namespace: str) -> None:
    metadata = {"name": namespace, "labels": {"name": namespace}}
    try:
        port.create(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    except ApiFailure as error:
        if not error.exists:
            raise ReleaseError(str(error)) from error
