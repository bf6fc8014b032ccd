"""From kubeconfig files to one context's connection by kubectl's rules: first file wins, paths go from their file."""

import base64
import binascii
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backends.credentials.connection import ClusterEntry, Connection, ExecPlugin, Impersonation, UserEntry
from backends.kubeconfig.files import KubeconfigFile
from backends.kubeconfig.shapes import Cluster, Exec, Text, User
from mesh.facts import Reason
from mesh.model.context import ContextRef
from mesh.reading import NotRead
from mesh.text import Secret, clean

_EXEC_EXTENSION: Final = "client.authentication.k8s.io/exec"
_EXEC_VERSIONS: Final = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_INTERACTIVE: Final = ("Never", "IfAvailable", "Always")


def search_order(files: Sequence[KubeconfigFile], index: int, context: str) -> list[KubeconfigFile]:
    """The files in which the entries of a context of file ``index`` are looked up, first wins.

    All files in order, as kubectl merges them; a context that an earlier file hides is out of kubectl's reach and is
    read as if its own file came first.
    """
    hidden = any(context in file.contexts for file in files[:index])
    return [files[index], *files[:index], *files[index + 1 :]] if hidden else list(files)


def resolve(ref: ContextRef, files: Sequence[KubeconfigFile]) -> Connection:
    """The connection of a listed context. Raises ``NotRead(INVALID)`` with what is wrong in the file."""
    for index, file in enumerate(files):
        name = next((name for name in file.contexts if clean(name) == ref.context), None)
        if str(file.path) == ref.file and name is not None:
            entry = file.contexts[name]
            order = search_order(files, index, name)
            where, cluster = _find(order, "cluster", entry.cluster or "")
            user_file, user = _find_user(order, entry.user or "")
            return Connection(ref, _cluster(where, cluster, entry.cluster or ""), _user(user_file, user))
    raise _invalid(f"context {ref.context} is no longer in {ref.file}", "Read the list of clusters again.")


def _find(order: Sequence[KubeconfigFile], kind: str, name: str) -> tuple[KubeconfigFile, Any]:
    for file in order:
        entry = (file.clusters if kind == "cluster" else file.users).get(name)
        if entry is not None:
            return file, entry
    raise _invalid(f"{kind} {name!r} is in no kubeconfig file", f"Add the {kind} entry or correct the context.")


def _find_user(order: Sequence[KubeconfigFile], name: str) -> tuple[KubeconfigFile, User]:
    if not name:
        return order[0], User()
    file, user = _find(order, "user", name)
    return file, user


def _cluster(file: KubeconfigFile, entry: Cluster, name: str) -> ClusterEntry:
    if not entry.server:
        raise _invalid(f"cluster {name!r} has no server", "Add its server URL to the kubeconfig.")
    if entry.ca_data and entry.ca_file:
        raise _both("certificate-authority", name)
    ca = _material(file, entry.ca_data, entry.ca_file, "certificate-authority")
    if ca and entry.insecure:
        raise _invalid(
            f"cluster {name!r} has a CA and insecure-skip-tls-verify",
            "Remove insecure-skip-tls-verify: true.",
        )
    _check_proxy(entry.proxy_url or "")
    extension = next((item.extension for item in entry.extensions or () if item.name == _EXEC_EXTENSION), None)
    return ClusterEntry(
        server=_url(entry.server, secure=bool(ca or entry.insecure)),
        tls_server_name=entry.tls_server_name or "",
        insecure=bool(entry.insecure),
        ca=ca,
        proxy_url=entry.proxy_url or "",
        disable_compression=bool(entry.disable_compression),
        exec_config=extension,
    )


def _url(server: str, *, secure: bool) -> str:
    # A server without a scheme is https as soon as there is something to verify it with (client-go DefaultServerURL).
    text = server if "://" in server else f"{'https' if secure else 'http'}://{server}"
    parts = urlsplit(text)
    try:
        usable = bool(parts.hostname) and parts.scheme in ("http", "https") and (parts.port is None or parts.port >= 0)
    except ValueError:
        usable = False
    if not usable:
        raise _invalid(f"server {clean(server, 100)} is no http(s) URL", "Correct the server of the cluster entry.")
    return text.rstrip("/")


def _check_proxy(text: str) -> None:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https", "socks5") or not parts.hostname):
        raise _invalid(f"proxy-url {clean(text, 100)} is no http, https or socks5 URL", "Correct proxy-url.")


