"""The few changes to Azure: NSG rules, and AKS's own switch for kube-proxy (cloud-network §5.3)."""

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

from backends.azure import ids
from backends.azure.rules import body, free_priority
from backends.azure.session import AzureSession, not_read
from mesh.errors import Refused, StepFailed
from mesh.model.network import FirewallRule
from mesh.ports import Outcome, Output
from mesh.reading import NotRead

_WAIT = 600


class AzureChanges:
    """The ``CloudGateway`` of an AKS cluster."""

    def __init__(self, subscription: str, exec_argv: tuple[str, ...] = ()) -> None:
        self.session = AzureSession(subscription, exec_argv)

    async def open_rules(self, group: str, resource_id: str, rules: Sequence[FirewallRule], output: Output) -> Outcome:
        """One rule each at a free priority; a rule of the same name and content counts as there already."""
        created: list[str] = []
        for rule in rules:
            name = await asyncio.to_thread(self._guarded, lambda rule=rule: self._create(resource_id, rule, output))
            created += [name] if name else []
        undo = {"nsg": resource_id, "rules": created} if created else {}
        return Outcome(tuple(f"{name} on {group}" for name in created), undo)

    def _create(self, resource_id: str, rule: FirewallRule, output: Output) -> str:
        resource_group, nsg_name = ids.group(resource_id), ids.name(resource_id)
        operations = self.session.network()
        nsg = operations.network_security_groups.get(resource_group, nsg_name).as_dict()
        name = rule_name(rule)
        existing = [row for row in nsg.get("properties", {}).get("securityRules", []) if row.get("name") == name]
        if existing:
            output(f"{nsg_name}: {name} is there already")
            return ""
        priority = free_priority(nsg, "inbound" if rule.direction == "in" else "outbound")
        if priority is None:
            raise StepFailed(
                f"{nsg_name} has no free priority below its deny rule", hint="Renumber its rules, then retry."
            )
        operations.security_rules.begin_create_or_update(resource_group, nsg_name, name, body(rule, priority)).result(
            _WAIT
        )
        read = operations.security_rules.get(resource_group, nsg_name, name).as_dict()
        if read.get("properties", {}).get("priority") != priority:
            raise StepFailed(f"{name} of {nsg_name} does not read back as written")
        output(f"{nsg_name}: {name} created, priority {priority}")
        return name

    async def disable_kube_proxy(self, resource_id: str, output: Output) -> Outcome:
        """PUT the managed cluster with ``networkProfile.kubeProxyConfig.enabled=false`` (preview feature, AKS#4563)."""
        return await asyncio.to_thread(self._guarded, lambda: self._disable(resource_id, output))

    def _disable(self, resource_id: str, output: Output) -> Outcome:
        group, name = ids.group(resource_id), ids.name(resource_id)
        clusters = self.session.clusters().managed_clusters
        cluster = clusters.get(group, name).as_dict()
        profile = cluster.setdefault("properties", {}).setdefault("networkProfile", {})
        before: Any = profile.get("kubeProxyConfig")
        profile["kubeProxyConfig"] = {"enabled": False}
        clusters.begin_create_or_update(group, name, cluster).result(_WAIT)
        output(f"{name}: kubeProxyConfig.enabled=false")
        return Outcome((f"kubeProxyConfig of {name}",), {"cluster": resource_id, "kubeProxyConfig": before})

    def _guarded(self, change: Any) -> Any:
        from azure.core.exceptions import AzureError

        try:
            return change()
        except AzureError as error:
            unknown = not_read(error, "the change").unknown
            raise StepFailed("Azure refused the change", unknown.detail, unknown.lift) from error
        except NotRead as error:
            raise StepFailed("Azure could not be read", error.unknown.detail, error.unknown.lift) from error

    async def resolve(self, hostname: str) -> tuple[str, ...]:
        """Azure's Services have addresses, not names."""
        raise Refused(f"{hostname}: an AKS Service has an address of its own")


def rule_name(rule: FirewallRule) -> str:
    """A stable name of our own: the same rule has the same name, another content another one."""
    material = f"{rule.direction} {rule.protocol} {rule.from_port} {rule.to_port} {rule.sources} {rule.destinations}"
    port = "" if rule.protocol in ("icmp", "*") else f"-{rule.from_port}"
    protocol = "all" if rule.protocol == "*" else rule.protocol
    return f"meshwright-{rule.direction}-{protocol}{port}-{hashlib.sha256(material.encode()).hexdigest()[:8]}"
