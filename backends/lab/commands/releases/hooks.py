"""Hooks: the certgen Job of charts up to 1.18, made anew after every install and upgrade."""

from backends.lab.charts.context import Object
from backends.lab.commands.kube.kinds import JOB
from backends.lab.commands.kube.port import ApiFailure, Port
from backends.lab.commands.releases.errors import ReleaseError, occurred
from backends.lab.commands.releases.objects.changes import create, delete
from backends.lab.commands.releases.objects.manifests import objects
from backends.lab.commands.releases.objects.ready import finished, gone, until
from backends.lab.commands.releases.options import Options
from backends.lab.commands.releases.record import Release, Tree, time_text
from backends.lab.commands.releases.storage import Storage

_NEVER = "0001-01-01T00:00:00Z"


def run(storage: Storage, release: Release, event: str, options: Options) -> None:
    """Run the hooks of an event one after the other; raises ``ReleaseError``, or ``ApiFailure`` from deleting."""
    for hook in sorted(
        (hook for hook in release.hooks if event in hook["events"]),
        key=lambda hook: (hook.get("weight", 0), hook["name"]),
    ):
        _run(storage, release, hook, event, options)


def _run(storage: Storage, release: Release, hook: Tree, event: str, options: Options) -> None:
    port = storage.port
    made = list(objects(hook["manifest"]))
    # The default policy: an earlier run's object goes before this one's is made.
    for error in delete(port, made):
        raise ReleaseError(str(error))
    gone(port, made, options.patience)
    last: Tree = {"started_at": time_text(port.now()), "completed_at": _NEVER, "phase": "Running"}
    hook["last_run"] = last
    storage.note(release)
    try:
        _create(port, made, hook, event)
        for item in made:
            _watch(port, item, options)
    except ReleaseError:
        last.update(completed_at=time_text(port.now()), phase="Failed")
        raise
    last.update(completed_at=time_text(port.now()), phase="Succeeded")


def _create(port: Port, made: list[Object], hook: Tree, event: str) -> None:
    try:
        create(port, made)
    except ReleaseError as error:
        raise ReleaseError(f"warning: Hook {event} {hook['path']} failed: {error}") from error


def _watch(port: Port, item: Object, options: Options) -> None:
    if item["kind"] != "Job":
        return
    namespace, name = item["metadata"].get("namespace"), item["metadata"]["name"]
    try:
        until(port, lambda: finished(port, namespace, name), options.patience, "timed out waiting for the condition")
    except ReleaseError as error:
        raise ReleaseError(_cli_text(port, item) if options.cli else occurred([error])) from error
    except ApiFailure as error:
        raise ReleaseError(occurred([error])) from error


def _cli_text(port: Port, item: Object) -> str:
    """The words of helm 4, which watches the status of objects instead of their events."""
    namespace, name = item["metadata"].get("namespace"), item["metadata"]["name"]
    status = (port.get(JOB, namespace, name) or {}).get("status") or {}
    failed = any(
        condition.get("type") == "Failed" and condition.get("status") == "True"
        for condition in status.get("conditions") or []
    )
    state, message = ("Failed", "Job Failed") if failed else ("InProgress", "Job in progress")
    return f"resource Job/{namespace}/{name} not ready. status: {state}, message: {message}\ncontext deadline exceeded"
