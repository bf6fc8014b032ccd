"""Credential plugins run by us: no terminal, a deadline, every failure told apart, answers kept in memory only."""

import asyncio
import base64
import os
import shlex
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from shutil import which
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct, field

from backends import process
from backends.credentials import login
from backends.credentials.connection import Connection, Credential, ExecPlugin
from mesh.facts import Reason
from mesh.reading import NotRead
from mesh.text import Secret, clean, one_line

SECONDS: Final = 20.0
# Renewed a little before its end, so that no request carries a token that dies on the way.
_EARLY: Final = 10.0


class Run(Protocol):
    """``process.run`` as this module uses it."""

    def __call__(
        self, argv: list[str], *, environment: Mapping[str, str], path: str | None, seconds: float
    ) -> Awaitable[process.Finished]:
        """Run a program without a terminal; it is searched in ``path``."""


class _Status(Struct):
    token: str | None = None
    certificate: str | None = field(name="clientCertificateData", default=None)
    key: str | None = field(name="clientKeyData", default=None)
    expires: datetime | None = field(name="expirationTimestamp", default=None)


class _ExecCredential(Struct):
    kind: str = ""
    api_version: str = field(name="apiVersion", default="")
    status: _Status | None = None


class Credentials:
    """The credentials of this session's contexts."""

    def __init__(
        self,
        *,
        run: Run | None = None,
        now: Callable[[], float] = time.time,
        environment: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        self._run: Run = run or _run
        self._now = now
        self._environment = environment
        self._seconds = seconds
        self._kept: dict[str, Credential] = {}
        self._locks: dict[tuple[int, str], asyncio.Lock] = {}

    async def of(self, connection: Connection) -> Credential:
        """The credential for a connection; runs its plugin if there is none that lasts. Raises ``NotRead``."""
        if not connection.secure:
            return Credential()
        static = _static(connection)
        if static is not None:
            return static
        plugin = connection.user.plugin
        if plugin is None:
            return Credential()
        if not connection.ref.trusted:
            raise NotRead(
                Reason.NOT_COLLECTED,
                f"the kubeconfig is not one of yours, its plugin was not run: {shlex.join(login.shown(plugin.argv))}",
                "confirm the plugin on the Clusters screen",
            )
        information = exec_info(connection, interactive=False)
        kept = self._kept.get(_key(plugin, information))
        if kept and self._lasts(kept):
            return kept
        lock = self._locks.setdefault((id(asyncio.get_running_loop()), _key(plugin, information)), asyncio.Lock())
        async with lock:
            kept = self._kept.get(_key(plugin, information))
            if kept is None or not self._lasts(kept):
                kept = self._kept[_key(plugin, information)] = await self._ask(plugin, information)
            return kept

    def forget(self, connection: Connection) -> bool:
        """Drop a kept credential that the server refused; whether there was one, so that asking again may help."""
        plugin = connection.user.plugin
        if plugin is None or not connection.secure or _static(connection) is not None:
            return False
        return self._kept.pop(_key(plugin, exec_info(connection, interactive=False)), None) is not None

    def keep(self, connection: Connection, answer: bytes) -> None:
        """Keep what a plugin printed when a person ran it on the terminal. Raises ``NotRead``."""
        plugin = connection.user.plugin
        if plugin is not None:
            self._kept[_key(plugin, exec_info(connection, interactive=False))] = parse(plugin, answer)

    def login_command(self, connection: Connection, complaint: str = "") -> tuple[str, ...]:
        """The command that renews the login; empty when none is known."""
        plugin = connection.user.plugin
        if plugin is None:
            return ()
        return login.login_command(plugin.argv, {**self._variables(), **plugin.env}, complaint)

    def child_environment(self, plugin: ExecPlugin, information: str) -> dict[str, str]:
        """The variables a plugin is started with."""
        return {**self._variables(), **plugin.env, "KUBERNETES_EXEC_INFO": information}

    def _variables(self) -> Mapping[str, str]:
        return os.environ if self._environment is None else self._environment

    def _lasts(self, credential: Credential) -> bool:
        return not credential.expires or credential.expires - _EARLY > self._now()

    async def _ask(self, plugin: ExecPlugin, information: str) -> Credential:
        if plugin.interactive_mode == "Always":
            raise self._failed(plugin, Reason.EXPIRED, "it works on a terminal only (interactiveMode: Always)", "")
        environment, path = self.child_environment(plugin, information), self._variables().get("PATH")
        try:
            done = await self._run(list(plugin.argv), environment=environment, path=path, seconds=self._seconds)
        except process.NotStarted as error:
            reason = Reason.NO_PLUGIN if error.missing else Reason.INVALID
            raise self._failed(plugin, reason, error.why, "") from error
        if done.timed_out:
            waits = login.meaning(done.errors) is Reason.EXPIRED
            said = f": {login.telling_line(done.errors)}" if done.errors.strip() else ""
            reason = Reason.EXPIRED if waits else Reason.TIMEOUT
            raise self._failed(plugin, reason, f"no answer in {self._seconds:g} s{said}", done.errors)
        if done.code:
            reason = login.meaning(done.errors)
            raise self._failed(plugin, reason, _last_words(done), done.errors)
        return parse(plugin, done.output)

    def _failed(self, plugin: ExecPlugin, reason: Reason, why: str, complaint: str) -> NotRead:
        lift = ""
        command = login.login_command(plugin.argv, {**self._variables(), **plugin.env}, complaint)
        if reason is Reason.NO_PLUGIN:
            lift = login.how_to_install(plugin.argv, plugin.install_hint, complaint)
        elif reason is Reason.EXPIRED:
            lift = shlex.join(command) if command else f"sign in for {login.program(plugin.argv)}"
        elif reason is Reason.TIMEOUT:
            lift = f"run it yourself to see what it waits for: {shlex.join(login.shown(plugin.argv))}"
        else:
            lift = f"run it yourself: {shlex.join(login.shown(plugin.argv))}"
        return NotRead(reason, f"{login.program(plugin.argv)}: {why}", lift)


async def _run(
    argv: list[str], *, environment: Mapping[str, str], path: str | None, seconds: float
) -> process.Finished:
    # Found on our PATH, as kubectl does, not on one that the entry's own variables set.
    found = which(argv[0], path=path)
    if found is None:
        raise process.NotStarted(argv[0], "it is not installed or not on PATH", missing=True)
    return await process.run([found, *argv[1:]], environment=environment, seconds=seconds, max_bytes=1_000_000)


def _last_words(done: process.Finished) -> str:
    return f"ended with code {done.code}: {login.telling_line(done.errors)}"


def _key(plugin: ExecPlugin, information: str) -> str:
    return repr((plugin.argv, sorted(plugin.env.items()), information))


def _static(connection: Connection) -> Credential | None:
    """What the kubeconfig itself holds; it goes before a plugin, as in client-go."""
    user = connection.user
    if user.auth_provider:
        raise NotRead(
            Reason.UNSUPPORTED,
            f"auth-provider {one_line(user.auth_provider, 40)} is no longer part of Kubernetes clients",
            login.instead_of_auth_provider(user.auth_provider),
        )
    token = _token(connection)
    if token or user.certificate or user.username:
        return Credential(token=token, certificate=user.certificate, key=user.key)
    return None if user.plugin else Credential()


def _token(connection: Connection) -> Secret | None:
    """The token file's present content (it is rotated under us), else the token in the entry."""
    user = connection.user
    if not user.token_file:
        return user.token
    try:
        text = Path(user.token_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if user.token:
            return user.token
        why = getattr(error, "strerror", None) or "it is not text"
        raise NotRead(
            Reason.INVALID, f"tokenFile {clean(user.token_file)}: {why}", "Correct the path or the file's rights."
        ) from error
    return Secret(text) if text else user.token


def exec_info(connection: Connection, *, interactive: bool) -> str:
    """``KUBERNETES_EXEC_INFO`` as client-go makes it for this connection's plugin."""
    plugin, cluster = connection.user.plugin, connection.cluster
    spec: dict[str, Any] = {}
    if plugin and plugin.provide_cluster_info:
        optional = {
            "tls-server-name": cluster.tls_server_name,
            "insecure-skip-tls-verify": cluster.insecure,
            "certificate-authority-data": base64.b64encode(cluster.ca or b"").decode(),
            "proxy-url": cluster.proxy_url,
            "disable-compression": cluster.disable_compression,
        }
        spec["cluster"] = {"server": cluster.server, **{key: value for key, value in optional.items() if value}}
        spec["cluster"]["config"] = cluster.exec_config
    spec["interactive"] = interactive
    version = plugin.api_version if plugin else ""
    return msgspec.json.encode({"kind": "ExecCredential", "apiVersion": version, "spec": spec}).decode()


def parse(plugin: ExecPlugin, output: bytes) -> Credential:
    """An ExecCredential as the plugin printed it. Raises ``NotRead(INVALID)``; the output itself is never quoted."""
    name = login.program(plugin.argv)
    lift = f"run it yourself, it must print an ExecCredential: {shlex.join(login.shown(plugin.argv))}"
    try:
        answer = msgspec.json.decode(output, type=_ExecCredential)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotRead(Reason.INVALID, f"{name}: its answer is no ExecCredential", lift) from error
    if answer.kind != "ExecCredential" or answer.api_version != plugin.api_version:
        got = one_line(f"{answer.api_version or '(no apiVersion)'} {answer.kind or '(no kind)'}", 80)
        raise NotRead(Reason.INVALID, f"{name}: it answered {got}, not {plugin.api_version} ExecCredential", lift)
    status = answer.status or _Status()
    if bool(status.certificate) != bool(status.key):
        raise NotRead(Reason.INVALID, f"{name}: it gave a certificate without key or a key without certificate", lift)
    if not (status.token or status.certificate):
        raise NotRead(Reason.INVALID, f"{name}: it gave neither a token nor a certificate", lift)
    return Credential(
        token=Secret(status.token) if status.token else None,
        certificate=status.certificate.encode() if status.certificate else None,
        key=Secret(status.key) if status.key else None,
        expires=status.expires.timestamp() if status.expires else 0.0,
    )