def _user(file: KubeconfigFile, entry: User) -> UserEntry:
    certificate = _pair(entry.client_certificate_data, entry.client_certificate, "client-certificate")
    key = _pair(entry.client_key_data, entry.client_key, "client-key")
    if certificate and not key:
        raise _invalid("client-key is missing beside client-certificate", "Add client-key or client-key-data.")
    if entry.token and (entry.username or entry.password):
        raise _invalid("token and username are both set; only one is allowed", "Remove one of them.")
    if entry.exec and entry.auth_provider:
        raise _invalid("auth-provider and exec are both set", "Remove auth-provider.")
    if not entry.impersonate and (entry.impersonate_uid or entry.impersonate_groups or entry.impersonate_extra):
        raise _invalid("as-uid, as-groups or as-user-extra without as", "Add the user to impersonate.")
    key_bytes = _material(file, entry.client_key_data, entry.client_key, "client-key") if certificate else None
    return UserEntry(
        token=Secret(entry.token) if entry.token else None,
        token_file=_path(file, entry.token_file),
        username=entry.username or "",
        password=Secret(entry.password) if entry.password else None,
        certificate=_material(file, entry.client_certificate_data, entry.client_certificate, "client-certificate"),
        key=Secret(key_bytes) if key_bytes else None,
        impersonation=Impersonation(
            user=entry.impersonate or "",
            uid=entry.impersonate_uid or "",
            groups=_words(entry.impersonate_groups),
            extra={key: _words(values) for key, values in (entry.impersonate_extra or {}).items()},
        ),
        plugin=_plugin(file, entry.exec) if entry.exec else None,
        auth_provider=(entry.auth_provider.name or "unnamed") if entry.auth_provider else "",
    )


def _plugin(file: KubeconfigFile, entry: Exec) -> ExecPlugin:
    if not entry.command:
        raise _invalid("exec has no command", "Add the command of the credential plugin.")
    version = entry.api_version or ""
    if version not in _EXEC_VERSIONS:
        hint = f"Use {_EXEC_VERSIONS[0]}: write the entry again with the cloud's own command."
        raise _invalid(f"exec has apiVersion {clean(version, 60) or '(none)'}", hint)
    mode = entry.interactive_mode or ("" if version.endswith("/v1") else "IfAvailable")
    if mode not in _INTERACTIVE:
        hint = f"Set it to {', '.join(_INTERACTIVE[:-1])} or {_INTERACTIVE[-1]}."
        raise _invalid(f"exec has interactiveMode {clean(mode, 40) or '(none)'}", hint)
    if any(not (item.name or "") for item in entry.env or ()):
        raise _invalid("exec has a variable without a name", "Correct env of the exec entry.")
    command = _path(file, entry.command) if os.sep in entry.command else entry.command
    return ExecPlugin(
        command=command,
        args=_words(entry.args),
        env={item.name or "": item.value or "" for item in entry.env or ()},
        api_version=version,
        install_hint=clean(entry.install_hint or "", 2000),
        provide_cluster_info=bool(entry.provide_cluster_info),
        interactive_mode=mode,
    )


def _words(values: Sequence[Text] | None) -> tuple[str, ...]:
    return tuple(value or "" for value in values or ())


def _pair(data: Text, file: Text, what: str) -> bool:
    if data and file:
        raise _both(what, "")
    return bool(data or file)


def _material(file: KubeconfigFile, data: Text, path: Text, what: str) -> bytes | None:
    if data:
        try:
            return base64.b64decode(re.sub(r"[\r\n]", "", data), validate=True)
        except (binascii.Error, ValueError) as error:
            raise _invalid(f"{what}-data is not base64", "Write the entry again.") from error
    if not path:
        return None
    full = _path(file, path)
    try:
        return Path(full).read_bytes()
    except OSError as error:
        why = error.strerror or "cannot be read"
        raise _invalid(f"{what} {clean(full)}: {why}", "Correct the path or the file's rights.") from error


def _path(file: KubeconfigFile, path: Text) -> str:
    return str(Path(os.path.normpath(file.path.parent / path))) if path else ""


def _both(what: str, name: str) -> NotRead:
    whose = f"cluster {name!r} has" if name else "the user has"
    return _invalid(f"{whose} both {what} and {what}-data", f"Remove one of them: kubectl refuses {what} twice.")


def _invalid(detail: str, lift: str) -> NotRead:
    return NotRead(Reason.INVALID, detail, lift)
