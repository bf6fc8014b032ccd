"""Certificates as facts: what is in them and who signed them, without their bytes, never a private key."""

import hashlib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mesh.model.cilium import Certificate
from mesh.text import clean

if TYPE_CHECKING:
    from cryptography import x509

_BLOCK: Final = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
_MAX_CERTIFICATES: Final = 600
_USAGES: Final = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign",
)  # fmt: skip


_EXTENDED: Final = {"1.3.6.1.5.5.7.3.1": "serverAuth", "1.3.6.1.5.5.7.3.2": "clientAuth", "2.5.29.37.0": "any"}


class NotACertificate(Exception):
    """PEM data that holds no certificate that can be read."""


class Parsed:
    """A parsed certificate that can still check signatures; only ``facts`` leaves the function that reads it."""

    def __init__(self, certificate: "x509.Certificate") -> None:
        self._certificate = certificate
        self.facts = _facts(certificate)

    def signed_by(self, issuer: "Parsed") -> bool:
        """Whether the issuer's key verifies this certificate's signature, names apart."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

        leaf, key = self._certificate, issuer._certificate.public_key()
        try:
            if isinstance(key, rsa.RSAPublicKey):
                padding = leaf.signature_algorithm_parameters
                if padding is None or isinstance(padding, ec.ECDSA) or leaf.signature_hash_algorithm is None:
                    return False
                key.verify(leaf.signature, leaf.tbs_certificate_bytes, padding, leaf.signature_hash_algorithm)
            elif isinstance(key, ec.EllipticCurvePublicKey):
                algorithm = leaf.signature_algorithm_parameters
                if not isinstance(algorithm, ec.ECDSA):
                    return False
                key.verify(leaf.signature, leaf.tbs_certificate_bytes, algorithm)
            elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
                key.verify(leaf.signature, leaf.tbs_certificate_bytes)
            else:
                return False
        except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
            return False
        return True


def parse_all(pem: bytes) -> list[Parsed]:
    """Every certificate in PEM text, in order. Raises ``NotACertificate`` if there is none or one is broken."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    blocks = _BLOCK.findall(pem)
    if not blocks or len(blocks) > _MAX_CERTIFICATES:
        raise NotACertificate(
            "there is no certificate in it" if not blocks else "there are too many certificates in it"
        )
    try:
        return [Parsed(x509.load_pem_x509_certificate(block)) for block in blocks]
    except (
        ValueError, TypeError, OverflowError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm,
    ) as error:  # fmt: skip
        raise NotACertificate("a certificate in it cannot be read") from error


def ended_at(pem: bytes | None) -> float:
    """The end of the first certificate's validity in epoch seconds; 0 where there is none to read."""
    try:
        return parse_all(pem)[0].facts.not_after if pem else 0.0
    except NotACertificate:
        return 0.0


def signers(leaf: Parsed, authorities: Iterable[Parsed]) -> tuple[str, ...]:
    """SPKI fingerprints of the authorities whose key verifies the leaf's signature, sorted."""
    return tuple(sorted({ca.facts.spki_sha256 for ca in authorities if leaf.signed_by(ca)}))


def _facts(certificate: "x509.Certificate") -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    spki = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Certificate(
        subject=clean(certificate.subject.rfc4514_string(), 500),
        issuer=clean(certificate.issuer.rfc4514_string(), 500),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        spki_sha256=hashlib.sha256(spki).hexdigest(),
        **_extensions(certificate),  # type: ignore[arg-type]  # keys are the Struct's own
    )


def _extensions(certificate: "x509.Certificate") -> dict[str, object]:
    from cryptography import x509

    found: dict[str, object] = {}
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectKeyIdentifier):
            found["subject_key_id"] = value.digest.hex()
        elif isinstance(value, x509.AuthorityKeyIdentifier) and value.key_identifier:
            found["authority_key_id"] = value.key_identifier.hex()
        elif isinstance(value, x509.SubjectAlternativeName):
            names = [*value.get_values_for_type(x509.DNSName), *map(str, value.get_values_for_type(x509.IPAddress))]
            found["sans"] = tuple(clean(name, 300) for name in names)
        elif isinstance(value, x509.BasicConstraints):
            found["is_ca"] = value.ca
        elif isinstance(value, x509.KeyUsage):
            usages = [name for name in _USAGES if getattr(value, name)]
            found["key_usages"] = (*usages, *_as_names(found.get("key_usages")))
        elif isinstance(value, x509.ExtendedKeyUsage):
            usages = [_EXTENDED.get(usage.dotted_string, usage.dotted_string) for usage in value]
            found["key_usages"] = (*_as_names(found.get("key_usages")), *usages)
    return found


def _as_names(value: object) -> tuple[str, ...]:
    return value if isinstance(value, tuple) else ()
