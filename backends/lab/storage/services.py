"""Services: cluster addresses, node ports and the fields that follow from the type."""

from typing import Any

from backends.lab.storage.allocation import Allocator
from backends.lab.storage.resources import Resource
from backends.lab.storage.selectors import Object
from backends.lab.storage.status import ApiError, Cause, invalid


def keep(old: Object, new: Object) -> None:
    """Carry allocated addresses and node ports over into an update that leaves them out."""
    before, spec = old.get("spec", {}), new.setdefault("spec", {})
    kind = spec.get("type", "ClusterIP")
    if kind == "ExternalName":
        return
    if not spec.get("clusterIP") and before.get("clusterIP"):
        spec["clusterIP"] = before["clusterIP"]
        spec.setdefault("clusterIPs", before.get("clusterIPs", [before["clusterIP"]]))
    if before.get("healthCheckNodePort") and "healthCheckNodePort" not in spec and _wants_health_check(spec):
        spec["healthCheckNodePort"] = before["healthCheckNodePort"]
    if kind not in ("NodePort", "LoadBalancer"):
        if before.get("type") in ("NodePort", "LoadBalancer"):
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
        return
    held = {(port.get("protocol", "TCP"), port["port"]): port.get("nodePort") for port in before.get("ports") or ()}
    for port in spec.get("ports") or ():
        allocated = held.get((port.get("protocol", "TCP"), port.get("port")))
        if "nodePort" not in port and allocated:
            port["nodePort"] = allocated


def _wants_health_check(spec: dict[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def allocate(allocator: Allocator, resource: Resource, obj: Object, old: Object | None) -> None:
    """Hand out what the Service needs and does not have yet; what it no longer uses is given back.

    Raises ``ApiError`` 422 where a wanted address or port is not to be had; nothing is then allocated.
    """
    spec = obj["spec"]
    name = obj["metadata"]["name"]
    before = old.get("spec", {}) if old else {}
    if old:
        allocator.give_back(before)
    taken: dict[str, Any] = {"ports": []}
    try:
        _allocate_address(allocator, resource, name, spec, taken)
        _allocate_ports(allocator, resource, name, spec, taken)
    except ApiError:
        allocator.give_back(taken)
        if old:
            retake(allocator, before)
        raise


def retake(allocator: Allocator, spec: dict[str, Any]) -> None:
    """Reserve again what a stored Service holds."""
    if spec.get("clusterIP") not in (None, "", "None"):
        allocator.take_address(spec["clusterIP"])
    for port in spec.get("ports") or ():
        if port.get("nodePort"):
            allocator.take_port(port.get("protocol", "TCP"), port["nodePort"])


def _allocate_address(
    allocator: Allocator, resource: Resource, name: str, spec: dict[str, Any], taken: dict[str, Any]
) -> None:
    if spec["type"] == "ExternalName":
        spec.pop("clusterIP", None)
        spec.pop("clusterIPs", None)
        return
    wanted = spec.get("clusterIP") or (spec.get("clusterIPs") or [None])[0]
    if wanted != "None":
        try:
            wanted = allocator.take_address(wanted)
        except ValueError as problem:
            cause = Cause("FieldValueInvalid", f'Invalid value: ["{wanted}"]: {problem}', "spec.clusterIPs")
            raise invalid(resource, name, [cause]) from None
        taken["clusterIPs"] = [wanted]
    spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
    # Without addresses of its own and without pods to take them from, a Service may mean both families.
    both = wanted == "None" and not spec.get("selector")
    spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if both else ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "RequireDualStack" if both else "SingleStack")


def _allocate_ports(
    allocator: Allocator, resource: Resource, name: str, spec: dict[str, Any], taken: dict[str, Any]
) -> None:
    wants = spec["type"] == "NodePort" or (
        spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    )
    shared: dict[int, int] = {}
    for index, port in enumerate(spec.get("ports") or ()):
        if not wants and not port.get("nodePort"):
            continue
        protocol = port.get("protocol", "TCP")
        wanted = port.get("nodePort") or shared.get(port["port"])
        try:
            port["nodePort"] = allocator.take_port(protocol, wanted)
        except ValueError as problem:
            where = f"spec.ports[{index}].nodePort"
            cause = Cause("FieldValueInvalid", f"Invalid value: {wanted}: {problem}", where)
            raise invalid(resource, name, [cause]) from None
        shared.setdefault(port["port"], port["nodePort"])
        taken["ports"].append({"protocol": protocol, "nodePort": port["nodePort"]})
    if _wants_health_check(spec):
        spec["healthCheckNodePort"] = allocator.take_port("TCP", spec.get("healthCheckNodePort"))
    else:
        spec.pop("healthCheckNodePort", None)
