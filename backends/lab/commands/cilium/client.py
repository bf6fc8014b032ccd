"""A cluster as the ``cilium`` program sees it, and who runs it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from backends.lab.commands.kube.execute import Executed, execute
from backends.lab.commands.kube.http import HttpPort
from backends.lab.commands.kube.kinds import CONFIG_MAP, NODE, SECRET, Kind
from backends.lab.commands.kube.kubeconfig import target
from backends.lab.commands.kube.port import ApiFailure, Object, Unreachable
from backends.lab.commands.releases.record import Release
from backends.lab.commands.releases.storage import Storage

Flavour = Literal["EKS", "AKS", "kind", "GKE", "unknown"]
AGENT: Final = "cilium-cli"
CONFIG: Final = "cilium-config"
_PROVIDERS: Final[dict[str, Flavour]] = {"aws://": "EKS", "azure://": "AKS", "gce://": "GKE"}


class Fatal(Exception):
    """The command ends with this text after ``Error: ``."""


@dataclass(slots=True)
class Client:
    """One context's cluster; ``release`` names the Helm release, ``sleep`` waits between two looks."""

    port: HttpPort
    cluster_name: str
    context_name: str
    namespace: str
    release_name: str
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    @classmethod
    def of(cls, kubeconfig: str, context: str, namespace: str, release_name: str) -> "Client":
        """Raises ``Unreachable`` with the client library's text where there is no such context."""
        found = target(kubeconfig or None, context or None)
        return cls(HttpPort(found, AGENT), found.cluster_name, found.context, namespace, release_name)

    @property
    def storage(self) -> Storage:
        """The cluster's releases; the program limits no history."""
        return Storage(self.port, self.namespace, 0)

    def last_release(self) -> Release:
        """The newest revision; raises ``NotFound``."""
        return self.storage.last(self.release_name)

    def get(self, kind: Kind, name: str) -> Object:
        """An object of the program's namespace; raises ``ApiFailure``, for a missing one too."""
        found = self.port.get(kind, self.namespace, name)
        if found is None:
            raise ApiFailure(404, "NotFound", f'{kind.qualified} "{name}" not found')
        return found

    def settings(self) -> dict[str, str]:
        """The data of ``cilium-config``; raises ``Fatal``."""
        try:
            return dict(self.get(CONFIG_MAP, CONFIG).get("data") or {})
        except (ApiFailure, Unreachable) as error:
            raise Fatal(f'unable to retrieve ConfigMap "{CONFIG}": {error}') from error

    def secret(self, name: str) -> dict[str, str]:
        """The data of a Secret, base64; raises ``ApiFailure``."""
        return dict(self.get(SECRET, name).get("data") or {})

    def execute(self, pod: str, container: str, *argv: str) -> Executed:
        """Run a command in a pod; raises ``Fatal`` with the program's text where that fails."""
        place = f"command failed (pod={self.namespace}/{pod}, container={container})"
        try:
            done = execute(self.port, self.namespace, pod, container, argv)
        except (ApiFailure, Unreachable) as error:
            raise Fatal(f"{place}: {error}") from error
        return done

    def flavour(self) -> Flavour:
        """The provider. Every server of a lab is on loopback, so it is read off the nodes where names do not tell."""
        if self.cluster_name.startswith("kind-") or self.context_name.startswith("kind-"):
            return "kind"
        if self.cluster_name.startswith("gke_"):
            return "GKE"
        if self.cluster_name.endswith(".eksctl.io") or self.port.target.server.endswith("eks.amazonaws.com"):
            return "EKS"
        if self.port.target.server.endswith("azmk8s.io:443"):
            return "AKS"
        return self._flavour_of_nodes()

    def _flavour_of_nodes(self) -> Flavour:
        try:
            nodes = self.port.list(NODE, None)
        except (ApiFailure, Unreachable):
            return "unknown"
        for node in nodes:
            identifier = str((node.get("spec") or {}).get("providerID") or "")
            for start, flavour in _PROVIDERS.items():
                if identifier.startswith(start):
                    return flavour
        return "unknown"


def listed(values: list[Any]) -> str:
    """A slice as Go prints it: ``[a b]``."""
    return f"[{' '.join(str(value) for value in values)}]"
