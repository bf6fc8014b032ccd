"""Schemas of the served kinds: what fields exist, how lists merge, and what a typed server makes of a body.

Recorded from a Kubernetes 1.34 API server by ``tools/kubernetes/record_schemas.py``; custom kinds bring their own.
"""

import functools
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

_DATA: Final = Path(__file__).parent / "data"
_REF: Final = "#/components/schemas/"


@functools.cache
def components() -> dict[str, Any]:
    """OpenAPI v3 schemas by name (``io.k8s.api.core.v1.Pod``); read-only."""
    loaded: dict[str, Any] = msgspec.json.decode(lzma.decompress((_DATA / "schemas.json.xz").read_bytes()))
    return loaded


@functools.cache
def wire() -> dict[str, dict[str, list[str]]]:
    """Protobuf messages by name (``k8s.io.api.core.v1.Pod``): field number -> name, type, label; read-only."""
    loaded: dict[str, dict[str, list[str]]] = msgspec.json.decode(
        lzma.decompress((_DATA / "wire.json.xz").read_bytes())
    )
    return loaded


@functools.cache
def _names() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name, schema in components().items():
        for kind in schema.get("x-kubernetes-group-version-kind") or ():
            api_version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
            found.setdefault((api_version, kind["kind"]), name)
    return found


@functools.cache
def _pointers() -> dict[str, frozenset[str]]:
    """Fields that are pointers in the server's types, by schema name: there a zero or empty value means something."""
    found: dict[str, frozenset[str]] = {}
    for message, fields in wire().items():
        package, _, name = message.rpartition(".")
        schema = f"io.{package.replace('k8s.io.', 'k8s.', 1)}.{name}"
        found[schema] = frozenset(field for field, _, label in fields.values() if label == "pointer")
    return found


def schema_name(api_version: str, kind: str) -> str | None:
    """Name of a kind's schema, or None for a kind without one."""
    return _names().get((api_version, kind))


def root(api_version: str, kind: str) -> "Shape | None":
    """The shape of a built-in kind, or None."""
    name = schema_name(api_version, kind)
    return None if name is None else _named(name)


def metadata_shape() -> "Shape":
    """The shape of ``metadata``, equal for all kinds."""
    return _named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


def from_crd(crd: Mapping[str, Any], version: str) -> "Shape | None":
    """The shape of a custom kind, from its CustomResourceDefinition."""
    for entry in crd["spec"]["versions"]:
        schema = (entry.get("schema") or {}).get("openAPIV3Schema")
        if entry["name"] == version and schema is not None:
            shape = Shape(schema, "", custom=True)
            return shape if shape.properties or shape.values is not None else None
    return None


@functools.cache
def _named(name: str) -> "Shape":
    return Shape(components()[name], name)


class Shape:
    """One field's schema with references followed; parts are made when they are asked for."""

    def __init__(self, schema: Mapping[str, Any], name: str, *, custom: bool = False) -> None:
        self.outer = schema
        reference = schema.get("$ref") or next(
            (part["$ref"] for part in schema.get("allOf") or () if "$ref" in part), ""
        )
        self.name = reference.removeprefix(_REF) if reference else name
        self.inner: Mapping[str, Any] = components()[self.name] if reference else schema
        self.custom = custom
        self._properties: dict[str, Shape] = {}
        self._items: Shape | None = None

    @functools.cached_property
    def kind(self) -> str:
        """object · map · array · string · integer · number · boolean · any (also int-or-string)."""
        schema = self.inner
        if schema.get("x-kubernetes-int-or-string") or schema.get("oneOf") or schema.get("anyOf"):
            return "any"
        kind = str(schema.get("type", "any"))
        if kind != "object":
            return kind
        if self.properties or schema.get("x-kubernetes-preserve-unknown-fields"):
            return "object"
        return "map" if "additionalProperties" in schema else "any"

    @property
    def properties(self) -> Mapping[str, Any]:
        """Raw schemas of the known fields."""
        found: Mapping[str, Any] = self.inner.get("properties") or {}
        return found

    @property
    def open(self) -> bool:
        """Whether unknown fields are kept."""
        return bool(self.inner.get("x-kubernetes-preserve-unknown-fields"))

    @property
    def required(self) -> frozenset[str]:
        """Fields that a complete object has."""
        return frozenset(self.inner.get("required") or ())

    @property
    def pointers(self) -> frozenset[str]:
        """Fields whose zero value is kept; for custom kinds every field."""
        return frozenset(self.properties) if self.custom else _pointers().get(self.name, frozenset())

    def field(self, name: str) -> "Shape | None":
        """The shape of a known field; ``metadata`` of a custom kind is the built-in one."""
        if name not in self._properties:
            raw = self.properties.get(name)
            if raw is None:
                return None
            self._properties[name] = Shape(raw, "", custom=self.custom)
        return self._properties[name]

    @functools.cached_property
    def values(self) -> "Shape | None":
        """The shape of a map's values."""
        extra = self.inner.get("additionalProperties")
        return Shape(extra, "", custom=self.custom) if isinstance(extra, Mapping) else None

    @property
    def items(self) -> "Shape | None":
        """The shape of a list's items."""
        if self._items is None and isinstance(self.inner.get("items"), Mapping):
            self._items = Shape(self.inner["items"], "", custom=self.custom)
        return self._items

    @property
    def merge_key(self) -> str | None:
        """The key of a list that a strategic patch merges; empty for a merged list of scalars; None: replaced."""
        if "merge" not in str(self.outer.get("x-kubernetes-patch-strategy", "")).split(","):
            return None
        return str(self.outer.get("x-kubernetes-patch-merge-key", ""))

    @property
    def map_keys(self) -> tuple[str, ...]:
        """Keys that tell items of an associative list apart, for server-side apply."""
        if self.outer.get("x-kubernetes-list-type", self.inner.get("x-kubernetes-list-type")) != "map":
            return ()
        return tuple(self.outer.get("x-kubernetes-list-map-keys") or self.inner.get("x-kubernetes-list-map-keys") or ())

    @property
    def is_set(self) -> bool:
        """Whether a list is a set of scalars, for server-side apply."""
        return bool(self.outer.get("x-kubernetes-list-type", self.inner.get("x-kubernetes-list-type")) == "set")

    @property
    def atomic(self) -> bool:
        """Whether server-side apply owns the value as a whole."""
        if self.kind == "array":
            return not self.map_keys and not self.is_set
        return bool(self.outer.get("x-kubernetes-map-type", self.inner.get("x-kubernetes-map-type")) == "atomic")

    @property
    def default(self) -> Any:
        """The value of a missing field, or None."""
        return self.outer.get("default")
