"""What a plan rests on and was not read: gates where a step would be a guess, else unknowns to verify first."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from mesh import catalogue as fact
from mesh.checks import ALL_CHECKS
from mesh.facts import FactName, Unknown
from mesh.joining.situation import Situation
from mesh.plan import Blocker, Step, Verify, WaitAddress
from mesh.subject import OfCluster

# Whether a step is needed, and with which values, follows from these; without one of them it would be a guess.
_RESTS_ON: Final[dict[str, tuple[FactName[Any], ...]]] = {
    "ca": (fact.CERTIFICATES,),
    "park": (fact.WORKLOADS,),
    "install": (fact.SETTINGS, fact.CILIUM_VERSION, fact.HELM, fact.OWNER, fact.WORKLOADS, fact.MESH_API),
    "restart": (fact.SETTINGS,),
    "connect": (fact.SETTINGS, fact.HELM, fact.OWNER, fact.PEERS),
}
_CLOUD: Final[tuple[FactName[Any], ...]] = (fact.CLOUD, fact.CLOUD_NETWORK, fact.FIREWALL, fact.VPN)
# The first check that answers for a fact is the one that says what lifts it.
_CODES: Final = {name: check.code for check in reversed(ALL_CHECKS) for name in check.answers_for}


def gates(now: Situation, steps: Iterable[Step], silent: Collection[str]) -> Iterator[Blocker]:
    """Facts and rights that steps still to do rest on and that are not there.

    ``silent`` are clusters that could not be read at all: they have a gate of their own.
    """
    todo = [step for step in steps if not step.already]
    for cluster in now.clusters:
        if cluster in silent:
            continue
        mine = [step for step in todo if cluster in step.clusters]
        yield from _unread(now, cluster, mine)
        if any(not isinstance(effect, Verify | WaitAddress) for step in mine for effect in step.effects):
            yield from _rights(now, cluster)
        if any(step.id == f"install.{cluster}" for step in mine) and not now.installed(cluster):
            yield from _own_machine(now, cluster)


def _unread(now: Situation, cluster: str, steps: Iterable[Step]) -> Iterator[Blocker]:
    """One gate per fact, with the first step that rests on it."""
    seen: set[str] = set()
    # No step tells how to install Cilium or enable its mesh where it is not known whether it is there.
    needed: list[tuple[FactName[Any], str]] = [(fact.SETTINGS, "what has to be done here")]
    for step in steps:
        rests = list(_RESTS_ON.get(step.id.partition(".")[0], ()))
        if step.id == "connect" and now.installed(cluster):
            rests.append(fact.AGENTS)
        needed += [(name, f"step {step.title}") for name in rests]
    for name, what in needed:
        got = now.store.get(name, OfCluster(cluster))
        if isinstance(got, Unknown) and name.name not in seen:
            seen.add(name.name)
            yield Blocker(_CODES[name.name], cluster, f"{what} rests on {_told(name, got)}", unread=True)


def _told(name: FactName[Any], got: Unknown) -> str:
    """``mesh.certificates, which is not known (forbidden); needs get secrets in kube-system``."""
    lift = f"; needs {got.lift}" if got.lift else ""
    return f"{name.name}, which is not known ({got.reason.value}){lift}"


def _rights(now: Situation, cluster: str) -> Iterator[Blocker]:
    """Rights that are missing are found before the first change, not by a refusal half-way."""
    got = now.store.get(fact.RIGHTS, OfCluster(cluster))
    if isinstance(got, Unknown):
        text = f"whether this user may change anything rests on {_told(fact.RIGHTS, got)}"
        yield Blocker("CM0101", cluster, text, unread=True)
    elif got.value.denied:
        lacks = [str(right) for right in got.value.denied]
        more = f" and {len(lacks) - 3} more" if len(lacks) > 3 else ""
        what = ", ".join(lacks[:3])
        yield Blocker("CM0101", cluster, f"denied: {what}{more}; meshwright rights --for apply prints roles")


def _own_machine(now: Situation, cluster: str) -> Iterator[Blocker]:
    """Without kube-proxy the agents reach the API server by ``k8sServiceHost``: it must be an address of its own."""
    if not now.api_server(cluster)[0]:
        host, _ = now.told_api_server(cluster)
        shown = f"{host}, an address of the machine that asks" if host else "no address"
        yield Blocker(
            "CM0103",
            cluster,
            f"the nodes need the API server's address (k8sServiceHost), and the kubeconfig has {shown}; sign in to its "
            f"cloud, or give it: --set apiserver.{cluster}=HOST:PORT",
        )


def unknowns(now: Situation) -> Iterator[Blocker]:
    """What the plan goes on without: rules that were not read are neither called open nor opened."""
    if len(now.clusters) < 2:
        return
    for cluster in now.clusters:
        read = [(name, now.store.get(name, OfCluster(cluster))) for name in _CLOUD]
        lost = [(name, got) for name, got in read if isinstance(got, Unknown)]
        if not lost:
            continue
        names = ", ".join(name.name.removeprefix("cloud.") for name, _ in lost)
        lifts = list(dict.fromkeys(got.lift for _, got in lost if got.lift))
        lift = f"; needs {', '.join(lifts)}" if lifts else ""
        ports = f"{now.goal.tunnel_port}/udp, 4240/tcp, ICMP and the mesh API's port"
        text = f"verify {ports}: {names} of its cloud not known{lift}; no rule is opened there"
        yield Blocker("CM0103", cluster, text)
