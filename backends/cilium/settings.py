"""``cilium-config`` read with the defaults of the running version (cilium-clustermesh §2.1)."""

from collections.abc import Mapping
from typing import Final

from mesh.model.cilium import CiliumSettings

_TRUE: Final = ("true", "1", "t", "yes", "on")
_PORTS: Final = {"vxlan": 8472, "geneve": 6081}


class BadSetting(Exception):
    """A value that Cilium itself would refuse; the message names the key."""


def read_settings(data: Mapping[str, str], version: tuple[int, ...]) -> CiliumSettings:
    """The settings; ``version`` is (major, minor) of the running agents, () if unknown. Raises ``BadSetting``."""
    routing, protocol = _tunnel(data)
    return CiliumSettings(
        cluster_name=data.get("cluster-name", "").strip() or "default",
        cluster_id=_number(data, "cluster-id", 0),
        max_connected_clusters=_number(data, "max-connected-clusters", 255),
        max_connected_explicit="max-connected-clusters" in data,
        routing_mode=routing,
        tunnel_protocol=protocol,
        tunnel_port=_number(data, "tunnel-port", 0) or _PORTS.get(protocol, 0),
        ipam=data.get("ipam", "").strip() or "cluster-pool",
        pod_cidrs=tuple(_pools(data)),
        pod_cidr_mask=_number(data, "cluster-pool-ipv4-mask-size", 24),
        mtu=_number(data, "mtu", 0),
        kube_proxy_replacement=data.get("kube-proxy-replacement", "").strip().lower() in ("true", "strict"),
        ipv4=_flag(data, "enable-ipv4", default=True),
        ipv6=_flag(data, "enable-ipv6", default=False),
        native_routing_cidr=data.get("ipv4-native-routing-cidr", "").strip(),
        cni_chaining_mode=data.get("cni-chaining-mode", "").strip() or "none",
        encryption=_encryption(data),
        identity_allocation=data.get("identity-allocation-mode", "").strip() or "crd",
        health_checking=_flag(data, "enable-health-checking", default=True),
        policy_default_local_cluster=_local_policy(data, version),
        raw=dict(data),
    )


def _tunnel(data: Mapping[str, str]) -> tuple[str, str]:
    """Routing mode and tunnel protocol; ``tunnel`` is their common form before 1.14."""
    old = data.get("tunnel", "").strip().lower()
    routing = data.get("routing-mode", "").strip().lower() or ("native" if old == "disabled" else "tunnel")
    protocol = data.get("tunnel-protocol", "").strip().lower() or (old if old in _PORTS else "vxlan")
    return routing, protocol


def _pools(data: Mapping[str, str]) -> list[str]:
    """Pod ranges that the operator gives out; only IPAM mode cluster-pool has them here."""
    if (data.get("ipam", "").strip() or "cluster-pool") not in ("cluster-pool", "cluster-pool-v2beta"):
        return []
    ranges: list[str] = []
    for family, default in (("4", True), ("6", False)):
        if _flag(data, f"enable-ipv{family}", default=default):
            ranges += data.get(f"cluster-pool-ipv{family}-cidr", "").replace(",", " ").split()
    return ranges


def _encryption(data: Mapping[str, str]) -> str:
    if _flag(data, "enable-wireguard", default=False):
        return "wireguard"
    return "ipsec" if _flag(data, "enable-ipsec", default=False) else ""


def _local_policy(data: Mapping[str, str], version: tuple[int, ...]) -> bool | None:
    """Since 1.18; its default became true in 1.19 (§5.6)."""
    if "policy-default-local-cluster" in data:
        return _flag(data, "policy-default-local-cluster", default=False)
    if version[:2] >= (1, 19):
        return True
    return False if version[:2] == (1, 18) else None


def _flag(data: Mapping[str, str], key: str, *, default: bool) -> bool:
    text = data.get(key, "").strip().lower()
    return text in _TRUE if text else default


def _number(data: Mapping[str, str], key: str, default: int) -> int:
    text = data.get(key, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadSetting(f"{key} is {text[:40]!r}, not a number")
    return int(text)
