"""Volumes of Secrets and ConfigMaps as a pod sees them: frozen when mounted, refreshed by the kubelet minutes later.

Source: kubernetes.io/docs/concepts/configuration/secret (mounted Secrets are updated by the kubelet's periodic sync).
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from backends.lab.objects import Object, ObjectStore, Resource
from backends.lab.storage.resources import CONFIGMAPS, SECRETS

Files: TypeAlias = dict[str, bytes]


def decoded(text: Any) -> bytes:
    """Bytes of a base64 value; the text itself where it is none."""
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return str(text).encode()


def contents(resource: Resource, obj: Object) -> Files:
    """Every key of a Secret or ConfigMap with its bytes."""
    if resource.key == SECRETS.key:
        return {key: decoded(value) for key, value in (obj.get("data") or {}).items()}
    files = {key: str(value).encode() for key, value in (obj.get("data") or {}).items()}
    files.update({key: decoded(value) for key, value in (obj.get("binaryData") or {}).items()})
    return files


@dataclass(frozen=True, slots=True)
class Source:
    """One Secret or ConfigMap that a volume takes keys from."""

    resource: Resource
    name: str
    optional: bool
    items: tuple[tuple[str, str], ...]

    def read(self, store: ObjectStore, namespace: str) -> tuple[Files, str]:
        """The projected files, and what is missing as the kubelet words it ("" = nothing)."""
        obj = store.stored(self.resource, namespace, self.name)
        kind = "secret" if self.resource.key == SECRETS.key else "configmap"
        if obj is None:
            return {}, "" if self.optional else f'{kind} "{self.name}" not found'
        have = contents(self.resource, obj)
        if not self.items:
            return have, ""
        files = {}
        for key, path in self.items:
            if key in have:
                files[path] = have[key]
            elif not self.optional:
                return {}, f"references non-existent {kind} key: {key}"
        return files, ""

    def version(self, store: ObjectStore, namespace: str) -> str:
        """What changes whenever the object does."""
        obj = store.stored(self.resource, namespace, self.name)
        return "" if obj is None else f"{obj['metadata']['uid']}/{obj['metadata']['resourceVersion']}"


def _source(kind: str, body: Mapping[str, Any], name: str) -> Source:
    items = tuple((item["key"], item["path"]) for item in body.get("items") or ())
    resource = SECRETS if kind == "secret" else CONFIGMAPS
    return Source(resource, name, bool(body.get("optional")), items)


def sources(spec: Mapping[str, Any]) -> Iterator[tuple[str, Source]]:
    """Name of the volume and source, for every Secret and ConfigMap that the pod's volumes name."""
    for volume in spec.get("volumes") or ():
        name = volume["name"]
        if volume.get("secret"):
            yield name, _source("secret", volume["secret"], volume["secret"].get("secretName", ""))
        if volume.get("configMap"):
            yield name, _source("configMap", volume["configMap"], volume["configMap"].get("name", ""))
        for part in (volume.get("projected") or {}).get("sources") or ():
            for kind in ("secret", "configMap"):
                if part.get(kind):
                    yield name, _source(kind, part[kind], part[kind].get("name", ""))


@dataclass(slots=True)
class Mounts:
    """The Secret and ConfigMap volumes of one pod: ``files`` by volume and path, as of the last sync."""

    namespace: str
    sources: tuple[tuple[str, Source], ...]
    files: dict[str, Files] = field(default_factory=dict)
    version: tuple[str, ...] = ()
    synced_at: float = 0.0

    @classmethod
    def of(cls, namespace: str, spec: Mapping[str, Any]) -> "Mounts":
        """Nothing mounted yet."""
        return cls(namespace, tuple(sources(spec)))

    def current(self, store: ObjectStore) -> tuple[str, ...]:
        """Versions of all sources as they are now."""
        return tuple(source.version(store, self.namespace) for _, source in self.sources)

    def sync(self, store: ObjectStore, now: float) -> str:
        """Read all sources; the first missing one is returned as the kubelet's sentence, and nothing changes then."""
        files: dict[str, Files] = {name: {} for name, _ in self.sources}
        for name, source in self.sources:
            part, missing = source.read(store, self.namespace)
            if missing:
                return f'MountVolume.SetUp failed for volume "{name}" : {missing}'
            files[name].update(part)
        self.files, self.version, self.synced_at = files, self.current(store), now
        return ""


def environment(store: ObjectStore, pod: Object, container: Mapping[str, Any]) -> tuple[dict[str, str], str]:
    """A container's environment at its start, and what is missing for it as the kubelet words it."""
    values: dict[str, str] = {}
    for variable in container.get("env") or ():
        value, missing = _value(store, pod, variable)
        if missing:
            return {}, missing
        if value is not None:
            values[variable["name"]] = _expanded(value, values)
    return values, ""


def _value(store: ObjectStore, pod: Object, variable: Mapping[str, Any]) -> tuple[str | None, str]:
    given = variable.get("valueFrom")
    if not given:
        return str(variable.get("value") or ""), ""
    if "fieldRef" in given:
        return _field(pod, given["fieldRef"]["fieldPath"]), ""
    for kind, resource in (("configMapKeyRef", CONFIGMAPS), ("secretKeyRef", SECRETS)):
        if kind not in given:
            continue
        reference = given[kind]
        obj = store.stored(resource, pod["metadata"]["namespace"], reference["name"])
        noun = "configmap" if resource is CONFIGMAPS else "secret"
        if obj is None:
            return None, "" if reference.get("optional") else f'{noun} "{reference["name"]}" not found'
        have = contents(resource, obj)
        if reference["key"] not in have:
            where = f"{pod['metadata']['namespace']}/{reference['name']}"
            what = "ConfigMap" if resource is CONFIGMAPS else "Secret"
            return None, "" if reference.get("optional") else f"couldn't find key {reference['key']} in {what} {where}"
        return have[reference["key"]].decode("utf-8", "replace"), ""
    return "", ""


def _field(pod: Object, path: str) -> str:
    if path.startswith("metadata.labels['"):
        return str((pod["metadata"].get("labels") or {}).get(path[17:-2], ""))
    if path.startswith("metadata.annotations['"):
        return str((pod["metadata"].get("annotations") or {}).get(path[22:-2], ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _expanded(value: str, have: Mapping[str, str]) -> str:
    for name, text in have.items():
        value = value.replace(f"$({name})", text)
    return value
