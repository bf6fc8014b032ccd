"""What runs in a pod: containers with the environment and settings they started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backends.lab.controllers.kubelet.volumes import Mounts


@dataclass(slots=True)
class Process:
    """One running container. ``settings`` are the keys of ConfigMap ``cilium-config`` at its start."""

    name: str
    image: str
    started_at: float
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class PodRuntime:
    """A pod whose containers run. ``boot`` counts restarts; with ``uid`` it names this life of the processes."""

    uid: str
    namespace: str
    name: str
    node: str
    ip: str
    host_network: bool
    started_at: float
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    mounts: Mounts
    processes: dict[str, Process] = field(default_factory=dict)
    boot: int = 0
    ready: bool = False
    frozen: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Volumes as they were when the containers started: what a process read once and keeps."""

    def volume_at(self, container: str, path: str) -> tuple[str, str] | None:
        """Volume and path inside it of a file in a container, or None where nothing is mounted there."""
        best: tuple[int, str, str] | None = None
        for part in self.spec.get("containers") or ():
            if part["name"] != container:
                continue
            for mount in part.get("volumeMounts") or ():
                root = str(mount["mountPath"]).rstrip("/")
                if path == root or path.startswith(root + "/"):
                    inside = path[len(root) :].lstrip("/")
                    sub = str(mount.get("subPath") or "")
                    inside = f"{sub}/{inside}".strip("/") if sub else inside
                    if best is None or len(root) > best[0]:
                        best = (len(root), str(mount["name"]), inside)
        return None if best is None else (best[1], best[2])

    def read(self, container: str, path: str) -> bytes | None:
        """A file of a Secret or ConfigMap volume as the container sees it now."""
        at = self.volume_at(container, path)
        return None if at is None else self.mounts.files.get(at[0], {}).get(at[1])
