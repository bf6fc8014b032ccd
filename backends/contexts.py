"""The ``ContextGateway``: contexts of kubeconfigs or of a bundle, a cheap look at each, and their logins."""

import asyncio
import os
import time
from typing import Final

import msgspec

from backends.bundle import Bundle
from backends.cilium.glance import Glance
from backends.credentials import login
from backends.credentials.plugin import Credentials, exec_info
from backends.gather import ClusterGatherer, Connect, read_snapshots
from backends.kube.collect.access import Access
from backends.kube.collect.rights import RightsReview
from backends.kubeconfig.listing import Kubeconfig
from backends.process import NotStarted, ask_on_terminal, run_on_terminal
from mesh import catalogue as fact
from mesh.facts import Fact, FactStore, Known, Reason, Unknown
from mesh.model import rights
from mesh.model.context import Access as AccessState
from mesh.model.context import ContextList, ContextPeek, ContextRef, Provider
from mesh.model.kubernetes import OwnerKind
from mesh.reading import NotRead
from mesh.subject import OfCluster

PEEK_SECONDS: Final = 10.0
_ACCESS: Final = {
    Reason.EXPIRED: AccessState.EXPIRED,
    Reason.NO_PLUGIN: AccessState.NO_PLUGIN,
    Reason.FORBIDDEN: AccessState.DENIED,
    Reason.TIMEOUT: AccessState.UNREACHABLE,
    Reason.UNREACHABLE: AccessState.UNREACHABLE,
    Reason.THROTTLED: AccessState.UNREACHABLE,
}


