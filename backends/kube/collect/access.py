"""Row *access*: does the API server answer us, which version, and which cluster is it really."""

from typing import Any

from msgspec import Struct, field

from mesh import catalogue as fact
from mesh.facts import Fact, FactName, Reason, Unknown
from mesh.model import kinds
from mesh.model.context import Right, ServerVersion
from mesh.model.rights import SYSTEM
from mesh.reading import Collected, Cost, NotRead, Scope


class _Version(Struct):
    git_version: str = field(name="gitVersion", default="")
    major: str = ""
    minor: str = ""


class _Metadata(Struct):
    uid: str = ""


class _Object(Struct):
    metadata: _Metadata


class Access:
    """``GET /version`` and the uid of namespace kube-system. A version that may not be read is unknown, not fatal."""

    id = "access"
    label = "access"
    provides: tuple[FactName[Any], ...] = (fact.VERSION, fact.CLUSTER_UID, fact.CLOCK_SKEW)
    needs: tuple[FactName[Any], ...] = ()
    rbac: tuple[Right, ...] = (kinds.NAMESPACES.right("get"),)
    cost = Cost.CHEAP
    timeout_s = 40.0
    max_bytes = 1_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        facts: dict[FactName[Any], Fact] = {}
        try:
            found = await scope.reader.version(_Version)
            facts[fact.VERSION] = scope.known(
                ServerVersion(found.git_version, found.major, found.minor), "GET /version"
            )
        except NotRead as error:
            facts[fact.VERSION] = error.unknown
            if error.unknown.reason is not Reason.FORBIDDEN:
                raise
        skew = scope.reader.skew
        told = Unknown(Reason.NOT_COLLECTED, "the API server's answer had no date")
        facts[fact.CLOCK_SKEW] = told if skew is None else scope.known(skew, "Date of GET /version")
        try:
            namespace = await scope.reader.get(kinds.NAMESPACES, _Object, SYSTEM)
            uid = namespace.metadata.uid if namespace else ""
            # Two clusters without a uid would look like one.
            nameless = Unknown(Reason.INVALID, f"namespace {SYSTEM} has no uid", "Is this a Kubernetes API server?")
            facts[fact.CLUSTER_UID] = scope.known(uid, f"get namespace {SYSTEM}") if uid else nameless
        except NotRead as error:
            facts[fact.CLUSTER_UID] = error.unknown
        return Collected(facts)
