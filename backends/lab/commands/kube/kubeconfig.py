"""Kubeconfig files as client-go merges them: first file to name a cluster, user or context wins."""

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backends.lab.commands.kube.port import Unreachable
from backends.lab.commands.kube.yamls import BadYaml, load

Entry = dict[str, Any]


@dataclass(slots=True)
class Target:
    """Where and as whom a context talks: relative paths are resolved, data fields decoded."""

    context: str
    server: str
    namespace: str = "default"
    cluster: Entry = field(default_factory=dict)
    user: Entry = field(default_factory=dict)
    cluster_name: str = ""


def target(path: str | None, context: str | None) -> Target:
    """The context named, else the current one, of ``path``, else ``KUBECONFIG``, else ``~/.kube/config``.

    Raises ``Unreachable`` with client-go's text.
    """
    merged = _merged(path)
    name = context or merged["current-context"]
    if not name:
        # Without any configuration the client library tries a local server.
        return Target("", "http://localhost:8080")
    found = merged["contexts"].get(name)
    if found is None:
        raise Unreachable(f'context "{name}" does not exist')
    cluster_name = str(found.get("cluster", ""))
    cluster = merged["clusters"].get(cluster_name)
    if cluster is None:
        raise Unreachable(f'cluster "{cluster_name}" does not exist')
    user = merged["users"].get(str(found.get("user", "")), {})
    server = str(cluster.get("server", ""))
    return Target(name, server, str(found.get("namespace") or "default"), cluster, user, cluster_name)


def contexts(path: str | None = None) -> dict[str, Entry]:
    """All contexts by name."""
    found: dict[str, Entry] = _merged(path)["contexts"]
    return found


def data_or_file(entry: Entry, name: str) -> bytes | None:
    """``<name>-data`` decoded, else the content of the file ``<name>``, else ``None``."""
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    if entry.get(name):
        try:
            return Path(entry[name]).read_bytes()
        except OSError as error:
            raise Unreachable(f"unable to read {name} {entry[name]}: {error.strerror}") from error
    return None


def _merged(path: str | None) -> dict[str, Any]:
    merged: dict[str, Any] = {"current-context": "", "contexts": {}, "clusters": {}, "users": {}}
    for file in _files(path):
        content = _read(file, required=bool(path))
        merged["current-context"] = merged["current-context"] or str(content.get("current-context") or "")
        for plural, singular in (("contexts", "context"), ("clusters", "cluster"), ("users", "user")):
            for item in content.get(plural) or []:
                entry = dict(item.get(singular) or {})
                merged[plural].setdefault(str(item.get("name", "")), _resolved(entry, file.parent))
    return merged


def _files(path: str | None) -> list[Path]:
    if path:
        return [Path(path)]
    given = os.environ.get("KUBECONFIG", "")
    if given:
        return [Path(part) for part in given.split(os.pathsep) if part]
    return [Path.home() / ".kube" / "config"]


def _read(file: Path, *, required: bool) -> Entry:
    try:
        content = load(file.read_bytes())
    except FileNotFoundError as error:
        if required:
            raise Unreachable(f"stat {file}: no such file or directory") from error
        return {}
    except OSError as error:
        raise Unreachable(f"open {file}: {(error.strerror or '').lower()}") from error
    except BadYaml as error:
        raise Unreachable(f'error loading config file "{file}": {error}') from error
    return content if isinstance(content, dict) else {}


def _resolved(entry: Entry, folder: Path) -> Entry:
    for name in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
        if entry.get(name):
            entry[name] = str(folder / entry[name])
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and "/" in str(plugin.get("command", "")):
        entry["exec"] = {**plugin, "command": str(folder / plugin["command"])}
    return entry
