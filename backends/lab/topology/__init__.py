"""Builders of clusters and of what connects them: cloud objects and base Kubernetes objects in one go."""

from backends.lab.topology.aks import aks
from backends.lab.topology.eks import eks
from backends.lab.topology.kind import kind
from backends.lab.topology.opening import open_mesh, open_nodes
from backends.lab.topology.peering import peering
from backends.lab.topology.vpn import vpn

__all__ = ["aks", "eks", "kind", "open_mesh", "open_nodes", "peering", "vpn"]
