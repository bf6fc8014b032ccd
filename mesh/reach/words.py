"""Rules and ports as a person reads them in a hop."""

from typing import Final

from mesh.addresses import Ranges, cidrs
from mesh.model.network import FirewallRule
from mesh.reach.nacl import LINUX_PORTS, Replies, entry_words
from mesh.reach.rules import Flow, protocol_of

_SOME: Final = 4


def some(addresses: Ranges) -> tuple[str, ...]:
    """A few of the addresses, to be shown."""
    return cidrs(addresses[:_SOME])[:_SOME]


def right_of(words: str) -> str:
    """The right that a text ``needs …`` names."""
    return words.removeprefix("needs ").partition(" ")[0] if words.startswith("needs ") else ""


def rule_words(rule: FirewallRule) -> str:
    """``65000 AllowVnetInBound``, ``sgr-1 tcp 8472``."""
    return f"{rule.priority} {rule.name or rule.id}" if rule.priority else f"{rule.id} {_asks(rule)}"


def _asks(rule: FirewallRule) -> str:
    word = protocol_of(rule)
    low, high = rule.from_port, rule.to_port
    if word == "*" or (low, high) in ((0, 65535), (-1, -1)):
        return "all" if word == "*" else word
    if word in ("icmp", "icmpv6"):
        return f"{word} {low}/{high}"
    return f"{word} {low}" if low == high else f"{word} {low}-{high}"


def rule_excerpt(rule: FirewallRule) -> str:
    """The rule as a line."""
    verb = "allow" if rule.allow else "deny"
    peers = (rule.peers, rule.near) if rule.direction == "in" else (rule.near, rule.peers)
    source, target = (
        ", ".join(texts) or "*" for texts in ((*rule.sources, *peers[0]), (*rule.destinations, *peers[1]))
    )
    return f"{rule.priority or rule.id} {verb} {_asks(rule)} {source} → {target}"[:300]


def ports_of(pieces: tuple[tuple[int, int], ...]) -> str:
    """``1024-2000, 3000``."""
    return ", ".join(f"{low}-{high}" if low != high else str(low) for low, high in pieces)


def reply_words(judged: Replies, flow: Flow) -> str:
    """Which answers do not come back, and what denies them."""
    by = entry_words(judged.by[0] if judged.by else None)
    if flow.protocol not in ("tcp", "udp"):
        return f"{by}: the echo reply (type 0)"
    part = "" if judged.missing == (LINUX_PORTS,) else f", a part of {ports_of((LINUX_PORTS,))}"
    return f"{by}: replies to ports {ports_of(judged.missing)}{part}"
