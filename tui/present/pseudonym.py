"""Names and addresses replaced before something leaves the machine: equal stays equal, inside stays inside."""

import hashlib
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network

_ADDRESS = re.compile(r"(?<![\w.])(\d{1,3}(?:\.\d{1,3}){3})(/\d{1,2})?(?![\w.])")
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
_ACCOUNT = re.compile(r"(?<!\d)\d{12}(?!\d)")
_CLOUD_ID = re.compile(r"\b((?:sg|sgr|vpc|subnet|eni|rtb|acl|vgw|vpn|i)-)([0-9a-f]{8,17})\b")
# Ranges whose beginning says what kind of address it is: that much stays.
_KEPT = tuple(
    IPv4Network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8")
)


class Pseudonyms:
    """``key`` makes them: the same key, the same names. ``names`` are (kind, name) pairs, replaced as ``kind-1``…"""

    def __init__(self, key: bytes, names: Iterable[tuple[str, str]]) -> None:
        self._key = key
        self._addresses: dict[str, int] = {}
        self._names: dict[str, str] = {}
        numbers: dict[str, int] = {}
        for kind, name in names:
            if name and name not in self._names:
                numbers[kind] = numbers.get(kind, 0) + 1
                self._names[name] = f"{kind}-{numbers[kind]}"
        longest = sorted(self._names, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest))) if longest else None

    def apply(self, text: str) -> str:
        """The text with every name and address replaced."""
        if self._pattern is not None:
            text = self._pattern.sub(lambda found: self._names[found[0]], text)
        text = _UUID.sub(lambda found: self._like_uuid(found[0]), text)
        text = _CLOUD_ID.sub(lambda found: found[1] + self._hex(found[2], len(found[2])), text)
        text = _ACCOUNT.sub(lambda found: str(int(self._hex(found[0], 12), 16) % 10**12).zfill(12), text)
        return _ADDRESS.sub(lambda found: self._range(found[1], found[2] or ""), text)

    def _range(self, address: str, mask: str) -> str:
        """An address, or a network whose host bits stay zero."""
        try:
            bits = int(IPv4Address(address))
        except ValueError:
            return address + mask
        made = self._mapped(address, bits)
        host = 32 - int(mask[1:]) if mask else 0
        if 0 < host <= 32 and not bits & ((1 << host) - 1):
            made = made >> host << host
        return str(IPv4Address(made)) + mask

    def _hex(self, text: str, length: int) -> str:
        return hashlib.blake2b(text.encode(), key=self._key).hexdigest()[:length]

    def _like_uuid(self, text: str) -> str:
        digits = self._hex(text, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _mapped(self, text: str, bits: int) -> int:
        """Prefix-preserving: two addresses with n bits in common keep n bits in common (as Crypto-PAn does)."""
        known = self._addresses.get(text)
        if known is not None:
            return known
        address = IPv4Address(bits)
        kept = next((net.prefixlen for net in _KEPT if address in net), 0)
        made = 0
        for place in range(32):
            bit = bits >> (31 - place) & 1
            if place >= kept:
                prefix = f"{place}:{bits >> (32 - place) if place else 0}"
                bit ^= hashlib.blake2b(prefix.encode(), key=self._key, digest_size=1).digest()[0] & 1
            made = made << 1 | bit
        self._addresses[text] = made
        return made
