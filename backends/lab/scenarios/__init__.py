"""The worlds that a lab can begin with; ``SCENARIOS`` lists them in the order of the start screen."""

from typing import Final

from backends.lab.scenarios.access import denied, expired, twins
from backends.lab.scenarios.broken import vxlan_one_way
from backends.lab.scenarios.scenario import Scenario
from backends.lab.scenarios.worlds import ca_mismatch, classic, fresh, healthy, overlap, three_clouds

__all__ = ["SCENARIOS", "Scenario"]

_PAIR: Final = "3 + 3 nodes. You choose the clusters, read what is missing, make a plan and run it."
_GREEN: Final = "Everything looks green. Find what is not."

_ALL: Final = (
    Scenario("classic", "EKS 1.26 + AKS 1.26, Cilium 1.15.1, from nothing", "20", "Guided", classic, _PAIR),
    Scenario("fresh", "EKS + AKS, VPN up, no Cilium yet: do the whole path", "15", "Guided", fresh, _PAIR),
    Scenario(
        "overlap",
        "as fresh, but the pod ranges collide",
        "5",
        "Guided",
        overlap,
        "Cilium runs on both sides with the same range for pods. See what stands in the way of a mesh.",
    ),
    Scenario(
        "vxlan-one-way", "connected, green status, requests that cross hang", "5", "Broken", vxlan_one_way, _GREEN
    ),
    Scenario(
        "ca-mismatch",
        "two CAs, agents refuse each other",
        "5",
        "Broken",
        ca_mismatch,
        "Each cluster trusts only its own certificates.",
    ),
    Scenario("expired", "one login has ended", "2", "Access", expired, "Sign in again and go on where you were."),
    Scenario(
        "denied",
        "viewer rights only in aks-east",
        "3",
        "Access",
        denied,
        "What cannot be read is shown as unknown, with the rights that would lift it.",
    ),
    Scenario("twins", "two contexts of one cluster", "1", "Access", twins, "Two files, one cluster: it counts once."),
    Scenario(
        "three-clouds",
        "EKS, AKS, kind, eight services: play with affinity",
        "10",
        "Demo",
        three_clouds,
        "3 + 3 + 3 nodes in one mesh, services of every sort.",
    ),
    Scenario("healthy", "EKS + AKS joined, everything green: look around", "any", "Demo", healthy, "3 + 3 nodes."),
)

SCENARIOS: Final[dict[str, Scenario]] = {one.name: one for one in _ALL}
