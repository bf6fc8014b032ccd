"""Cilium's Helm release out of its Secrets (cilium-clustermesh §2.6): revision, state, chart, values without keys."""

import base64
import binascii
import re
import zlib
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from mesh.facts import Reason
from mesh.model import kinds
from mesh.model.kubernetes import HelmRelease
from mesh.reading import ClusterReader, NotRead
from mesh.text import one_line

_MAX_DECODED: Final = 32_000_000
# Last parts of value paths that hold, or may hold, key material.
_SECRET_KEY: Final = re.compile(
    r"(?:^|[^a-z])(?:key|keys|password|passwd|token|secret|credentials?|private)$|(?:private|Private|client|Client)Key$"
)
_SECRET_TEXT: Final = re.compile(
    r"-----BEGIN|LS0tLS1CRUdJTi|eyJ[\w-]{8,}\.eyJ|(?:AKIA|ASIA)[0-9A-Z]{16}|[A-Za-z0-9+/=_-]{80,}", re.IGNORECASE
)
_SECRET_NAME: Final = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


class ReleaseMetadata(Struct):
    """Name and labels of a release Secret."""

    name: str = ""
    labels: dict[str, str] = {}


class ReleaseSecret(Struct):
    """A release Secret."""

    metadata: ReleaseMetadata
    data: dict[str, str] | None = None

    @property
    def revision(self) -> int:
        """Revision by its label; 0 if that is no number."""
        text = self.metadata.labels.get("version", "")
        return int(text) if text.isdigit() else 0


class _Info(Struct):
    status: str = ""
    last_deployed: str = ""


class _ChartMetadata(Struct):
    name: str = ""
    version: str = ""
    app_version: str = field(name="appVersion", default="")


class _Chart(Struct):
    metadata: _ChartMetadata = field(default_factory=_ChartMetadata)


class Release(Struct):
    """The part of a release that is read."""

    name: str = ""
    namespace: str = ""
    version: int = 0
    info: _Info = field(default_factory=_Info)
    chart: _Chart = field(default_factory=_Chart)
    config: dict[str, Any] | None = None


async def read_release(reader: ClusterReader, namespace: str, name: str) -> HelmRelease | None:
    """The release ``name`` in ``namespace``; None if there is none. Raises ``NotRead``."""
    secrets = await reader.list(
        kinds.SECRETS, ReleaseSecret, namespace=namespace, labels=f"owner=helm,name={name}", metadata_only=True
    )
    if not secrets:
        return None
    newest = max(secrets, key=lambda item: item.revision)
    deployed = [item.revision for item in secrets if item.metadata.labels.get("status") == "deployed"]
    found = await reader.get(kinds.SECRETS, ReleaseSecret, newest.metadata.name, namespace)
    if found is None:
        raise NotRead(Reason.STALE, f"revision {newest.revision} of {name} went away while it was read", "Read again.")
    release = decode(found)
    status = newest.metadata.labels.get("status") or release.info.status
    return HelmRelease(
        name=release.name or name,
        namespace=release.namespace or namespace,
        revision=newest.revision or release.version,
        status=status,
        chart_version=release.chart.metadata.version,
        app_version=release.chart.metadata.app_version,
        deployed_revision=max(deployed, default=0),
        values=without_keys(release.config or {}),
        updated=release.info.last_deployed,
    )


def decode(secret: ReleaseSecret) -> Release:
    """base64 of base64 of gzip of JSON; Helm before 3 wrote no gzip. Raises ``NotRead(INVALID)``."""
    name = one_line(secret.metadata.name, 80)
    try:
        inner = base64.b64decode((secret.data or {}).get("release", ""), validate=True)
        packed = base64.b64decode(inner, validate=True)
        text = packed
        if packed[:2] == b"\x1f\x8b":
            unpacker = zlib.decompressobj(wbits=31)
            text = unpacker.decompress(packed, _MAX_DECODED)
            if unpacker.unconsumed_tail:
                raise NotRead(
                    Reason.TRUNCATED, f"Secret {one_line(secret.metadata.name, 80)} holds too large a release"
                )
        return msgspec.json.decode(text, type=Release)
    except (binascii.Error, zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise NotRead(Reason.INVALID, f"Secret {name} does not hold a Helm release that can be read") from error


def without_keys(values: dict[str, Any]) -> dict[str, object]:
    """User-supplied values with everything that is or may be key material replaced by its length."""
    return {str(key): _masked(str(key), value) for key, value in values.items()}


def _masked(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        # A variable's value hides under the name beside it.
        named = {"value": str(value["name"])} if isinstance(value.get("name"), str) else {}
        return {str(part): _masked(named.get(str(part), str(part)), item) for part, item in value.items()}
    if isinstance(value, list):
        return [_masked(key, item) for item in value]
    if value is None or value == "" or isinstance(value, bool):
        return value
    text = str(value)
    variable = key.isupper() and _SECRET_NAME.search(key)
    secret = _SECRET_KEY.search(key) or variable or _SECRET_TEXT.search(text) or "\n" in text
    return f"<redacted:{len(text)}>" if secret else value
