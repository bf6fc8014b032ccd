"""One fault per code: a change of a healthy world that makes exactly this code FAIL."""

from dataclasses import dataclass

from mesh.finding import State
from mesh.model.kubernetes import Owner, OwnerKind
from mesh.subject import MESH, Subject
from tests.test_mesh.changes import (
    AKS,
    BOTH,
    CART,
    EKS,
    INTO_AKS,
    INTO_EKS,
    PATCH,
    PENDING,
    A,
    Change,
    T,
    agents,
    agents_mute,
    cart,
    change,
    denied,
    leaf,
    node_address,
    other_ca,
    pods,
    put,
    same_node_port,
    services,
    without_balancer_rule,
    without_rule,
    workload,
)
from tests.test_mesh.members import DAY, NOW
from tests.test_mesh.worlds import SHAPES, World


@dataclass(frozen=True)
class Case:
    """In a shape, after a change, the check's finding for the subject has this state and variant."""

    code: str
    state: State
    subject: Subject
    shape: str = "connected"
    change: Change = lambda world: None
    variant: str = ""

    def world(self) -> World:
        """The world of the case."""
        world = SHAPES[self.shape]()
        self.change(world)
        return world

    def __str__(self) -> str:
        return f"{self.code}-{self.state.value}{'.' * bool(self.variant)}{self.variant}-{self.shape}"


# One change of a healthy world that makes exactly this code FAIL; what else fails lies folded under it.
FAULTS: dict[str, Case] = {
    case.code: case
    for case in (
        Case("CM0001", State.FAIL, AKS, change=change("context", A, server="")),
        Case("CM0002", State.FAIL, AKS, change=change("version", A, git_version="v0.0.0-master+$Format:%H$")),
        Case("CM0003", State.FAIL, BOTH, change=put("cluster-uid", A, f"uid-{T}")),
        Case("CM0101", State.FAIL, AKS, "fresh", denied(PATCH)),
        Case("CM0102", State.FAIL, EKS, change=agents_mute(3)),
        Case("CM0103", State.FAIL, AKS, change=change("cloud.identity", A, proven=False)),
        Case("CM0201", State.FAIL, AKS, change=workload(A, "cilium", ready=2)),
        Case("CM0202", State.FAIL, MESH, change=put("cilium.version", A, "1.13.4")),
        Case("CM0204", State.FAIL, AKS, change=put("cilium.owner", A, Owner(OwnerKind.MANAGED, "ACNS", "label"))),
        Case("CM0205", State.FAIL, AKS, change=put("cilium.owner", A, Owner(OwnerKind.UNOWNED))),
        Case("CM0206", State.FAIL, AKS, change=put("helm.release", A, PENDING)),
        Case("CM0208", State.FAIL, EKS, change=workload(T, "aws-node", desired=3, current=3)),
        Case("CM0301", State.FAIL, AKS, change=change("cilium.settings", A, cluster_name="default"), variant="default"),
        Case("CM0302", State.FAIL, MESH, change=change("cilium.settings", A, cluster_id=1), variant="same-id"),
        Case("CM0303", State.FAIL, MESH, change=change("cilium.settings", A, max_connected_clusters=511)),
        Case("CM0306", State.FAIL, BOTH, change=change("cilium.settings", A, routing_mode="native")),
        Case("CM0307", State.FAIL, BOTH, change=change("cilium.settings", A, tunnel_port=8473), variant="port"),
        Case("CM0310", State.FAIL, BOTH, change=change("cilium.settings", A, ipv6=True)),
        Case("CM0320", State.FAIL, BOTH, change=pods(A, "10.120.0.0/16")),
        Case("CM0321", State.FAIL, AKS, change=pods(A, "10.224.128.0/17")),
        Case("CM0322", State.FAIL, AKS, change=change("cloud.network", A, service_cidrs=("192.168.0.0/16",))),
        Case("CM0323", State.FAIL, BOTH, change=node_address(A, "192.168.1.10")),
        Case("CM0403", State.FAIL, INTO_EKS, change=without_rule(T, 8472)),
        Case("CM0404", State.FAIL, INTO_EKS, change=without_rule(T, 4240)),
        Case("CM0405", State.FAIL, INTO_EKS, change=without_balancer_rule),
        Case("CM0601", State.FAIL, AKS, change=change("mesh.apiserver", A, ready=0)),
        Case("CM0602", State.FAIL, AKS, change=change("mesh.apiserver", A, ingress_ips=())),
        Case("CM0603", State.FAIL, EKS, change=change("cloud.load-balancer", T, internal=False)),
        Case("CM0606", State.FAIL, BOTH, "node-ports", same_node_port),
        Case("CM0608", State.FAIL, BOTH, change=other_ca),
        Case("CM0610", State.FAIL, EKS, change=leaf(not_after=NOW - DAY)),
        Case("CM0701", State.FAIL, INTO_AKS, change=agents(1, ready=False, status="Waiting for initial connection")),
        Case("CM0801", State.FAIL, CART, change=services(A)),
        Case("CM0803", State.FAIL, CART, change=services(A, cart(**{"global": "true", "affinity": "locale"}))),
    )
}
