"""Recorded clusters through the same collectors and checks: what their description implies, and nothing more."""

from pathlib import Path

import pytest

from backends.wiring import open_ports
from mesh.assess import Assessment, assess
from mesh.assess import picture as pictured
from mesh.finding import State

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
# Scenario → code → subjects that fail; every other check of every scenario must not.
FAILS = {
    "fresh-none": {},
    "installed-1.16.5": {"CM0608": {"mesh-aks ⇄ mesh-eks"}},
    "enabled-1.17.4": {"CM0608": {"mesh-aks ⇄ mesh-eks"}},
    "connected-1.19.5": {},
    "mixed-routing-1.19.5": {"CM0306": {"mesh-aks ⇄ mesh-eks"}},
    "mismatched-ca-connected-1.19.5": {},
}
TO_DO = {
    "fresh-none": {"CM0201", "CM0208", "CM0601", "CM0608", "CM0701"},
    "installed-1.16.5": {"CM0601", "CM0701"},
    "enabled-1.17.4": {"CM0701"},
}
# What no recording can tell: rights of its reader, the clouds, the agents.
UNTOLD = {"CM0101", "CM0102", "CM0103", "CM0321", "CM0322", "CM0323", "CM0603", "CM0701"}


async def judged(scenario: str) -> Assessment:
    ports = open_ports(bundle=(str(RECORDINGS / scenario),))
    refs = ports.contexts.list().contexts
    store = await ports.gatherer.gather(refs, lambda _: None)
    return assess(store, [ref.key for ref in refs])


@pytest.mark.parametrize("scenario", FAILS)
async def test_verdicts_are_those_the_description_implies(scenario: str) -> None:
    found = (await judged(scenario)).findings
    failed: dict[str, set[str]] = {}
    for finding in found:
        if finding.state is State.FAIL:
            failed.setdefault(finding.code, set()).add(str(finding.subject))
    assert failed == FAILS[scenario]
    assert {finding.code for finding in found if finding.to_do} == TO_DO.get(scenario, set())
    assert {finding.code for finding in found if finding.state is State.UNKNOWN} <= UNTOLD
    assert not [finding.code for finding in found if finding.state is State.ERROR]


async def test_a_bundle_of_cas_is_no_false_alarm() -> None:
    """Two CAs and a bundle: comparing cilium-ca alone would fail here."""
    found = {finding.code: finding for finding in (await judged("mismatched-ca-connected-1.19.5")).findings}
    assert found["CM0608"].state is State.PASS and found["CM0608"].evidence


async def test_global_services_of_the_recording_go_where_cilium_sends_them() -> None:
    found = await judged("connected-1.19.5")
    picture = pictured(found.store, found.clusters)
    rows = {service.name: {lane.cluster: lane for lane in service.lanes} for service in picture.services}
    assert set(rows) == {"cart", "catalog", "payments"}
    cart = rows["cart"]
    assert cart["mesh-eks"].chosen == {"mesh-eks": 2} and cart["mesh-aks"].chosen == {"mesh-eks": 2}
    # catalog of aks is not shared: eks keeps to its own three, aks uses both.
    assert rows["catalog"]["mesh-eks"].chosen == {"mesh-eks": 3}
    assert rows["catalog"]["mesh-aks"].chosen == {"mesh-eks": 3, "mesh-aks": 1}
    assert rows["payments"]["mesh-aks"].chosen == {"mesh-eks": 1}


async def test_a_plan_from_a_file_cannot_be_armed() -> None:
    from mesh.errors import Refused

    ports = open_ports(bundle=(str(RECORDINGS / "fresh-none"),))
    refs = ports.contexts.list().contexts
    plan = (await judged("fresh-none")).plan(0.0)
    with pytest.raises(Refused, match="from a file"):
        ports.armoury.arm(plan, refs)
