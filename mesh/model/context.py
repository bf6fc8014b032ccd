"""Kubeconfig contexts before and after we know which cluster they are."""

from enum import StrEnum

from msgspec import Struct


class Provider(StrEnum):
    """Who runs the cluster; the value is the word shown."""

    EKS = "EKS"
    AKS = "AKS"
    GKE = "GKE"
    KIND = "kind"
    OTHER = "other"

    @property
    def cloud(self) -> str:
        """The cloud's name for a picture: AWS, Azure, Google, else the provider's word."""
        return {"EKS": "AWS", "AKS": "Azure", "GKE": "Google"}.get(self.value, self.value)


class ContextRef(Struct, frozen=True, order=True):
    """One context of one kubeconfig file.

    ``key`` names the cluster in every fact, finding, step and screen: the context's name in short, made unique by
    `` (1)``, `` (2)`` in file order where names are equal. ``files`` are the kubeconfig files in the order in which
    kubectl finds exactly this context: a child's ``KUBECONFIG``. ``group`` is Azure's resource group.
    """

    key: str
    context: str
    file: str
    server: str = ""
    cluster_entry: str = ""
    user: str = ""
    namespace: str = ""
    provider: Provider = Provider.OTHER
    exec_argv: tuple[str, ...] = ()
    region: str = ""
    account: str = ""
    cloud_name: str = ""
    trusted: bool = True
    files: tuple[str, ...] = ()
    group: str = ""


class FileProblem(Struct, frozen=True):
    """A kubeconfig file that could not be used: the path and what is wrong with it, with the line if known."""

    file: str
    problem: str
    hint: str = ""


class ContextList(Struct, frozen=True):
    """All contexts of all files looked at, in file order; ``searched`` are the paths looked at, found or not."""

    contexts: tuple[ContextRef, ...] = ()
    problems: tuple[FileProblem, ...] = ()
    searched: tuple[str, ...] = ()


class Access(StrEnum):
    """The access state of a context; the value is the word shown (screens.md §2.4)."""

    READY = "ready"
    READING = "reading"
    EXPIRED = "expired"
    PARTIAL = "partial"
    UNREACHABLE = "unreachable"
    NO_PLUGIN = "no plugin"
    DENIED = "denied"
    INVALID = "invalid"


class ContextPeek(Struct, frozen=True):
    """A cheap look at a context: version, identity, Cilium; ``login`` is the command that renews an ended login."""

    key: str
    access: Access
    detail: str = ""
    version: str = ""
    cluster_uid: str = ""
    cilium_version: str = ""
    cilium_name: str = ""
    cilium_id: int = 0
    managed: bool = False
    login: tuple[str, ...] = ()
    where: str = ""
    missing: tuple[str, ...] = ()
    rights: tuple[int, int] = (0, 0)


class ServerVersion(Struct, frozen=True):
    """The body of ``GET /version``."""

    git_version: str
    major: str = ""
    minor: str = ""


class Right(Struct, frozen=True, order=True):
    """One right: ``verb group/resource[/subresource]`` in a namespace ("" = cluster-wide or any), names optional."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""

    @property
    def what(self) -> str:
        """``daemonsets.apps``: the resource as ``kubectl auth can-i`` takes it."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.what}{where}"


class Rights(Struct, frozen=True):
    """Which of the rights that reading and joining need are granted (SelfSubjectRulesReview)."""

    user: str = ""
    granted: tuple[Right, ...] = ()
    denied: tuple[Right, ...] = ()
    incomplete: bool = False
