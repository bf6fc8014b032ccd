"""Facts as JSON, out and in: the snapshot format, typed by the catalogue. Limits on size and depth are the reader's."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from mesh.catalogue import FACTS
from mesh.errors import UsageError
from mesh.facts import Fact, FactKey, FactStore, Known, Source, Unknown
from mesh.subject import Subject

API_VERSION: Final = "meshwright/v1"
KIND: Final = "Snapshot"
_NO_VALUE: Final = msgspec.Raw()


class _Row(Struct, omit_defaults=True):
    """One fact: ``value`` where it is known, else ``unknown`` with the reason."""

    name: str
    subject: Subject
    source: Source | None = None
    observed_at: float = 0.0
    value: msgspec.Raw = _NO_VALUE
    unknown: Unknown | None = None


class _Document(Struct):
    """The whole snapshot."""

    apiVersion: str
    kind: str
    clusters: tuple[str, ...]
    facts: list[_Row]


def dump(store: FactStore, clusters: Iterable[str]) -> bytes:
    """The store as one JSON document, byte-equal for equal stores; facts not in the catalogue are left out."""
    rows = [_row(key, fact) for key, fact in store.items() if key.name in FACTS]
    document = _Document(API_VERSION, KIND, tuple(clusters), rows)
    return msgspec.json.format(msgspec.json.encode(document, order="sorted"), indent=1) + b"\n"


def _row(key: FactKey, fact: Fact) -> _Row:
    if isinstance(fact, Known):
        value = msgspec.Raw(msgspec.json.encode(fact.value, order="sorted"))
        return _Row(key.name, key.subject, fact.source, fact.observed_at, value)
    return _Row(key.name, key.subject, unknown=fact)


def load(data: bytes) -> tuple[FactStore, tuple[str, ...]]:
    """The store and its clusters. Raises ``UsageError`` with the place in the document that is wrong."""
    try:
        document = msgspec.json.decode(data, type=_Document)
    except msgspec.MsgspecError as error:
        raise UsageError("This is no snapshot", str(error)) from error
    if document.kind != KIND or document.apiVersion != API_VERSION:
        got = f"{document.apiVersion} {document.kind}"
        raise UsageError("This is no snapshot of this version", f"It says {got}; {API_VERSION} {KIND} can be read.")
    facts: dict[FactKey, Fact] = {}
    for row in document.facts:
        if row.name in FACTS:
            facts[FactKey(row.name, row.subject)] = _fact(row)
    return FactStore(facts), document.clusters


def _fact(row: _Row) -> Fact:
    if row.unknown is not None:
        return row.unknown
    if not bytes(row.value) or row.source is None:
        raise UsageError("The snapshot is damaged", f"{row.name} of {row.subject} has neither value nor reason.")
    return Known(_typed(row), row.source, row.observed_at)


def _typed(row: _Row) -> Any:
    try:
        return msgspec.json.decode(row.value, type=FACTS[row.name].type)
    except msgspec.MsgspecError as error:
        raise UsageError("The snapshot is damaged", f"{row.name} of {row.subject}: {error}") from error
