"""Puts the gateways together. Reading ones are handed out at once; writing ones only for a confirmed plan."""

import asyncio
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from backends.authority import new_ca
from backends.bundle import Bundle, RecordedCloud, open_bundle
from backends.cilium.agents import Agents
from backends.cilium.installation import Installation
from backends.cilium.meshapi import MeshApi
from backends.cloud import CloudReaders, Once, cloud_collectors
from backends.contexts import Contexts, RecordedContexts
from backends.credentials.plugin import Credentials
from backends.gather import ClusterGatherer, SnapshotGatherer
from backends.helm import Helm
from backends.kube.collect.access import Access
from backends.kube.collect.nodes import Nodes
from backends.kube.collect.pods import Pods
from backends.kube.collect.rights import RightsReview
from backends.kube.collect.services import Services
from backends.kube.gateway import cluster_changes
from backends.kube.reader import LiveReader
from backends.kube.session import ApiSession
from backends.kubeconfig.listing import Kubeconfig, unique_keys
from backends.labs import Labs
from backends.store import FileStore, state_folder
from mesh import ports
from mesh.errors import Refused, UsageError
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import provider_of
from mesh.plan import Plan
from mesh.ports import CaMaterial, CloudGateway, ClusterGateway
from mesh.reading import ClusterReader, Collector

if TYPE_CHECKING:
    from mesh.ports import Scenario

# As ``backends.lab.control`` has it, which takes longer to import than a first frame may.
_LAB_HERE: Final = "MESHWRIGHT_LAB_CONTROL"


class SystemClock:
    """Time of this machine."""

    def now(self) -> float:
        """Epoch seconds."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


class SessionPorts:
    """The ``Ports`` of one session of the app or one call of the command line."""

    contexts: ports.ContextGateway
    gatherer: ports.Gatherer
    armoury: ports.Armoury
    store: ports.Store
    clock: ports.Clock
    lab: ports.LabGateway | None

    def __init__(
        self,
        contexts: ports.ContextGateway,
        gatherer: ports.Gatherer,
        armoury: ports.Armoury,
        lab: ports.LabGateway | None,
        store: FileStore,
    ) -> None:
        self.contexts = contexts
        self.gatherer = gatherer
        self.armoury = armoury
        self.lab = lab
        self.store = store
        self.clock = SystemClock()


class Reading:
    """What reading a live cluster needs; connections are made afresh for each reading, credentials are kept."""

    def __init__(self, kubeconfig: str | None) -> None:
        self.kubeconfig = Kubeconfig((kubeconfig,) if kubeconfig else ())
        self.credentials = Credentials()
        self.clouds = CloudReaders({Provider.EKS: _aws_reader, Provider.AKS: _azure_reader})

    def session(self, ref: ContextRef) -> ApiSession:
        """A connection to the context's API server. Raises ``NotRead``."""
        return ApiSession(self.kubeconfig.connection(ref), self.credentials)

    def connect(self, ref: ContextRef) -> ClusterReader:
        """A reader of the context's cluster. Raises ``NotRead``."""
        return LiveReader(self.session(ref))


def open_ports(*, kubeconfig: str | None = None, bundle: Sequence[str] = (), lab: bool = False) -> SessionPorts:
    """The ports for live clusters, a bundle, or a lab that is started through them. Raises ``UsageError``."""
    if bundle:
        return _bundle_ports(open_bundle(bundle, unique_keys))
    if kubeconfig and not os.path.exists(os.path.expanduser(kubeconfig)):
        raise UsageError(f"There is no file {kubeconfig}", hint="Give --kubeconfig an existing file.")
    reading = Reading(os.path.expanduser(kubeconfig) if kubeconfig else None)
    gatherer = ClusterGatherer(_collectors(cloud_collectors(reading.clouds)), reading.connect, SystemClock())
    contexts = Contexts(reading.kubeconfig, reading.credentials, reading.connect)
    simulated = lab or (_LAB_HERE in os.environ and not kubeconfig)
    return SessionPorts(contexts, gatherer, Armoury(reading), Labs() if lab else None, _store(simulated=simulated))


def _store(*, simulated: bool) -> FileStore:
    """Runs in a lab are counted by themselves: nobody's first run on real clusters is run 7."""
    return FileStore(state_folder() / "lab" if simulated else None)


def _collectors(clouds: Sequence[Collector]) -> tuple[Collector, ...]:
    """In the order of the Facts screen (screens.md §3.2)."""
    return (Access(), RightsReview(), Nodes(), Pods(), Installation(), Agents(), Services(), MeshApi(), *clouds)


