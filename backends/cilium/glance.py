"""A cheap look at Cilium for the list of contexts: two requests in kube-system."""

import asyncio
from typing import Any

from backends.cilium.installation import ConfigMap, settings_of
from backends.cilium.owner import owner_of
from backends.cilium.workloads import DaemonSetObject, daemon_set, numbers, version_of
from mesh import catalogue as fact
from mesh.facts import FactName
from mesh.model import kinds
from mesh.model.context import Right
from mesh.model.rights import SYSTEM
from mesh.reading import Collected, Cost, Scope


class Glance:
    """Version, name, id and owner of a Cilium in its usual place; nothing found there is not proof of absence."""

    id = "glance"
    label = "Cilium at a glance"
    provides: tuple[FactName[Any], ...] = (fact.SETTINGS, fact.CILIUM_VERSION, fact.OWNER)
    needs: tuple[FactName[Any], ...] = (fact.VERSION,)
    rbac: tuple[Right, ...] = (kinds.DAEMON_SETS.right("get", SYSTEM), kinds.CONFIG_MAPS.right("get", SYSTEM))
    cost = Cost.CHEAP
    timeout_s = 10.0
    max_bytes = 4_000_000

    async def collect(self, scope: Scope) -> Collected:
        """See ``Collector``."""
        agents, config = await asyncio.gather(
            scope.reader.get(kinds.DAEMON_SETS, DaemonSetObject, "cilium", SYSTEM),
            scope.reader.get(kinds.CONFIG_MAPS, ConfigMap, "cilium-config", SYSTEM),
        )
        version = version_of(daemon_set(agents)) if agents else ""
        objects = [item.metadata for item in (agents, config) if item]
        what = "get daemonset cilium, configmap cilium-config"
        return Collected(
            {
                fact.CILIUM_VERSION: scope.known(version or None, what),
                fact.SETTINGS: settings_of(scope, config, numbers(version), what),
                fact.OWNER: scope.known(owner_of(objects), what),
            }
        )
