"""The kinds of Kubernetes objects that are read."""

from typing import Final

from msgspec import Struct

from mesh.model.context import Right


class Resource(Struct, frozen=True, order=True):
    """A kind of Kubernetes object by its path: ``plural`` in ``group``/``version`` ("" = the core group)."""

    plural: str
    group: str = ""
    version: str = "v1"

    @property
    def api(self) -> str:
        """``v1`` or ``group/version``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "") -> str:
        """URL path of the list or of one object."""
        root = f"/apis/{self.api}" if self.group else f"/api/{self.api}"
        place = f"{root}/namespaces/{namespace}" if namespace else root
        return f"{place}/{self.plural}/{name}" if name else f"{place}/{self.plural}"

    def right(self, verb: str, namespace: str = "") -> Right:
        """The right to do ``verb`` on it."""
        return Right(verb, self.plural, self.group, namespace)


NODES: Final = Resource("nodes")
NAMESPACES: Final = Resource("namespaces")
PODS: Final = Resource("pods")
SERVICES: Final = Resource("services")
CONFIG_MAPS: Final = Resource("configmaps")
SECRETS: Final = Resource("secrets")
ENDPOINT_SLICES: Final = Resource("endpointslices", "discovery.k8s.io")
DAEMON_SETS: Final = Resource("daemonsets", "apps")
DEPLOYMENTS: Final = Resource("deployments", "apps")
JOBS: Final = Resource("jobs", "batch")
CRON_JOBS: Final = Resource("cronjobs", "batch")
CILIUM_NODES: Final = Resource("ciliumnodes", "cilium.io", "v2")
RULES_REVIEWS: Final = Resource("selfsubjectrulesreviews", "authorization.k8s.io")
ACCESS_REVIEWS: Final = Resource("selfsubjectaccessreviews", "authorization.k8s.io")
SUBJECT_REVIEWS: Final = Resource("selfsubjectreviews", "authentication.k8s.io")
