"""What a join aims at: per cluster its mesh identity and ranges, for all the datapath, exposure and CA.

``default_goal`` and ``overlay`` (facts judged as they will be) live in ``mesh/aim.py``.
"""

from enum import StrEnum

from msgspec import Struct


class Exposure(StrEnum):
    """How clustermesh-apiserver is reached by peers; the value is the word shown."""

    INTERNAL_LB = "internal LB"
    NODE_PORT = "NodePort"


class ClusterGoal(Struct, frozen=True):
    """One member: its key, Cilium name and id, pod ranges, Cilium version, node port (0 = the chart's or none).

    ``api_server`` is ``host:port`` as the nodes reach it where the user gave it, else "".

    ``sources`` tells for each field where the value comes from: ``default``, ``edited``, ``in force``, ``from
    <cluster>``.
    """

    cluster: str
    name: str
    cluster_id: int
    pod_cidrs: tuple[str, ...]
    version: str
    mask_size: int = 24
    node_port: int = 0
    api_server: str = ""
    sources: dict[str, str] = {}


class Goal(Struct, frozen=True):
    """The aim of a join. ``ca`` is ``new`` or ``keep:<cluster>``; ``mtu`` 0 leaves autodetection in force.

    ``certificates`` is ``cronJob`` (leaf certificates renew themselves) or ``helm`` (renewed by an upgrade only).
    """

    members: tuple[ClusterGoal, ...]
    routing_mode: str = "tunnel"
    tunnel_protocol: str = "vxlan"
    tunnel_port: int = 8472
    mtu: int = 1400
    exposure: Exposure = Exposure.INTERNAL_LB
    ca: str = "new"
    certificates: str = "cronJob"
    kvstoremesh: bool = True
    max_connected_clusters: int = 255
    proof_image: str = "docker.io/library/nginx:1.27.5"
    sources: dict[str, str] = {}

    def member(self, cluster: str) -> ClusterGoal | None:
        """The goal of one cluster, if it is a member."""
        return next((item for item in self.members if item.cluster == cluster), None)

    @property
    def choices(self) -> tuple[tuple[str, str, str], ...]:
        """Every choice as ``--set`` names it: field, value, where it comes from."""
        told: list[tuple[str, str, str]] = []
        for member in self.members:
            values = {"name": member.name, "id": str(member.cluster_id), "pods": ", ".join(member.pod_cidrs)}
            if member.node_port:
                values["nodeport"] = str(member.node_port)
            for name, value in values.items():
                told.append((f"{name}.{member.cluster}", value, member.sources.get(name, "default")))
        mesh = {
            "version": ", ".join(dict.fromkeys(member.version for member in self.members)),
            "mtu": str(self.mtu),
            "exposure": self.exposure.value,
            "ca": self.ca,
            "certificates": self.certificates,
            "image": self.proof_image,
        }
        return (*told, *((name, value, self.sources.get(name, "default")) for name, value in mesh.items()))
