"""What the core and the screens need of the outside, in our words. ``backends/wiring.py`` hands out implementations."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from mesh.events import Emit
from mesh.facts import FactStore
from mesh.model.context import ContextList, ContextPeek, ContextRef
from mesh.model.network import FirewallRule
from mesh.model.picture import Proof
from mesh.plan import Plan
from mesh.text import Secret

Output = Callable[[str], None]


class Clock(Protocol):
    """Time of this machine."""

    def now(self) -> float:
        """Epoch seconds."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


class ContextGateway(Protocol):
    """Kubeconfig contexts and their logins."""

    def list(self) -> ContextList:
        """All contexts of all kubeconfig files: no network, no SDK, a few milliseconds. Never raises."""

    async def peek(self, ref: ContextRef) -> ContextPeek:
        """A cheap look at one context, within 10 s. Never raises."""

    def login_command(self, ref: ContextRef) -> tuple[str, ...]:
        """The command that renews this context's login; empty when none is known."""

    def sign_in(self, ref: ContextRef) -> int:
        """Run the login command on this terminal and wait; its exit code. The caller has suspended the screen."""


class Gatherer(Protocol):
    """Reads facts."""

    async def gather(
        self, refs: Sequence[ContextRef], emit: Emit, *, only: Collection[str] = (), base: FactStore | None = None
    ) -> FactStore:
        """Read all collectors (or those named in ``only``) of all clusters side by side; partial results by ``emit``.

        Never raises for a cluster: every failure is ``Unknown``. Cancelling keeps what was emitted. ``base`` holds
        facts
        that are kept when not read again.
        """

    def collectors(self) -> tuple[tuple[str, str], ...]:
        """(id, label) of every collector, in the order of the Facts screen."""


class Outcome(Struct, frozen=True):
    """What an effect did: objects changed, what undo needs (no secrets), and what it proved."""

    changed: tuple[str, ...] = ()
    undo: dict[str, Any] = {}
    proof: Proof | None = None


class ClusterGateway(Protocol):
    """Changes to one cluster's Kubernetes objects. Exists only inside the run of a confirmed plan."""

    async def hold(self, holder: str, seconds: int) -> None:
        """Take or renew the Lease ``meshwright`` in kube-system. Raises ``Refused`` naming the other holder."""

    async def release(self, holder: str) -> None:
        """Give the Lease back."""

    async def park_daemon_set(self, namespace: str, name: str) -> Outcome:
        """Give a DaemonSet the node selector ``meshwright.io/parked=true``; old selector in the outcome."""

    async def read_ca(self, namespace: str) -> "CaMaterial | None":
        """The CA with its key, in memory only."""

    async def write_ca(self, namespace: str, release: str, ca: "CaMaterial") -> Outcome:
        """Create Secret ``cilium-ca`` with Helm's ownership metadata. Raises ``StepFailed`` if another CA is there."""

    async def restart_unmanaged_pods(self, output: Output, clock: Clock) -> Outcome:
        """Recreate pods not on the host network whose address Cilium did not give, workload by workload by eviction.

        Waits by ``clock``: raises what its sleep raises once the run is stopped.
        """

    async def apply(self, objects: Sequence[Mapping[str, Any]]) -> Outcome:
        """Server-side apply with field manager ``meshwright``."""

    async def delete_namespace(self, name: str, clock: Clock) -> Outcome:
        """Delete a namespace that this tool made, and wait until it is gone."""

    async def run_in_pod(
        self, namespace: str, selector: str, container: str, argv: Sequence[str], seconds: float
    ) -> tuple[int, str]:
        """Exec in the first ready pod that matches; exit code and cleaned output."""


class CaMaterial:
    """A CA with its private key, in memory only; the representation shows neither. ``fingerprint``: SHA-256 of the
    SPKI.
    """

    __slots__ = ("certificate", "fingerprint", "key")

    def __init__(self, certificate: str, key: Secret, fingerprint: str) -> None:
        self.certificate = certificate
        self.key = key
        self.fingerprint = fingerprint

    def __repr__(self) -> str:
        return f"CaMaterial({self.fingerprint[:16]})"


class HelmGateway(Protocol):
    """The ``helm`` program."""

    async def apply(
        self, ref: ContextRef, release: str, namespace: str, version: str, values: Mapping[str, Any], output: Output
    ) -> Outcome:
        """``helm upgrade --install`` with these values; lines to ``output``. Raises ``StepFailed`` with helm's own
        words.

        The outcome's undo holds the revision before (0 = none).
        """

    def command(self, ref: ContextRef, release: str, namespace: str, version: str) -> tuple[str, ...]:
        """The command as shown."""

    async def version(self) -> str:
        """``helm version``; raises ``Refused`` with how to install it when it is absent or too old."""