class _SystemClock:
    def now(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _glancing(connect: Connect) -> ClusterGatherer:
    """Reads the few facts that a peek shows."""
    return ClusterGatherer((Access(), RightsReview(), Glance()), connect, _SystemClock())


class Contexts:
    """See ``mesh.ports.ContextGateway``. ``connect`` gives the reader of a context and may raise ``NotRead``."""

    def __init__(self, kubeconfig: Kubeconfig, credentials: Credentials, connect: Connect) -> None:
        self._kubeconfig = kubeconfig
        self._credentials = credentials
        self._glance = _glancing(connect)

    def current(self) -> str:
        """The key of kubectl's current context; "" if there is none."""
        return self._kubeconfig.current()

    async def peek(self, ref: ContextRef) -> ContextPeek:
        """See ``ContextGateway``."""
        try:
            async with asyncio.timeout(PEEK_SECONDS):
                store = await self._glance.gather([ref], lambda event: None)
        except TimeoutError:
            return ContextPeek(
                ref.key, AccessState.UNREACHABLE, f"no answer within {PEEK_SECONDS:g} s", where=where(ref)
            )
        seen = seen_by(ref, store)
        if seen.access is not AccessState.EXPIRED:
            return seen
        return msgspec.structs.replace(seen, login=self.login_command(ref))

    def login_command(self, ref: ContextRef) -> tuple[str, ...]:
        """See ``ContextGateway``."""
        try:
            return self._credentials.login_command(self._kubeconfig.connection(ref))
        except NotRead:
            return ()

    def sign_in(self, ref: ContextRef) -> int:
        """See ``ContextGateway``. A plugin that leads through the login itself is run, and what it prints is kept from
        the screen and used. 127 = the command is not there.
        """
        try:
            connection = self._kubeconfig.connection(ref)
            plugin = connection.user.plugin
            if plugin and (plugin.interactive_mode == "Always" or login.asks_a_person(plugin.argv)):
                information = exec_info(connection, interactive=True)
                environment = self._credentials.child_environment(plugin, information)
                code, answer = ask_on_terminal(plugin.argv, environment)
                if code == 0:
                    self._credentials.keep(connection, answer)
                return code
            command = self._credentials.login_command(connection)
            variables = plugin.env if plugin else {}
            code = run_on_terminal(command, {**os.environ, **variables}) if command else 127
            self._credentials.forget(connection)
            return code
        except NotStarted:
            return 127
        except NotRead:
            return 1

    def list(self) -> ContextList:
        """See ``ContextGateway``."""
        return self._kubeconfig.contexts()


class RecordedContexts:
    """The clusters of a bundle. Nobody signs in to a file."""

    def __init__(self, bundle: Bundle) -> None:
        self._store, names = read_snapshots(bundle.snapshots, lambda event: None)
        # A cluster that is in both is taken from the snapshot, as its gatherer does.
        recorded = {ref: reader for ref, reader in bundle.recordings.items() if ref.key not in names}
        self._readers = {ref.key: reader for ref, reader in recorded.items()}
        files = tuple(dict.fromkeys((*(ref.file for ref in recorded), *(path for path, _ in bundle.snapshots))))
        self._list = ContextList((*recorded, *(self._of_snapshot(name, files[-1]) for name in names)), searched=files)

    def _of_snapshot(self, name: str, file: str) -> ContextRef:
        ref = self._store.value(fact.CONTEXT, OfCluster(name))
        return ref if ref and ref.key == name else ContextRef(name, name, file, trusted=False)

    def list(self) -> ContextList:
        """See ``ContextGateway``."""
        return self._list

    async def peek(self, ref: ContextRef) -> ContextPeek:
        """See ``ContextGateway``."""
        reader = self._readers.get(ref.key)
        store = await _glancing(lambda _: reader).gather([ref], lambda event: None) if reader else self._store
        return seen_by(ref, store)

    def login_command(self, ref: ContextRef) -> tuple[str, ...]:
        """See ``ContextGateway``."""
        return ()

    def sign_in(self, ref: ContextRef) -> int:
        """See ``ContextGateway``."""
        return 1


def seen_by(ref: ContextRef, store: FactStore) -> ContextPeek:
    """What the facts of a glance show in the list of contexts."""
    subject = OfCluster(ref.key)
    version, granted = store.get(fact.VERSION, subject), store.get(fact.RIGHTS, subject)
    if isinstance(version, Unknown) and version.reason is not Reason.FORBIDDEN:
        access = _ACCESS.get(version.reason, AccessState.INVALID)
        return ContextPeek(ref.key, access, version.detail or version.reason.value, where=where(ref))
    missing, counted = _missing(granted)
    settings = store.value(fact.SETTINGS, subject)
    owner = store.value(fact.OWNER, subject)
    cilium = store.value(fact.CILIUM_VERSION, subject)
    denied = isinstance(version, Unknown) and not counted[0]
    return ContextPeek(
        key=ref.key,
        access=AccessState.DENIED if denied else AccessState.PARTIAL if missing else AccessState.READY,
        detail=_detail(version, granted, missing, counted),
        version=_short(version),
        cluster_uid=store.value(fact.CLUSTER_UID, subject) or "",
        cilium_version=cilium or "",
        cilium_name=settings.cluster_name if settings else "",
        cilium_id=settings.cluster_id if settings else 0,
        managed=bool(owner and owner.kind is OwnerKind.MANAGED),
        where=where(ref),
        missing=missing,
        rights=counted,
    )


def _missing(granted: Fact) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Rights for reading that are denied, and how many of all are granted."""
    if not isinstance(granted, Known):
        return (), (0, 0)
    denied = frozenset(granted.value.denied)
    lacks = tuple(str(right) for right in rights.CHECK if right in denied)
    return lacks, (len(rights.CHECK) - len(lacks), len(rights.CHECK))


def _detail(version: Fact, granted: Fact, missing: tuple[str, ...], counted: tuple[int, int]) -> str:
    if missing:
        return f"{counted[0]} of {counted[1]} rights"
    for unread in (version, granted):
        if isinstance(unread, Unknown):
            return unread.detail or unread.reason.value
    return ""


def _short(version: Fact) -> str:
    """``1.31`` of ``v1.31.4-eks-…``."""
    if not isinstance(version, Known):
        return ""
    return ".".join(version.value.git_version.removeprefix("v").split(".")[:2])


def where(ref: ContextRef) -> str:
    """Region or else resource group, and the last four digits of the account, or that it is this machine."""
    if ref.provider is Provider.KIND:
        return "this machine"
    account = f"…{ref.account[-4:]}" if ref.account else ""
    return " ".join(part for part in (ref.region or ref.group, account) if part)
