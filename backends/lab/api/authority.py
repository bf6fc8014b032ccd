"""A cluster's certificate authority, its API server's certificate and client certificates (ECDSA P-256)."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _name(common: str, organizations: tuple[str, ...] = ()) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization) for organization in organizations]
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """A CA of its own for one cluster; valid by real time, which is what clients compare with."""

    def __init__(self, days: int = 3650) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._from = datetime.now(UTC) - timedelta(hours=1)
        self._days = days
        name = _name("kubernetes")
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._from + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(signing=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @cached_property
    def pem(self) -> bytes:
        """The CA certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def server(self) -> tuple[bytes, bytes]:
        """Certificate and key (PEM) for loopback and the names a Service of the API has."""
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        alternatives = [x509.DNSName(name) for name in [*names, "kubernetes.default.svc.cluster.local"]]
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        return self._leaf(_name("kube-apiserver"), ExtendedKeyUsageOID.SERVER_AUTH, [*alternatives, address])

    def client(self, user: str, groups: tuple[str, ...] = (), days: int | None = None) -> tuple[bytes, bytes]:
        """Certificate and key (PEM) that authenticate as ``user`` in ``groups``."""
        return self._leaf(_name(user, groups), ExtendedKeyUsageOID.CLIENT_AUTH, [], days)

    def _leaf(
        self,
        subject: x509.Name,
        use: x509.ObjectIdentifier,
        alternatives: list[x509.GeneralName],
        days: int | None = None,
    ) -> tuple[bytes, bytes]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._from + timedelta(days=self._days if days is None else days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM), private

    def server_context(self, folder: Path) -> ssl.SSLContext:
        """A server context that also takes client certificates of this CA; the key touches ``folder`` for a moment."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key = self.server()
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".pem") as held:
            held.write(certificate + key)
            held.flush()
            context.load_cert_chain(held.name)
        context.load_verify_locations(cadata=self.pem.decode())
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signing,
        crl_sign=signing,
        encipher_only=False,
        decipher_only=False,
    )
