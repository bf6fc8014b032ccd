"""``helm install``, ``upgrade``, ``rollback`` and ``uninstall``."""

import dataclasses
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final, Literal

from backends.lab.charts.context import ChartError
from backends.lab.commands.flags import BadCommandLine, Flag
from backends.lab.commands.helm.inputs import VALUES, values
from backends.lab.commands.helm.printing import status
from backends.lab.commands.helm.repositories import locate
from backends.lab.commands.helm.session import FORMAT, Session
from backends.lab.commands.kube.kinds import UnknownKind
from backends.lab.commands.kube.port import ApiFailure, Unreachable
from backends.lab.commands.releases.errors import Cancelled, NotFound, ReleaseError
from backends.lab.commands.releases.install import install
from backends.lab.commands.releases.options import Chart, Options, Patience
from backends.lab.commands.releases.record import UNINSTALLED, Release
from backends.lab.commands.releases.rollback import rollback
from backends.lab.commands.releases.storage import Storage
from backends.lab.commands.releases.uninstall import uninstall
from backends.lab.commands.releases.upgrade import Values, upgrade

FAILURES: Final = (
    ApiFailure, BadCommandLine, ChartError, ReleaseError, UnknownKind, Unreachable,
)  # fmt: skip
_TIMEOUT: Final = Flag("timeout", "duration", default=300.0)
_COMMON: Final = (Flag("wait"), Flag("wait-for-jobs"), Flag("no-hooks"), _TIMEOUT)
_CHART: Final = (Flag("version", "string"), Flag("repo", "string"), Flag("devel"))
_BOTH: Final = (
    *VALUES,
    *_CHART,
    *_COMMON,
    Flag("description", "string"),
    Flag("atomic"),
    Flag("create-namespace"),
    Flag("dry-run", "string", bare="client"),
    Flag("take-ownership"),
    Flag("hide-notes"),
    Flag("skip-crds"),
    Flag("disable-openapi-validation"),
    Flag("dependency-update"),
    FORMAT,
)
_HISTORY: Final = Flag("history-max", "int", default=10)
INSTALL_FLAGS: Final = (*_BOTH, Flag("replace"))
UPGRADE_FLAGS: Final = (
    *_BOTH,
    _HISTORY,
    Flag("install", "bool", "i"),
    Flag("reuse-values"),
    Flag("reset-values"),
    Flag("reset-then-reuse-values"),
    Flag("cleanup-on-fail"),
)
ROLLBACK_FLAGS: Final = (*_COMMON, _HISTORY, Flag("dry-run"), Flag("cleanup-on-fail"))
UNINSTALL_FLAGS: Final = (
    Flag("wait"),
    Flag("no-hooks"),
    _TIMEOUT,
    Flag("dry-run"),
    Flag("keep-history"),
    Flag("ignore-not-found"),
    Flag("cascade", "string", default="background"),
    Flag("description", "string"),
)


def run_install(session: Session) -> None:
    """``helm install NAME CHART``."""
    with _prefixed("INSTALLATION FAILED"):
        if len(session.words) > 2:
            raise BadCommandLine(
                f"expected at most two arguments, unexpected arguments: {', '.join(session.words[2:])}"
            )
        if len(session.words) < 2:
            raise BadCommandLine("must either provide a name or specify --generate-name")
        release = _install(session, _options(session), replace=session["replace"])
    status(release, session["output"], quiet=session["hide-notes"])


def run_upgrade(session: Session) -> None:
    """``helm upgrade NAME CHART``."""
    name = session.words[0]
    options = _options(session)
    if session["install"]:
        last = _last(session, name)
        if last is None or last.status == UNINSTALLED:
            if session["output"] == "table":
                print(f'Release "{name}" does not exist. Installing it now.', flush=True)
            release = _install(session, options, replace=last is not None)
            status(release, session["output"], quiet=session["hide-notes"])
            return
    chart = Chart(locate(session, session.words[1]))
    found = values(session)
    with _prefixed("UPGRADE FAILED"), _cancellable(name, options) as cancellable:
        release = upgrade(
            session.port(),
            chart,
            found,
            name=name,
            namespace=session.namespace,
            policy=_policy(session),
            options=cancellable,
        )
    if session["output"] == "table":
        print(f'Release "{name}" has been upgraded. Happy Helming!')
    status(release, session["output"], quiet=session["hide-notes"])