class CloudGateway(Protocol):
    """Changes to one cluster's cloud. Exists only inside the run of a confirmed plan."""

    async def open_rules(self, group: str, resource_id: str, rules: Sequence[FirewallRule], output: Output) -> Outcome:
        """Add rules; those already there are left alone and not part of undo. Reads back before it returns."""

    async def disable_kube_proxy(self, resource_id: str, output: Output) -> Outcome:
        """AKS only: ``kubeProxyConfig.enabled=false`` through the managed cluster API (preview)."""

    async def resolve(self, hostname: str) -> tuple[str, ...]:
        """Private addresses behind a load balancer's host name as the cloud knows them."""


class Writers(Protocol):
    """Writing gateways of one confirmed plan's run."""

    def cluster(self, key: str) -> ClusterGateway:
        """By cluster key."""

    def cloud(self, key: str) -> CloudGateway:
        """By cluster key. Raises ``Refused`` where there is no cloud."""

    @property
    def helm(self) -> HelmGateway:
        """The helm program."""

    def context(self, key: str) -> ContextRef:
        """The context of a cluster key."""

    def new_ca(self) -> CaMaterial:
        """A fresh CA as Cilium's chart makes one, valid for ten years."""

    async def close(self) -> None:
        """Give connections back; the run is over."""


class Store(Protocol):
    """What is kept on this machine between runs: journals, last choice, usual times. All files 0600."""

    def journal_path(self, run: int) -> Path:
        """File of a run's journal."""

    def append(self, run: int, record: Mapping[str, Any]) -> None:
        """Append one record to a run's journal and fsync."""

    def release(self, run: int) -> None:
        """This process carries the run out no more: another may go on with it."""

    def read(self, run: int) -> list[dict[str, Any]]:
        """All whole records of a run's journal, in order; a torn last line is left out."""

    def runs(self) -> list[int]:
        """Numbers of all runs, oldest first."""

    def next_run(self) -> int:
        """A new run number, reserved by creating its journal file."""

    def get(self, name: str) -> Any:
        """A small remembered value, or None."""

    def put(self, name: str, value: Any) -> None:
        """Remember a small value: written new, then renamed."""

    def log_path(self, run: int) -> Path:
        """File of a run's full log."""


class Fault(Struct, frozen=True):
    """A fault the lab can inject."""

    name: str
    title: str
    layer: str
    active: bool = False


class Scenario(Struct, frozen=True):
    """A lab scenario as the start screen lists it."""

    name: str
    title: str
    group: str
    minutes: str
    note: str = ""

    @property
    def lasts(self) -> str:
        """``20 min``; words as they are."""
        return f"{self.minutes} min" if self.minutes.isdigit() else self.minutes


class LabGateway(Protocol):
    """The embedded lab. Starting it gives a kubeconfig that the other gateways then use."""

    def scenarios(self) -> tuple[Scenario, ...]:
        """What can be started; no lab needs to run."""

    async def start(self, scenario: str, faults: Sequence[str] = (), *, speed: float = 1.0, seed: int = 7) -> None:
        """Start a lab process and point all gateways at it. Raises ``MeshError`` with its words when it cannot."""

    async def stop(self) -> None:
        """End it and wait."""

    @property
    def running(self) -> str:
        """Name of the running scenario, or ""."""


class Armoury(Protocol):
    """Opens writing gateways for a plan that the user confirmed; the only way to get them (DESIGN §3)."""

    def arm(self, plan: Plan, refs: Sequence[ContextRef]) -> Writers:
        """Writers for this plan's clusters."""


class Ports(Protocol):
    """All gateways of a session, handed to the app or the command line by ``backends/wiring.py``."""

    @property
    def contexts(self) -> ContextGateway:
        """Kubeconfig contexts."""

    @property
    def gatherer(self) -> Gatherer:
        """Facts."""

    @property
    def armoury(self) -> Armoury:
        """Writing gateways, for a confirmed plan."""

    @property
    def store(self) -> Store:
        """What is kept on this machine."""

    @property
    def clock(self) -> Clock:
        """Time."""

    @property
    def lab(self) -> LabGateway | None:
        """The embedded lab, where this session may start one."""
