"""A plan is data: steps with effects, undo, risk and the conditions that say when each is done (DESIGN §3)."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from mesh.finding import Command, Risk
from mesh.goal import Goal
from mesh.model.network import FirewallRule


class OpenRules(Struct, frozen=True, tag="open-rules"):
    """Add these rules to one security group or NSG of ``cluster``; existing equal rules are left alone."""

    cluster: str
    group: str
    rules: tuple[FirewallRule, ...]
    resource_id: str = ""


class PlaceCa(Struct, frozen=True, tag="place-ca"):
    """Write one CA as Secret ``cilium-ca`` into clusters that have none of that CA.

    ``source`` is "" (make a new CA) or the key of the cluster whose CA is copied. The key never leaves the executing
    process: not in the plan, the journal or an argument.
    """

    clusters: tuple[str, ...]
    source: str = ""
    namespace: str = "kube-system"
    release: str = "cilium"


class ParkDaemonSets(Struct, frozen=True, tag="park"):
    """Give DaemonSets a node selector that matches no node, keeping the old one for undo."""

    cluster: str
    names: tuple[str, ...]
    namespace: str = "kube-system"


class DisableAksKubeProxy(Struct, frozen=True, tag="aks-kube-proxy"):
    """Turn kube-proxy off through the AKS API (preview), as its addon manager undoes a mere patch."""

    cluster: str
    resource_id: str


class HelmApply(Struct, frozen=True, tag="helm"):
    """``helm upgrade --install --reset-then-reuse-values``: these values over the release's own; never key material."""

    cluster: str
    version: str
    values: dict[str, Any]
    release: str = "cilium"
    namespace: str = "kube-system"
    purpose: str = "install"


class RestartPods(Struct, frozen=True, tag="restart-pods"):
    """Recreate pods that started before Cilium, workload by workload, honouring PodDisruptionBudgets."""

    cluster: str


class WaitAddress(Struct, frozen=True, tag="wait-address"):
    """Wait until the mesh API's Service has an address, and read it back as private from the cloud."""

    clusters: tuple[str, ...]


class OpenPath(Struct, frozen=True, tag="open-path"):
    """Derive client → load balancer → node port from the real Service and open what is closed for the peers' nodes."""

    clusters: tuple[str, ...]


class ConnectPeers(Struct, frozen=True, tag="connect"):
    """Write the peers' addresses (read when the step runs) into each release's values."""

    clusters: tuple[str, ...]


class Prove(Struct, frozen=True, tag="prove"):
    """Deploy the demonstration service on every side, ask it from every side, compare with affinity, clean up."""

    clusters: tuple[str, ...]
    image: str
    namespace: str = "meshwright-demo"


class Verify(Struct, frozen=True, tag="verify"):
    """Change nothing: read again and wait for the step's conditions."""

    clusters: tuple[str, ...]


Effect = (
    OpenRules
    | PlaceCa
    | ParkDaemonSets
    | DisableAksKubeProxy
    | HelmApply
    | RestartPods
    | WaitAddress
    | OpenPath
    | ConnectPeers
    | Prove
    | Verify
)


class Condition(Struct, frozen=True):
    """A named predicate over facts (registry in ``mesh/conditions.py``) about one cluster or pair of clusters.

    It yields True, False or None (cannot be told) and a progress text such as ``agents ready 2/3``.
    """

    name: str
    clusters: tuple[str, ...]
    args: dict[str, Any] = {}


class Step(Struct, frozen=True):
    """One step of a plan (DESIGN §3). ``needs`` are step ids; ``usual`` and ``deadline`` in seconds.

    ``effects`` are carried out in order; the step is done when every condition in ``until`` is true.
    ``already`` = its conditions held when the plan was made: shown as done, not executed. ``why`` is the rule,
    ``found`` what makes the step necessary here. ``commands`` do the same by hand; ``does`` says what Meshwright does
    where they do not show it. ``measured``: ``usual`` is what it took here before, not what a cloud is allowed.
    """

    id: str
    title: str
    clusters: tuple[str, ...]
    why: str
    effects: tuple[Effect, ...]
    until: tuple[Condition, ...]
    needs: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    risk: Risk = Risk.LOW
    reversible: bool = True
    undo: str = ""
    commands: tuple[Command, ...] = ()
    same_as: tuple[Command, ...] = ()
    diff: tuple[str, ...] = ()
    usual: float = 10.0
    deadline: float = 600.0
    already: bool = False
    consequence: str = ""
    found: tuple[str, ...] = ()
    does: str = ""
    measured: bool = False


class Blocker(Struct, frozen=True):
    """Why a plan may not be applied: the finding's code and subject as text, and whether the user or a right lifts
    it. ``unread``: nothing is known to stand in the way, but what has to be known is not.
    """

    code: str
    subject: str
    text: str
    refuses: bool = False
    unread: bool = False


class Plan(Struct, frozen=True):
    """Steps in topological order; ``fingerprints`` are hashes of the facts it rests on, by fact key.

    ``blockers`` keep it from being applied; ``unknowns`` are what it goes on without, for the user to verify first.
    """

    id: str
    title: str
    clusters: tuple[str, ...]
    goal: Goal
    steps: tuple[Step, ...]
    blockers: tuple[Blocker, ...] = ()
    fingerprints: dict[str, str] = {}
    made_at: float = 0.0
    unknowns: tuple[Blocker, ...] = ()

    @property
    def numbers(self) -> dict[str, int]:
        """Numbers of the steps to do by their ids, from 1 in order: the same wherever the plan is shown.

        What is already so has none.
        """
        return {step.id: place for place, step in enumerate(self.todo(), 1)}

    def todo(self) -> tuple[Step, ...]:
        """Steps that would change or prove something."""
        return tuple(step for step in self.steps if not step.already)

    def lasts(self, left: Mapping[str, float]) -> float:
        """Seconds until all is done, with those that are ``left`` of each step, by id: of steps side by side the longer
        way counts.
        """
        ends: dict[str, float] = {}
        for step in self.steps:
            begins = max((ends.get(need, 0.0) for need in step.needs), default=0.0)
            ends[step.id] = begins + left.get(step.id, 0.0)
        return max(ends.values(), default=0.0)

    def step(self, step_id: str) -> Step:
        """The step of that id. Raises ``KeyError``."""
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)
