"""Back to an earlier revision, as a new one; also the way out of an operation that never ended."""

from backends.lab.commands.kube.port import ApiFailure, Port, Unreachable
from backends.lab.commands.releases import hooks
from backends.lab.commands.releases.errors import ReleaseError
from backends.lab.commands.releases.objects import changes, ready
from backends.lab.commands.releases.objects.manifests import objects, owned
from backends.lab.commands.releases.options import HELM, Options
from backends.lab.commands.releases.record import DEPLOYED, FAILED, PENDING_ROLLBACK, SUPERSEDED, Release, time_text
from backends.lab.commands.releases.storage import Storage


def rollback(
    port: Port,
    revision: int = 0,
    *,
    name: str = "cilium",
    namespace: str = "kube-system",
    options: Options = HELM,
) -> Release:
    """Make a new revision like an earlier one, the one before the newest for 0. Raises ``ReleaseError``."""
    storage = Storage(port, namespace, options.history_max)
    current = storage.last(name)
    wanted_revision = revision or current.revision - 1
    if wanted_revision not in [each.revision for each in storage.history(name)]:
        raise ReleaseError(f"release has no {wanted_revision} version")
    earlier = storage.get(name, wanted_revision)
    target = Release(
        name=name,
        namespace=namespace,
        revision=current.revision + 1,
        status=PENDING_ROLLBACK,
        description=f"Rollback to {wanted_revision}",
        chart=earlier.chart,
        config=earlier.config,
        manifest=earlier.manifest,
        hooks=earlier.hooks,
        notes=earlier.notes,
        first_deployed=current.first_deployed,
        last_deployed=time_text(port.now()),
    )
    if options.dry_run:
        return target
    storage.create(target)
    if options.hooks:
        hooks.run(storage, target, "pre-rollback", options)
    _perform(storage, current, target, options)
    if options.hooks:
        hooks.run(storage, target, "post-rollback", options)
    for each in storage.all_deployed(name):
        each.status = SUPERSEDED
        storage.note(each)
    target.status = DEPLOYED
    storage.update(target)
    return target


def _perform(storage: Storage, current: Release, target: Release, options: Options) -> None:
    port = storage.port
    wanted = [owned(item, target.name, target.namespace) for item in objects(target.manifest)]
    changed = changes.Changed()
    try:
        changes.update(port, list(objects(current.manifest)), wanted, changed)
    except (ReleaseError, ApiFailure, Unreachable) as error:
        current.status = SUPERSEDED
        target.status, target.description = FAILED, f'Rollback "{target.name}" failed: {error}'
        storage.note(current)
        storage.note(target)
        if options.cleanup_on_fail:
            changes.delete(port, changed.created)
        raise
    if not (options.wait or options.atomic):
        return
    try:
        ready.wait(port, wanted, options.patience, jobs=options.wait_for_jobs)
    except (ReleaseError, ApiFailure) as error:
        target.status, target.description = FAILED, f'Release "{target.name}" failed: {error}'
        storage.note(current)
        storage.note(target)
        raise ReleaseError(f"release {target.name} failed: {error}") from error
