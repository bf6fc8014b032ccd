"""The end of a release."""

from backends.lab.charts.context import Object
from backends.lab.commands.kube.port import ApiFailure
from backends.lab.commands.releases import hooks
from backends.lab.commands.releases.errors import NotFound, ReleaseError
from backends.lab.commands.releases.objects import changes, ready
from backends.lab.commands.releases.objects.manifests import objects
from backends.lab.commands.releases.options import HELM, Options
from backends.lab.commands.releases.record import SUPERSEDED, UNINSTALLED, UNINSTALLING, Release, time_text
from backends.lab.commands.releases.storage import Storage

# Kinds in the order in which helm removes them; the chart has no others.
ORDER = (
    "Service",
    "CronJob",
    "Job",
    "Deployment",
    "DaemonSet",
    "RoleBinding",
    "Role",
    "ClusterRoleBinding",
    "ClusterRole",
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "PodDisruptionBudget",
    "ResourceQuota",
    "Namespace",
)


def uninstall(storage: Storage, name: str, options: Options = HELM, *, keep_history: bool = False) -> str:
    """Remove a release and what it made; returns what is said about objects kept. Raises ``ReleaseError``."""
    try:
        history = storage.history(name)
    except NotFound as error:
        raise ReleaseError(f"uninstall: Release not loaded: {name}: {error}") from error
    release = history[-1]
    if options.dry_run:
        return ""
    if release.status == UNINSTALLED:
        if keep_history:
            raise ReleaseError(f'the release named "{name}" is already deleted')
        _purge(storage, history)
        return ""
    release.status, release.description = UNINSTALLING, "Deletion in progress (or silently failed)"
    release.deleted = time_text(storage.port.now())
    if options.hooks:
        hooks.run(storage, release, "pre-delete", options)
    storage.note(release)
    unwanted, kept = _sorted(release)
    if changes.delete(storage.port, unwanted):
        raise ReleaseError(f"failed to delete release: {name}")
    errors = _waited(storage, unwanted, options)
    if options.hooks:
        hooks.run(storage, release, "post-delete", options)
    release.status, release.description = UNINSTALLED, options.description or "Uninstallation complete"
    if keep_history:
        storage.note(release)
        for each in storage.all_deployed(name):
            each.status = SUPERSEDED
            storage.note(each)
    else:
        _purge(storage, history)
    if errors:
        raise ReleaseError(f"uninstallation completed with {len(errors)} error(s): {'; '.join(errors)}")
    return kept


def _sorted(release: Release) -> tuple[list[Object], str]:
    found = sorted(objects(release.manifest), key=lambda item: ORDER.index(item["kind"]))
    kept = "".join(f"[{item['kind']}] {item['metadata']['name']}\n" for item in found if changes.keep(item))
    said = f"These resources were kept due to the resource policy:\n{kept}" if kept else ""
    return [item for item in found if not changes.keep(item)], said


def _waited(storage: Storage, unwanted: list[Object], options: Options) -> list[str]:
    if not options.wait:
        return []
    try:
        ready.gone(storage.port, unwanted, options.patience)
    except ReleaseError as error:
        return [str(error)]
    return []


def _purge(storage: Storage, history: list[Release]) -> None:
    for release in history:
        try:
            storage.delete(release)
        except ApiFailure as error:
            if not error.missing:
                raise
