"""What the step builders look at: facts, goal and findings, with the questions they all ask."""

from mesh import catalogue as fact
from mesh.addresses import is_own_machine
from mesh.facts import FactStore, Known
from mesh.finding import Command, Finding
from mesh.goal import ClusterGoal, Goal
from mesh.model.cilium import CiliumSettings
from mesh.model.context import ContextRef, Provider
from mesh.model.kubernetes import provider_of
from mesh.subject import OfCluster


class Situation:
    """Facts, goal and findings of one join."""

    def __init__(self, store: FactStore, goal: Goal, findings: tuple[Finding, ...]) -> None:
        self.store = store
        self.goal = goal
        self.findings = findings
        self.clusters = tuple(member.cluster for member in goal.members)

    @property
    def unproven(self) -> bool:
        """Nothing records a proof, so a plan that has other steps ends with one."""
        return False

    def member(self, cluster: str) -> ClusterGoal:
        """The goal of a cluster that is a member."""
        found = self.goal.member(cluster)
        if found is None:
            raise KeyError(cluster)
        return found

    def context(self, cluster: str) -> ContextRef:
        """The context of a cluster, or one that says no more than its key."""
        return self.store.value(fact.CONTEXT, OfCluster(cluster)) or ContextRef(cluster, cluster, "")

    def provider(self, cluster: str) -> Provider:
        """The provider: as its cloud says, else as its nodes say, else as the context looks."""
        identity = self.store.value(fact.CLOUD, OfCluster(cluster))
        nodes = self.store.value(fact.NODES, OfCluster(cluster)) or ()
        return identity.provider if identity else provider_of(self.context(cluster), nodes)

    def settings(self, cluster: str) -> CiliumSettings | None:
        """Cilium's settings in force, if known."""
        return self.store.value(fact.SETTINGS, OfCluster(cluster))

    def installed(self, cluster: str) -> bool:
        """Whether Cilium is known to be there."""
        return self.settings(cluster) is not None

    def peers(self) -> dict[str, list[str]]:
        """Per cluster key the Cilium names of all other members."""
        return {cluster: [m.name for m in self.goal.members if m.cluster != cluster] for cluster in self.clusters}

    def absent(self, cluster: str) -> bool:
        """Whether Cilium is known not to be there; where that was not read both this and ``installed`` are false."""
        got = self.store.get(fact.SETTINGS, OfCluster(cluster))
        return isinstance(got, Known) and got.value is None

    def api_server(self, cluster: str) -> tuple[str, int]:
        """Host and port of the API server as nodes reach it, or ``("", 0)`` where only this machine's way is known.

        The cloud's word is taken as it is: it describes the cluster, not a way from here.
        """
        host, port = self.told_api_server(cluster)
        identity = self.store.value(fact.CLOUD, OfCluster(cluster))
        told = identity is not None and bool(identity.endpoint)
        return ("", 0) if is_own_machine(host) and not told else (host, port)

    def told_api_server(self, cluster: str) -> tuple[str, int]:
        """Host and port of the API server: the user's word, else the cloud's, else the kubeconfig's (§4.2).

        A loopback address in a kubeconfig is a port forwarded to this machine; kind's nodes know the control plane
        by name.
        """
        if told := self.member(cluster).api_server:
            return host_and_port(told)
        identity = self.store.value(fact.CLOUD, OfCluster(cluster))
        ref = self.context(cluster)
        if ref.provider is Provider.KIND:
            return f"{ref.cluster_entry.removeprefix('kind-') or cluster}-control-plane", 6443
        text = identity.endpoint if identity and identity.endpoint else ref.server
        return host_and_port(text)

    def kubectl(self, cluster: str, *words: str) -> Command:
        """A kubectl command for this cluster's context."""
        return Command(("kubectl", "--context", self.context(cluster).context, *words), cluster)


def host_and_port(url: str) -> tuple[str, int]:
    """Host without brackets, and port (443 if none), of ``https://host:port/path`` or ``host:port``."""
    place = url.partition("//")[2] if "//" in url else url
    place = place.partition("/")[0].rpartition("@")[2]
    if place.startswith("["):
        host, _, rest = place[1:].partition("]")
        return host, int(rest[1:]) if rest[1:].isdigit() else 443
    host, _, port = place.partition(":")
    return host, int(port) if port.isdigit() else 443


def ids(steps: tuple[object, ...], *prefixes: str) -> tuple[str, ...]:
    """Ids of the earlier steps that begin with one of these prefixes."""
    return tuple(i for step in steps if (i := getattr(step, "id", "")).startswith(prefixes))
