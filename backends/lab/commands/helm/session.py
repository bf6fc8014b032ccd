"""One run of ``helm``: its flags, its words, and the cluster it talks to."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backends.lab.commands.flags import BadCommandLine, Flag, Parsed
from backends.lab.commands.kube.http import HttpPort
from backends.lab.commands.kube.kubeconfig import Target, target
from backends.lab.commands.kube.port import ApiFailure, Unreachable

AGENT: Final = "helm"
FORMAT: Final = Flag("output", "format", "o", "table", choices=("table", "json", "yaml"))
GLOBAL: Final = (
    Flag("namespace", "string", "n"),
    Flag("kubeconfig", "string"),
    Flag("kube-context", "string"),
    Flag("repository-config", "string"),
    Flag("repository-cache", "string"),
    Flag("registry-config", "string"),
    Flag("burst-limit", "int"),
    Flag("qps", "string"),
    Flag("debug"),
    Flag("help", "bool", "h"),
)
_ELSEWHERE: Final = (
    "HELM_KUBETOKEN", "HELM_KUBEASUSER", "HELM_KUBEASGROUPS", "HELM_KUBEAPISERVER", "HELM_KUBECAFILE", "HELM_DRIVER",
)  # fmt: skip


@dataclass(slots=True)
class Session:
    """Flags and words of a command; ``environment`` is the process's."""

    parsed: Parsed
    environment: Mapping[str, str]
    _target: Target | None = None
    _port: HttpPort | None = None

    def __getitem__(self, name: str) -> Any:
        return self.parsed[name]

    @property
    def words(self) -> list[str]:
        """The command's words."""
        return self.parsed.words

    @property
    def target(self) -> Target:
        """The cluster; raises ``BadCommandLine`` with helm's text where the configuration names none."""
        if self._target is None:
            self._refuse_others()
            context = self["kube-context"] or self.environment.get("HELM_KUBECONTEXT") or None
            try:
                self._target = target(self["kubeconfig"] or None, context)
            except Unreachable as error:
                raise BadCommandLine(f"Kubernetes cluster unreachable: {error}") from error
        return self._target

    @property
    def namespace(self) -> str:
        """Of the flag, else ``HELM_NAMESPACE``, else the context's."""
        given = self["namespace"] or self.environment.get("HELM_NAMESPACE", "")
        if given:
            return str(given)
        try:
            return self.target.namespace
        except BadCommandLine:
            return "default"

    def port(self) -> HttpPort:
        """The cluster, after it has answered once; raises ``BadCommandLine``."""
        if self._port is None:
            port = HttpPort(self.target, AGENT)
            try:
                port.version()
            except (ApiFailure, Unreachable) as error:
                raise BadCommandLine(f"Kubernetes cluster unreachable: {error}") from error
            self._port = port
        return self._port

    def folder(self, variable: str, xdg: str, fallback: str, name: str) -> Path:
        """A file or folder of helm's: by its own variable, else below the XDG one, else below the home."""
        if self.environment.get(variable):
            return Path(self.environment[variable])
        base = self.environment.get(xdg) or str(Path.home() / fallback)
        return Path(base) / "helm" / name

    @property
    def repository_config(self) -> Path:
        """``repositories.yaml``."""
        if self["repository-config"]:
            return Path(self["repository-config"])
        return self.folder("HELM_REPOSITORY_CONFIG", "XDG_CONFIG_HOME", ".config", "repositories.yaml")

    def _refuse_others(self) -> None:
        """What the stand-in cannot do must not look done."""
        for name in _ELSEWHERE:
            value = self.environment.get(name, "")
            if value and not (name == "HELM_DRIVER" and value in ("secret", "secrets")):
                raise BadCommandLine(f"the lab's helm does not know {name}")


def environment() -> Mapping[str, str]:
    """The process's environment."""
    return os.environ
