"""What can go wrong in a lab, by layer. A fault changes the world and nothing else.

``FAULTS`` are those that a lab offers; ``EVERY`` has also those that no check finds yet: with one of them a broken lab
would be judged healthy, so nobody is offered it before its check is there.
"""

from typing import Final

from backends.lab.faults.access import FAULTS as _ACCESS
from backends.lab.faults.clusters import FAULTS as _CLUSTERS
from backends.lab.faults.exposure import FAULTS as _EXPOSURE
from backends.lab.faults.fault import Fault
from backends.lab.faults.network import FAULTS as _NETWORK
from backends.lab.faults.services import FAULTS as _SERVICES
from backends.lab.faults.settings import FAULTS as _SETTINGS
from backends.lab.faults.trust import FAULTS as _TRUST

__all__ = ["EVERY", "FAULTS", "Fault"]

_ALL: Final = (*_NETWORK, *_EXPOSURE, *_TRUST, *_SETTINGS, *_CLUSTERS, *_SERVICES, *_ACCESS)

# Tunnels, routes, path MTU, and what is behind a global Service are judged by no check yet.
_NOT_OFFERED: Final = {
    "local-pods-gone", "port-names-differ", "route-missing-back", "small-path-mtu", "vpn-tunnel-down",
}  # fmt: skip

EVERY: Final[dict[str, Fault]] = {one.name: one for one in _ALL}
FAULTS: Final[dict[str, Fault]] = {name: one for name, one in EVERY.items() if name not in _NOT_OFFERED}
