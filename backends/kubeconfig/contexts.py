"""The ``ContextGateway``: kubeconfig contexts, a cheap look at each, and their logins."""

import asyncio
import os
from typing import Final

from backends.credentials import login
from backends.credentials.plugin import Credentials, exec_info
from backends.kubeconfig.listing import Kubeconfig
from backends.process import NotStarted, ask_on_terminal, run_on_terminal
from mesh import catalogue as fact
from mesh.facts import Fact, FactStore, Known, Reason, Unknown
from mesh.model import rights
from mesh.model.context import Access, ContextList, ContextPeek, ContextRef, Provider
from mesh.model.kubernetes import OwnerKind
from mesh.ports import Gatherer
from mesh.reading import NotRead
from mesh.subject import OfCluster

PEEK_SECONDS: Final = 10.0
_ACCESS: Final = {
    Reason.EXPIRED: Access.EXPIRED,
    Reason.NO_PLUGIN: Access.NO_PLUGIN,
    Reason.FORBIDDEN: Access.DENIED,
    Reason.TIMEOUT: Access.UNREACHABLE,
    Reason.UNREACHABLE: Access.UNREACHABLE,
    Reason.THROTTLED: Access.UNREACHABLE,
}


class Contexts:
    """See ``mesh.ports.ContextGateway``. ``glance`` gathers the few facts that a peek shows."""

    def __init__(self, kubeconfig: Kubeconfig, credentials: Credentials, glance: Gatherer) -> None:
        self._kubeconfig = kubeconfig
        self._credentials = credentials
        self._glance = glance

    def current(self) -> str:
        """The key of kubectl's current context; "" if there is none."""
        return self._kubeconfig.current()

    async def peek(self, ref: ContextRef) -> ContextPeek:
        """See ``ContextGateway``."""
        try:
            async with asyncio.timeout(PEEK_SECONDS):
                store = await self._glance.gather([ref], lambda event: None)
        except TimeoutError:
            unknown = Unknown(Reason.TIMEOUT, f"no answer within {PEEK_SECONDS:g} s")
            return ContextPeek(ref.key, Access.UNREACHABLE, unknown.detail, where=where(ref))
        return self._seen(ref, store)

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

    def _seen(self, ref: ContextRef, store: FactStore) -> ContextPeek:
        subject = OfCluster(ref.key)
        version, granted = store.get(fact.VERSION, subject), store.get(fact.RIGHTS, subject)
        if isinstance(version, Unknown) and version.reason is not Reason.FORBIDDEN:
            access = _ACCESS.get(version.reason, Access.INVALID)
            command = self.login_command(ref) if access is Access.EXPIRED else ()
            detail = version.detail or version.reason.value
            return ContextPeek(ref.key, access, detail, login=command, where=where(ref))
        missing, counted = _missing(granted)
        settings = store.value(fact.SETTINGS, subject)
        owner = store.value(fact.OWNER, subject)
        cilium = store.value(fact.CILIUM_VERSION, subject)
        denied = isinstance(version, Unknown) and not counted[0]
        return ContextPeek(
            key=ref.key,
            access=Access.DENIED if denied else Access.PARTIAL if missing else Access.READY,
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
    """Region and the last four digits of the account, or that it is this machine."""
    if ref.provider is Provider.KIND:
        return "this machine"
    account = f"…{ref.account[-4:]}" if ref.account else ""
    return " ".join(part for part in (ref.region, account) if part)