def run_rollback(session: Session) -> None:
    """``helm rollback NAME [REVISION]``."""
    revision = 0
    if len(session.words) > 1:
        word = session.words[1]
        try:
            revision = int(word)
        except ValueError as error:
            raise BadCommandLine(
                f'could not convert revision to a number: strconv.Atoi: parsing "{word}": invalid syntax'
            ) from error
    if revision < 0:
        raise BadCommandLine("invalid release revision")
    options = Options(
        wait=session["wait"],
        wait_for_jobs=session["wait-for-jobs"],
        patience=Patience(session["timeout"]),
        hooks=not session["no-hooks"],
        dry_run="server" if session["dry-run"] else "",
        cleanup_on_fail=session["cleanup-on-fail"],
        history_max=_history_max(session),
    )
    port = session.port()
    rollback(port, revision, name=session.words[0], namespace=session.namespace, options=options)
    print("Rollback was a success! Happy Helming!")


def run_uninstall(session: Session) -> None:
    """``helm uninstall NAME…``."""
    cascade = session["cascade"]
    if cascade not in ("background", "foreground", "orphan"):
        raise BadCommandLine(f'invalid cascade value ({cascade}). Must be "background", "foreground", or "orphan"')
    if cascade != "background":
        raise BadCommandLine("the lab's helm deletes in the background only")
    options = Options(
        wait=session["wait"],
        patience=Patience(session["timeout"]),
        hooks=not session["no-hooks"],
        dry_run="server" if session["dry-run"] else "",
        description=session["description"],
    )
    storage = Storage(session.port(), session.namespace)
    for name in session.words:
        try:
            if options.dry_run:
                storage.last(name)
            said = uninstall(storage, name, options, keep_history=session["keep-history"])
        except ReleaseError as error:
            if not (session["ignore-not-found"] and isinstance(error.__cause__, NotFound)):
                raise
            said = ""
        if said:
            print(said)
        print(f'release "{name}" uninstalled')


def _install(session: Session, options: Options, *, replace: bool) -> Release:
    name, reference = session.words[0], session.words[1]
    chart = Chart(locate(session, reference))
    found = values(session)
    with _cancellable(name, dataclasses.replace(options, replace=replace)) as cancellable:
        return install(
            session.port(),
            chart,
            found,
            name=name,
            namespace=session.namespace,
            options=cancellable,
        )


def _last(session: Session, name: str) -> Release | None:
    try:
        return Storage(session.port(), session.namespace).last(name)
    except NotFound:
        return None


def _options(session: Session) -> Options:
    given = session["dry-run"]
    if given and given not in ("false", "true", "none", "client", "server"):
        raise BadCommandLine("Invalid dry-run flag. Flag must one of the following: false, true, none, client, server")
    dry: Literal["", "client", "server"] = ""
    if given in ("true", "client"):
        dry = "client"
    elif given == "server":
        dry = "server"
    return Options(
        wait=session["wait"],
        wait_for_jobs=session["wait-for-jobs"],
        patience=Patience(session["timeout"]),
        hooks=not session["no-hooks"],
        description=session["description"],
        dry_run=dry,
        atomic=session["atomic"],
        cleanup_on_fail="cleanup-on-fail" in session.parsed.values and session["cleanup-on-fail"],
        take_ownership=session["take-ownership"],
        create_namespace=session["create-namespace"],
        history_max=_history_max(session),
    )


def _history_max(session: Session) -> int:
    if "history-max" in session.parsed.given:
        return int(session["history-max"])
    given = session.environment.get("HELM_MAX_HISTORY", "")
    return int(given) if given.isdigit() else 10


def _policy(session: Session) -> Values:
    if session["reset-values"]:
        return "reset"
    if session["reuse-values"]:
        return "reuse"
    return "reset-then-reuse" if session["reset-then-reuse-values"] else "default"


@contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    try:
        yield
    except FAILURES as error:
        raise BadCommandLine(f"{prefix}: {error}") from error


class _Cancelling:
    """The first SIGINT or SIGTERM cancels; before the revision is recorded that waits until it is.

    ``writing`` is around what a signal ends with the release marked failed.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._asked = False
        self._writing = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        self._writing = True
        try:
            if self._asked:
                raise Cancelled
            yield
        finally:
            self._writing = False

    def come(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._asked:
            return
        self._asked = True
        print(f"Release {self._name} has been cancelled.", flush=True)
        if self._writing:
            raise Cancelled


@contextmanager
def _cancellable(name: str, options: Options) -> Iterator[Options]:
    """The options with which an operation can be cancelled by a signal, for the time of the block."""
    cancelling = _Cancelling(name)
    handled = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, cancelling.come) for each in handled]
    try:
        yield dataclasses.replace(options, writing=cancelling.writing)
    finally:
        for each, handler in zip(handled, before, strict=True):
            signal.signal(each, handler)
