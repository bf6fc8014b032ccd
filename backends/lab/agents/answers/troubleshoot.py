"""``cilium-dbg troubleshoot clustermesh`` and KVStoreMesh's: each layer of every peer's connection, tried now."""

from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509

from backends.lab.agents.mesh import dialing, trust
from backends.lab.agents.mesh.dialing import Attempt, Caller, Dialer
from backends.lab.agents.mesh.entries import Entry

NO_COMMAND_BEFORE = 16
"""First minor that has the command."""


def _hex(data: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in data)


def _serial(certificate: x509.Certificate) -> str:
    number = certificate.serial_number
    return _hex(number.to_bytes((number.bit_length() + 7) // 8 or 1, "big"))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S +0000 UTC")


def _key_id(certificate: x509.Certificate, *, authority: bool) -> str:
    try:
        if authority:
            found = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
            return _hex(found.key_identifier or b"")
        return _hex(certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest)
    except x509.ExtensionNotFound:
        return ""


def certificate_lines(certificate: x509.Certificate, indent: str) -> list[str]:
    """One certificate with its names, key ids and validity; absent extensions are left out."""
    lines = [f"- Serial number:       {_serial(certificate)}"]
    lines.append(f"  Subject:             CN={trust.common_name(certificate)}")
    names, addresses = trust.alternative_names(certificate)
    if names or addresses:
        lines.append("  Subject alternative names:")
        lines += [f"  - {name}" for name in (*names, *addresses)]
    own, above = _key_id(certificate, authority=False), _key_id(certificate, authority=True)
    if own:
        lines.append(f"  Subject key ID:      {own}")
    issuer = certificate.issuer.rfc4514_string()
    lines.append(f"  Issuer:              {issuer}")
    if above:
        lines.append(f"  Authority key ID:    {above}")
    lines += [
        "  Validity:",
        f"    Not before:  {_moment(certificate.not_valid_before_utc)}",
        f"    Not after:   {_moment(certificate.not_valid_after_utc)}",
    ]
    return [indent + line for line in lines]


def _endpoint(attempt: Attempt) -> list[str]:
    lines = [f"   - {attempt.endpoint}"]
    if attempt.layer == dialing.NAME:
        return [
            *lines,
            f"     ❌ Cannot resolve hostname: {attempt.text}",
            f"     ❌ Cannot establish TCP connection to {attempt.host}:{attempt.port}: dial tcp: {attempt.text}",
        ]
    if attempt.addresses != (attempt.host,):
        lines.append(f"     ✅ Hostname resolved to: {', '.join(attempt.addresses)}")
    there = f"{attempt.host}:{attempt.port}"
    reached = f"{attempt.address}:{attempt.port}"
    if attempt.layer == dialing.TCP:
        return [*lines, f"     ❌ Cannot establish TCP connection to {there}: {attempt.text}"]
    lines.append(f"     ✅ TCP connection successfully established to {reached}")
    if attempt.layer == dialing.SERVER:
        lines.append(f"     ❌ Cannot establish TLS connection to {there}: {attempt.text}")
    else:
        lines.append(f"     ✅ TLS connection successfully established to {reached}")
    lines.append("     ℹ️  Negotiated TLS version: TLS 1.3, ciphersuite TLS_AES_128_GCM_SHA256")
    lines.append("     ℹ️  TLS certificates presented by the server:")
    for certificate in trust.parse(attempt.presented):
        lines += certificate_lines(certificate, "        ")
    if attempt.layer == dialing.CLIENT:
        lines.append(f"     ❌ TLS client authentication failed: {attempt.text}")
    elif attempt.layer != dialing.SERVER:
        lines.append("     ℹ️  Etcd server version: 3.5.21")
    return lines


def _certificates(caller: Caller, entry: Entry, now: float) -> list[str]:
    roots, own = caller.file(entry.trusted_ca_file) or b"", caller.file(entry.cert_file) or b""
    lines = ["🔑 Digital certificates:", "   ✅ TLS Root CA certificates:"]
    for certificate in trust.parse(roots):
        lines += certificate_lines(certificate, "      ")
    lines.append("   ✅ TLS client certificates:")
    for certificate in trust.parse(own):
        lines += certificate_lines(certificate, "      ")
    complaint = trust.own_complaint(own, roots, now)
    if complaint:
        lines.append(f"        ⚠️ Cannot verify certificate with the configured root CAs: {complaint}")
    return lines


def _client(attempts: Sequence[Attempt]) -> list[str]:
    good = next((one for one in attempts if not one.layer), None)
    lines = ["⚙️ Etcd client:"]
    if good is not None and good.server is not None:
        lines.append("   ✅ Etcd connection successfully established")
        lines.append(f"   ℹ️  Etcd cluster ID: {good.server.etcd_id}")
        return lines
    last = attempts[-1]
    if last.layer in (dialing.SERVER, dialing.CLIENT):
        return [*lines, "   ❌ Failed to establish connection: context deadline exceeded"]
    why = last.text if last.layer == dialing.USER else "context deadline exceeded"
    return [*lines, f"   ❌ Failed to retrieve key from etcd: {why}"]


def cluster_lines(dialer: Dialer, caller: Caller, entry: Entry, folder: str, now: float) -> tuple[list[str], float]:
    """The section of one peer, and how many seconds it hung."""
    lines = [f'Cluster "{entry.name}":', f"📄 Configuration path: {folder}/{entry.name}", ""]
    missing = dialer.missing_file(caller, entry) or entry.problem
    if missing:
        return [*lines, f"❌ Cannot parse etcd configuration: {missing}"], 0.0
    lines.append("🔌 Endpoints:")
    attempts = []
    for endpoint, (host, port) in zip(entry.endpoints, entry.host_ports, strict=True):
        attempts.append(dialer.dial_endpoint(caller, entry, endpoint, host, port, now))
        lines += _endpoint(attempts[-1])
    lines += ["", *_certificates(caller, entry, now), "", *_client(attempts)]
    hung = 0.0 if any(not one.layer for one in attempts) else 5.0
    hung += sum(5.0 for one in attempts if one.layer == dialing.TCP and one.text.endswith("i/o timeout"))
    return lines, hung


def report(dialer: Dialer, caller: Caller, entries: Sequence[Entry], folder: str, now: float) -> tuple[str, float]:
    """The whole answer, and how many lab seconds it takes."""
    lines, total = [f"Found {len(entries)} cluster configurations"], 0.0
    for entry in entries:
        section, hung = cluster_lines(dialer, caller, entry, folder, now)
        lines += ["", *section]
        total += hung
    return "\n".join(lines) + "\n", total
