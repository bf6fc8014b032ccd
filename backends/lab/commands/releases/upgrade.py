"""A further revision of a release."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from backends.lab.charts.context import Object
from backends.lab.charts.trees import Tree, coalesce, reuse
from backends.lab.charts.version import ChartVersion
from backends.lab.commands.kube.port import ApiFailure, Port, Unreachable
from backends.lab.commands.releases import hooks
from backends.lab.commands.releases.errors import Busy, NoDeployed, NotFound, ReleaseError
from backends.lab.commands.releases.objects import changes, ready
from backends.lab.commands.releases.objects.manifests import objects, owned
from backends.lab.commands.releases.options import HELM, Chart, Options
from backends.lab.commands.releases.record import DEPLOYED, FAILED, PENDING_UPGRADE, SUPERSEDED, Release
from backends.lab.commands.releases.rendering import Place, revision
from backends.lab.commands.releases.rollback import rollback
from backends.lab.commands.releases.storage import Storage

Values = Literal["default", "reset", "reuse", "reset-then-reuse"]


def upgrade(
    port: Port,
    chart: Chart | None,
    values: Mapping[str, Any],
    *,
    name: str = "cilium",
    namespace: str = "kube-system",
    policy: Values = "default",
    options: Options = HELM,
) -> Release:
    """Bring a release to this chart (``None``: the one it has) and these values, merged by ``policy``.

    Raises ``ChartError`` or ``ReleaseError`` before anything is written, ``ReleaseError`` afterwards with the new
    revision ``failed`` and the previous one in force. A process that is killed leaves ``pending-upgrade``.
    """
    storage = Storage(port, namespace, options.history_max)
    last, current = _current(storage, name)
    chart, config = _values(chart or stored_chart(current), current, values, policy)
    place = Place(name, namespace, last.revision + 1, current.first_deployed)
    release = revision(port, chart, config, place, PENDING_UPGRADE, options)
    release.description = "Preparing upgrade"
    before = list(objects(current.manifest))
    wanted = [owned(item, name, namespace) for item in objects(release.manifest)]
    known = {changes.key(item) for item in before}
    new = [item for item in wanted if changes.key(item) not in known]
    try:
        before += changes.adopted(port, new, name, namespace, take=options.take_ownership)
    except ReleaseError as error:
        raise ReleaseError(f"Unable to continue with update: {error}") from error
    if options.dry_run:
        release.description = options.description or "Dry run complete"
        return release
    storage.create(release)
    changed = changes.Changed()
    try:
        with options.writing():
            _perform(storage, current, release, (before, wanted, changed), options)
    except (ReleaseError, ApiFailure, Unreachable) as error:
        raise _failed(storage, release, changed, error, options) from error
    release.status = DEPLOYED
    release.description = options.description or "Upgrade complete"
    storage.update(release)
    return release


def stored_chart(release: Release) -> Chart:
    """The chart that a release was made of."""
    version = str((release.chart.get("metadata") or {}).get("version", ""))
    return Chart(ChartVersion.parse(version), release.chart.get("values"))


def _current(storage: Storage, name: str) -> tuple[Release, Release]:
    """The newest revision, and the one in force."""
    try:
        last = storage.last(name)
    except NotFound:
        raise NoDeployed(name) from None
    if last.pending:
        raise Busy
    if last.status == DEPLOYED:
        return last, last
    try:
        return last, storage.deployed(name)
    except NoDeployed:
        if last.status in (FAILED, SUPERSEDED):
            return last, last
        raise


def _values(chart: Chart, current: Release, values: Mapping[str, Any], policy: Values) -> tuple[Chart, Tree]:
    if policy == "reset":
        return chart, dict(values)
    if policy == "reuse":
        old = coalesce(current.chart.get("values") or {}, current.config)
        return replace(chart, defaults=old), reuse(values, current.config)
    if policy == "reset-then-reuse":
        return chart, reuse(values, current.config)
    return chart, dict(values) or dict(current.config)


def _perform(
    storage: Storage,
    current: Release,
    release: Release,
    work: tuple[list[Object], list[Object], changes.Changed],
    options: Options,
) -> None:
    before, wanted, changed = work
    port = storage.port
    if options.hooks:
        _hooks(storage, release, "pre-upgrade", options)
    try:
        changes.update(port, before, wanted, changed)
        if options.wait or options.atomic:
            ready.wait(port, wanted, options.patience, jobs=options.wait_for_jobs)
    except (ReleaseError, ApiFailure):
        storage.note(current)
        raise
    if options.hooks:
        _hooks(storage, release, "post-upgrade", options)
    current.status = SUPERSEDED
    storage.note(current)


def _hooks(storage: Storage, release: Release, event: str, options: Options) -> None:
    try:
        hooks.run(storage, release, event, options)
    except ReleaseError as error:
        raise ReleaseError(f"{event} hooks failed: {error}") from error


def _failed(
    storage: Storage, release: Release, changed: changes.Changed, error: Exception, options: Options
) -> ReleaseError:
    release.status = FAILED
    release.description = f'Upgrade "{release.name}" failed: {error}'
    storage.note(release)
    if options.cleanup_on_fail:
        changes.delete(storage.port, changed.created)
    if options.atomic:
        good = [each for each in storage.history(release.name) if each.status in (SUPERSEDED, DEPLOYED)]
        if not good:
            return ReleaseError(
                "unable to find a previously successful release when attempting to rollback. original upgrade error: "
                f"{error}"
            )
        rollback(storage.port, good[-1].revision, name=release.name, namespace=release.namespace, options=options)
        return ReleaseError(f"release {release.name} failed, and has been rolled back due to atomic being set: {error}")
    return error if isinstance(error, ReleaseError) else ReleaseError(str(error))
