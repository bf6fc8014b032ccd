"""Everything that can go wrong in a lab; ``FAULTS`` lists it by layer. A fault changes the world and nothing else."""

from typing import Final

from backends.lab.faults.access import FAULTS as _ACCESS
from backends.lab.faults.clusters import FAULTS as _CLUSTERS
from backends.lab.faults.exposure import FAULTS as _EXPOSURE
from backends.lab.faults.fault import Fault
from backends.lab.faults.network import FAULTS as _NETWORK
from backends.lab.faults.services import FAULTS as _SERVICES
from backends.lab.faults.settings import FAULTS as _SETTINGS
from backends.lab.faults.trust import FAULTS as _TRUST

__all__ = ["FAULTS", "Fault"]

_ALL: Final = (*_NETWORK, *_EXPOSURE, *_TRUST, *_SETTINGS, *_CLUSTERS, *_SERVICES, *_ACCESS)

FAULTS: Final[dict[str, Fault]] = {one.name: one for one in _ALL}
