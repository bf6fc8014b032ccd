"""Certificates judged as Go's crypto/x509 and crypto/tls judge them, by lab time, in their words.

Source: Go's ``Certificate.Verify`` and ``Conn.processCertsFromClient``; recorded texts in cilium-clustermesh §11.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

WRONG_USAGE: Final = "x509: certificate specifies an incompatible key usage"
UNKNOWN_AUTHORITY: Final = "x509: certificate signed by unknown authority"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a certificate is refused: Go's sentence, and the TLS alert that a server sends for it."""

    sentence: str
    alert: str


@lru_cache(maxsize=512)
def parse(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM text; none where it cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return ()


def common_name(certificate: x509.Certificate) -> str:
    """The subject's common name, or ""."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def go_time(moment: datetime) -> str:
    """RFC 3339 with whole seconds, as Go prints it in errors."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expired(certificate: x509.Certificate, now: float) -> str:
    """Go's sentence for a certificate outside its validity at lab time ``now``, or ""."""
    moment = datetime.fromtimestamp(now, UTC)
    lead = f"x509: certificate has expired or is not yet valid: current time {go_time(moment)} is "
    if moment < certificate.not_valid_before_utc:
        return f"{lead}before {go_time(certificate.not_valid_before_utc)}"
    if moment > certificate.not_valid_after_utc:
        return f"{lead}after {go_time(certificate.not_valid_after_utc)}"
    return ""


def alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """DNS names and IP addresses of the certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = [str(address) for address in names.get_values_for_type(x509.IPAddress)]
    return list(names.get_values_for_type(x509.DNSName)), addresses


def _matches(pattern: str, host: str) -> bool:
    if pattern.startswith("*."):
        first, dot, rest = host.partition(".")
        return bool(first) and bool(dot) and rest.lower() == pattern[2:].lower()
    return pattern.lower() == host.lower()


def wrong_name(certificate: x509.Certificate, host: str) -> str:
    """Go's sentence for a certificate that does not name ``host``, or ""."""
    names, addresses = alternative_names(certificate)
    try:
        wanted = str(ipaddress.ip_address(host))
    except ValueError:
        if any(_matches(name, host) for name in names):
            return ""
        if not names:
            return f"x509: certificate is not valid for any names, but wanted to match {host}"
        return f"x509: certificate is valid for {', '.join(names)}, not {host}"
    if wanted in addresses:
        return ""
    if not addresses:
        return f"x509: cannot validate certificate for {host} because it doesn't contain any IP SANs"
    return f"x509: certificate is valid for {', '.join(addresses)}, not {host}"


@lru_cache(maxsize=4096)
def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> str:
    """ "" when the issuer's key verifies the signature, else why not in Go's words."""
    key = issuer.public_key()
    algorithm = certificate.signature_hash_algorithm
    try:
        if isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
            key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(certificate.signature, certificate.tbs_certificate_bytes)
        else:
            return "x509: cannot verify signature: algorithm unimplemented"
    except InvalidSignature:
        return (
            "crypto/rsa: verification error"
            if isinstance(key, rsa.RSAPublicKey)
            else "x509: ECDSA verification failure"
        )
    except (UnsupportedAlgorithm, ValueError, TypeError):
        return "x509: cannot verify signature: algorithm unimplemented"
    return ""


def _chain(certificate: x509.Certificate, roots: Iterable[x509.Certificate], now: float) -> str:
    hint = ""
    for root in roots:
        if root == certificate:
            return ""
        if root.subject != certificate.issuer:
            continue
        failed = signed_by(certificate, root) or expired(root, now)
        if not failed:
            return ""
        hint = hint or (
            f' (possibly because of "{failed.replace(chr(34), chr(92) + chr(34))}" while trying to verify candidate '
            f'authority certificate "{common_name(root)}")'
        )
    return UNKNOWN_AUTHORITY + hint


def _may(certificate: x509.Certificate, usage: ObjectIdentifier) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return usage in usages or ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages


def refuse_server(pem: bytes, roots: bytes, host: str, now: float) -> str:
    """Why a client with these roots refuses a server's certificate for ``host``; "" when it accepts."""
    chain = parse(pem)
    if not chain:
        return "tls: no certificates configured"
    leaf = chain[0]
    return (
        expired(leaf, now)
        or wrong_name(leaf, host)
        or _chain(leaf, parse(roots), now)
        or ("" if _may(leaf, ExtendedKeyUsageOID.SERVER_AUTH) else WRONG_USAGE)
    )


def refuse_client(pem: bytes, roots: bytes, now: float) -> Complaint | None:
    """Why a server that trusts ``roots`` refuses a client's certificate, or None."""
    chain = parse(pem)
    if not chain:
        return Complaint("tls: client didn't provide a certificate", "tls: certificate required")
    leaf = chain[0]
    late = expired(leaf, now)
    if late:
        return Complaint(late, "tls: expired certificate")
    unknown = _chain(leaf, parse(roots), now)
    if unknown:
        return Complaint(unknown, "tls: unknown certificate authority")
    if not _may(leaf, ExtendedKeyUsageOID.CLIENT_AUTH):
        return Complaint(WRONG_USAGE, "tls: bad certificate")
    return None


def own_complaint(pem: bytes, roots: bytes, now: float) -> str:
    """Why the roots beside a client certificate do not verify it; "" when they do (``troubleshoot`` adds it below)."""
    chain = parse(pem)
    if not chain:
        return ""
    return expired(chain[0], now) or _chain(chain[0], parse(roots), now)
