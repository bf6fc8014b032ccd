"""Security groups and network ACLs: canonical CIDRs, owners of rules, ICMP types, the implicit last entries."""

import ipaddress
from collections.abc import Callable
from typing import Any

from moto.core.responses import EmptyResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.network_acls import NetworkAcl, NetworkAclBackend
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.ec2.responses import EC2Response

_LAST = 32767


def canonical(cidr: str) -> str:
    """The CIDR with its host bits cleared, as EC2 stores it; text that is none stays as it is."""
    try:
        return str(ipaddress.ip_network(cidr, strict=False))
    except ValueError:
        return cidr


def apply() -> None:
    """See the module."""
    for name in ("ingress", "egress"):
        for verb in ("authorize", "revoke"):
            method = f"{verb}_security_group_{name}"
            setattr(SecurityGroupBackend, method, _with_canonical_ranges(getattr(SecurityGroupBackend, method)))
    SecurityGroupRule.group_owner_id = property(lambda rule: rule.ec2_backend.account_id)  # type: ignore[attr-defined]  # a response member moto lacks
    _entries()


def _with_canonical_ranges(original: Callable[..., Any]) -> Callable[..., Any]:
    def method(
        self: Any,
        group_name_or_id: str,
        ip_protocol: Any,
        from_port: Any,
        to_port: Any,
        ip_ranges: Any,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        ranges = [
            {**item, **{key: canonical(item[key]) for key in ("CidrIp", "CidrIpv6") if key in item}}
            if isinstance(item, dict)
            else item
            for item in ip_ranges or []
        ]
        return original(self, group_name_or_id, ip_protocol, from_port, to_port, ranges, *args, **kwargs)

    return method


def _entries() -> None:
    create_acl = NetworkAclBackend.create_network_acl

    def create_network_acl(self: Any, vpc_id: str, tags: Any = None, default: bool = False) -> NetworkAcl:
        acl = create_acl(self, vpc_id, tags=tags, default=default)
        if not default:
            for egress in (True, False):
                self.create_network_acl_entry(
                    acl.id, _LAST, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
                )
        return acl

    delete_entry = NetworkAclBackend.delete_network_acl_entry

    def delete_network_acl_entry(self: Any, network_acl_id: str, rule_number: int, egress: bool) -> Any:
        try:
            return delete_entry(self, network_acl_id, rule_number, egress)
        except StopIteration:
            way = "egress" if egress else "ingress"
            raise EC2ClientError(
                "InvalidNetworkAclEntry.NotFound",
                f"The network acl entry identified by rule number {rule_number} and {way} does not exist",
            ) from None

    NetworkAclBackend.create_network_acl = create_network_acl  # type: ignore[method-assign]  # a repair
    NetworkAclBackend.delete_network_acl_entry = delete_network_acl_entry  # type: ignore[method-assign]  # a repair
    for action in ("create_network_acl_entry", "replace_network_acl_entry"):
        setattr(EC2Response, action, _entry_action(action))


def _entry_action(action: str) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        icmp = self._get_param("IcmpTypeCode") or {}
        ports = self._get_param("PortRange") or {}
        cidr = self._get_param("CidrBlock")
        getattr(self.ec2_backend, action)(
            network_acl_id=self._get_param("NetworkAclId"),
            rule_number=int(self._get_param("RuleNumber")),
            protocol=str(self._get_param("Protocol")),
            rule_action=self._get_param("RuleAction"),
            egress=bool(self._get_param("Egress")),
            cidr_block=canonical(cidr) if cidr else cidr,
            icmp_code=icmp.get("Code"),
            icmp_type=icmp.get("Type"),
            port_range_from=ports.get("From"),
            port_range_to=ports.get("To"),
            ipv6_cidr_block=self._get_param("Ipv6CidrBlock"),
        )
        return EmptyResult()

    method.__name__ = action
    return method