def _bundle_ports(bundle: Bundle) -> SessionPorts:
    """A recording is read by the same collectors; what only a live cluster or a cloud could tell stays unknown."""
    clock = SystemClock()
    readers = {ref.key: reader for ref, reader in bundle.recordings.items()}
    clouds = CloudReaders(dict.fromkeys((Provider.EKS, Provider.AKS), lambda *_: RecordedCloud()))
    inner = ClusterGatherer(_collectors(cloud_collectors(clouds)), lambda ref: readers[ref.key], clock)
    gatherer = SnapshotGatherer(inner, bundle.snapshots)
    contexts = RecordedContexts(bundle)
    return SessionPorts(contexts, gatherer, Armoury(None), None, _store(simulated=False))


def _aws_reader(ref: ContextRef, nodes: Any, cached: Any) -> Any:
    from backends.aws.reader import AwsReader

    return AwsReader(ref, nodes, cached)


def _azure_reader(ref: ContextRef, nodes: Any, cached: Any) -> Any:
    from backends.azure.reader import AzureReader

    return AzureReader(ref, nodes, cached)


class Armoury:
    """Opens writing gateways; ``reading`` None = facts from a file, nothing can be changed."""

    def __init__(self, reading: Reading | None) -> None:
        self._reading = reading

    def arm(self, plan: Plan, refs: Sequence[ContextRef]) -> "Writing":
        """Writers for a plan that the user confirmed. Raises ``Refused`` for a plan made from a file."""
        if self._reading is None:
            raise Refused("These facts are from a file", hint="Connect to the clusters to change them.")
        return Writing(self._reading, {ref.key: ref for ref in refs if ref.key in plan.clusters})


class Writing:
    """The ``Writers`` of one run."""

    def __init__(self, reading: Reading, refs: dict[str, ContextRef]) -> None:
        self._reading = reading
        self._refs = refs
        self._clusters: dict[str, ClusterGateway] = {}
        self._sessions: list[ApiSession] = []
        self.helm = Helm()

    def context(self, key: str) -> ContextRef:
        """The context of a cluster of the plan."""
        return self._refs[key]

    def cluster(self, key: str) -> ClusterGateway:
        """The gateway to its API server, one connection for the whole run."""
        if key not in self._clusters:
            session = self._reading.session(self._refs[key])
            self._sessions.append(session)
            self._clusters[key] = cluster_changes(key, session, LiveReader(session), SystemClock())
        return self._clusters[key]

    def cloud(self, key: str) -> CloudGateway:
        """The gateway to its cloud. Raises ``Refused`` where there is none that we write to."""
        ref = self._refs[key]
        known = self._reading.clouds.nodes(key)
        provider = provider_of(ref, known)
        if provider is Provider.EKS:
            from backends.aws.changes import AwsChanges

            return AwsChanges(ref)
        if provider is Provider.AKS:
            from backends.azure.changes import AzureChanges
            from backends.azure.reader import AzureReader

            subscription = AzureReader(ref, known, Once()).subscription
            return AzureChanges(subscription, ref.exec_argv)
        raise Refused(f"{key} is in no cloud whose rules Meshwright changes", hint="Open its firewall by hand.")

    def new_ca(self) -> CaMaterial:
        """A fresh CA."""
        return new_ca()

    async def close(self) -> None:
        """Close the connections that were opened for this run."""
        for session in self._sessions:
            await session.close()


async def lab_up(scenario: str, faults: Sequence[str], speed: float, seed: int) -> Any:
    """A lab process that the caller stops. Raises ``MeshError`` with its words."""
    from backends.lab.launch import launch

    return await launch(scenario, faults, speed=speed, seed=seed)


def lab_scenarios() -> "tuple[Scenario, ...]":
    """What can be started."""
    return Labs().scenarios()


def lab_refuse_unknown(scenario: str, faults: Sequence[str]) -> None:
    """Before a screen opens. Raises ``UsageError`` for a scenario or fault that does not exist."""
    from backends.lab import registry

    try:
        if scenario:
            registry.scenario(scenario)
        for name in faults:
            registry.fault(name)
    except registry.NoSuchName as error:
        hint = "meshwright lab scenarios and meshwright lab faults tell about each."
        raise UsageError(str(error), hint=hint) from error


async def lab_faults() -> list[dict[str, Any]]:
    """What can be injected; of a running lab with what is active."""
    from backends.lab.control import LabControl
    from backends.lab.registry import listed_faults

    if _LAB_HERE in os.environ:
        return await LabControl.from_environment(os.environ).faults()
    return listed_faults()


def lab_control() -> Any:
    """Client of the lab whose variables this shell has. Raises ``UsageError`` without them."""
    from backends.lab.control import LabControl

    if _LAB_HERE not in os.environ:
        raise UsageError(
            "No lab is known to this shell", hint="Run meshwright lab up, and set the variables it prints."
        )
    return LabControl.from_environment(os.environ)
