"""Where requests to a global service go, per consumer (cilium-clustermesh §5.2, §5.3)."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

from msgspec import Struct

from mesh.model.kubernetes import Service

_TRUE: Final = "true"


class Affinity(StrEnum):
    """``service.cilium.io/affinity`` of the importer's own Service."""

    LOCAL = "local"
    REMOTE = "remote"
    NONE = "none"


class Backends(Struct, frozen=True):
    """Where one consumer's requests go: cluster key to number of endpoints; empty = refused. ``local`` = only
    itself.
    """

    consumer: str
    affinity: Affinity
    chosen: dict[str, int] = {}
    defined: bool = True

    @property
    def local(self) -> bool:
        """Whether every request stays in the consumer's cluster."""
        return set(self.chosen) == {self.consumer}


def annotation(service: Service, name: str) -> str:
    """The value of ``service.cilium.io/<name>`` or its older alias, lower case; "" when absent."""
    old = {
        "global": "io.cilium/global-service",
        "shared": "io.cilium/shared-service",
        "affinity": "io.cilium/service-affinity",
    }
    value = service.annotations.get(f"service.cilium.io/{name}", service.annotations.get(old[name], ""))
    return value.strip().lower()


def is_global(service: Service) -> bool:
    """Whether the Service merges remote back-ends and publishes its own."""
    return annotation(service, "global") == _TRUE


def is_shared(service: Service) -> bool:
    """Whether a global Service publishes its back-ends (true unless ``shared`` says false)."""
    return is_global(service) and annotation(service, "shared") != "false"


def affinity_of(service: Service) -> Affinity:
    """The importer's affinity; values Cilium does not know count as none."""
    value = annotation(service, "affinity") if is_global(service) else ""
    return Affinity(value) if value in (Affinity.LOCAL, Affinity.REMOTE) else Affinity.NONE


def traffic_from(consumer: str, services: Mapping[str, Service], linked: Collection[str] | None = None) -> Backends:
    """Which endpoints serve ``consumer``, by Cilium's all-or-nothing rule.

    ``services`` maps cluster keys to the Service of one namespace and name; ``linked`` are the clusters whose state
    reaches
    the consumer (None = all).
    """
    own = services.get(consumer)
    if own is None:
        return Backends(consumer, Affinity.NONE, {}, defined=False)
    local = {consumer: own.ready_endpoints} if own.ready_endpoints else {}
    if not is_global(own):
        return Backends(consumer, Affinity.NONE, local)
    remote = {
        cluster: service.ready_endpoints
        for cluster, service in services.items()
        if cluster != consumer
        and is_shared(service)
        and service.ready_endpoints
        and (linked is None or cluster in linked)
    }
    affinity = affinity_of(own)
    if affinity is Affinity.LOCAL:
        return Backends(consumer, affinity, local or remote)
    if affinity is Affinity.REMOTE:
        return Backends(consumer, affinity, remote or local)
    return Backends(consumer, affinity, {**local, **remote})
