"""``--from``: recordings and snapshots as clusters that can be read; untrusted input with limits (DESIGN §8.4)."""

import base64
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct, field

from mesh.errors import UsageError
from mesh.facts import Origin, Reason
from mesh.model.context import ContextRef, Provider
from mesh.model.kinds import Resource
from mesh.reading import Answer, Count, NotRead
from mesh.text import clean, one_line

MAX_BYTES: Final = 256_000_000
MAX_FILES: Final = 600
T = TypeVar("T")
_PROVIDERS: Final = {"aws": Provider.EKS, "azure": Provider.AKS, "gce": Provider.GKE, "kind": Provider.KIND}


class _Recording(Struct):
    """A recording of one cluster: what a reader of its API would have seen at one moment."""

    resources: dict[str, list[dict[str, Any]]]
    version: dict[str, Any] = {}
    context: str = ""


class _Kind(Struct):
    kind: str = ""
    api_version: str = field(name="apiVersion", default="")
    resources: msgspec.Raw = msgspec.Raw()


class Bundle(Struct):
    """What was found under the paths: clusters that can be read, and snapshots as they are."""

    recordings: dict[ContextRef, "RecordedReader"]
    snapshots: list[tuple[str, bytes]]


def open_bundle(paths: Sequence[str], keys: Callable[[Iterable[str]], list[str]]) -> Bundle:
    """Read recordings and snapshots. ``keys`` gives contexts unique short names. Raises ``UsageError``."""
    found: list[tuple[Path, _Recording]] = []
    snapshots: list[tuple[str, bytes]] = []
    for path in _files(paths):
        content = _content(path)
        kind = _decode(path, content, _Kind)
        if bytes(kind.resources):
            found.append((path, _decode(path, content, _Recording)))
        elif kind.kind == "Snapshot":
            snapshots.append((str(path), content))
        elif Path(path).parent in map(Path, paths):
            continue
        else:
            raise UsageError(
                f"{clean(str(path))} is neither a recording nor a snapshot",
                hint="Give a folder of recordings, or files of kind Snapshot.",
            )
    if not found and not snapshots:
        raise _nothing(paths)
    names = keys(recording.context or path.stem for path, recording in found)
    refs = [_ref(key, path, recording) for key, (path, recording) in zip(names, found, strict=True)]
    readers = [RecordedReader(recording, clean(str(path))) for path, recording in found]
    return Bundle(dict(zip(refs, readers, strict=True)), snapshots)


class RecordedReader:
    """See ``mesh.reading.ClusterReader``: answers from a recording as the API would have answered."""

    origin = Origin.BUNDLE
    # A recording does not say how far its clock was off.
    skew: float | None = 0.0

    def __init__(self, recording: _Recording, where: str) -> None:
        self.where = where
        self._recording = recording
        self._lists = {key: [_as_served(key, item) for item in items] for key, items in recording.resources.items()}

    def bounded(self, max_bytes: int, waits: Callable[[float], None] | None = None) -> "RecordedReader":
        """See ``ClusterReader``."""
        return self

    async def version(self, shape: type[T]) -> T:
        """See ``ClusterReader``."""
        return self._convert(self._recording.version, shape, "version")

    async def get(self, resource: Resource, shape: type[T], name: str, namespace: str = "") -> T | None:
        """See ``ClusterReader``."""
        for item in self._lists.get(f"{resource.api}/{resource.plural}", ()):
            metadata = _metadata(item)
            if metadata.get("name") == name and (metadata.get("namespace") or "") == namespace:
                return self._convert(item, shape, resource.plural)
        return None

    async def review(self, resource: Resource, body: Mapping[str, Any], shape: type[T]) -> T:
        """See ``ClusterReader``."""
        raise NotRead(Reason.NOT_COLLECTED, "a recording does not say what its reader was allowed")

    async def execute(self, namespace: str, pod: str, container: str, argv: Sequence[str], seconds: float) -> Answer:
        """See ``ClusterReader``."""
        raise NotRead(Reason.NOT_COLLECTED, "a recording has no agents to ask")

    async def close(self) -> None:
        """See ``ClusterReader``."""

    async def list(
        self,
        resource: Resource,
        shape: type[T],
        *,
        namespace: str = "",
        labels: str = "",
        count: Count | None = None,
        metadata_only: bool = False,
    ) -> list[T]:
        """See ``ClusterReader``. A list that the recording lacks was answered with 404."""
        items = self._lists.get(f"{resource.api}/{resource.plural}")
        if items is None:
            raise NotRead(Reason.ABSENT_API, f"the recorded API server knows no {resource.plural}")
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
        found = [
            self._convert(item, shape, resource.plural)
            for item in items
            if (not namespace or _metadata(item).get("namespace") == namespace)
            and wanted.items() <= dict(_metadata(item).get("labels") or {}).items()
        ]
        if count:
            count(len(found), len(found))
        return found

    def _convert(self, item: Any, shape: type[T], what: str) -> T:
        try:
            return msgspec.convert(item, shape, strict=True)
        except msgspec.ValidationError as error:
            words = one_line(str(error), 200)
            raise NotRead(Reason.INVALID, f"{what} in {self.where} are not as an API serves them: {words}") from error


class RecordedCloud:
    """A cloud reader for a recording: it holds what an API server said, and nothing that a cloud did."""

    def _unasked(self, *_: object) -> Any:
        raise NotRead(Reason.NOT_COLLECTED, "a recording has no cloud to ask")

    identity = network = firewall = vpn = paths = load_balancer = _unasked


def _metadata(item: Mapping[str, Any]) -> Mapping[str, Any]:
    found = item.get("metadata")
    return found if isinstance(found, Mapping) else {}


def _as_served(key: str, item: dict[str, Any]) -> dict[str, Any]:
    """An object as the API serves it: recordings hold Helm's releases decoded, without the chart."""
    release = item.get("helmRelease")
    if key != "v1/secrets" or not isinstance(release, dict):
        return item
    packed = gzip.compress(msgspec.json.encode(release), mtime=0)
    served = {name: value for name, value in item.items() if name != "helmRelease"}
    served["data"] = {"release": base64.b64encode(base64.b64encode(packed)).decode()}
    return served


def _nothing(paths: Sequence[str]) -> UsageError:
    """With the folders beneath that do hold something: a folder of scenarios is the likely slip."""
    beneath = sorted({path.parent for text in paths for path in Path(text).glob("*/*.json")})
    more = f" and {len(beneath) - 4} more" if len(beneath) > 4 else ""
    hint = f"Give one of the folders beneath: {', '.join(clean(str(path)) for path in beneath[:4])}{more}"
    return UsageError(
        "There is nothing to read",
        f"No recording or snapshot in {', '.join(map(clean, paths))}.",
        hint if beneath else "Give files of recordings or snapshots, or a folder of them.",
    )


def _files(paths: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for text in paths:
        path = Path(text)
        if path.is_dir():
            files += sorted(item for item in path.glob("*.json") if item.is_file())
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"{clean(text)} is not there", hint="Give a snapshot or a folder of recordings.")
    if len(files) > MAX_FILES:
        raise UsageError(f"{len(files)} files are more than {MAX_FILES}", hint="Name the clusters that are meant.")
    return list(dict.fromkeys(files))


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UsageError(f"{clean(str(path))} is larger than {MAX_BYTES // 1_000_000} MB")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{clean(str(path))} cannot be read", error.strerror or str(error)) from error


def _decode(path: Path, content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = one_line(str(error), 200)
        raise UsageError(f"{clean(str(path))} is not what --from reads", f"Its JSON is wrong: {words}") from error


def _ref(key: str, path: Path, recording: _Recording) -> ContextRef:
    nodes = recording.resources.get("v1/nodes") or [{}]
    spec, labels = nodes[0].get("spec"), _metadata(nodes[0]).get("labels")
    scheme = str(spec.get("providerID", "")).partition(":")[0] if isinstance(spec, dict) else ""
    region = str(labels.get("topology.kubernetes.io/region", "")) if isinstance(labels, dict) else ""
    return ContextRef(
        key=key,
        context=one_line(recording.context) or one_line(path.stem),
        file=clean(str(path)),
        provider=_PROVIDERS.get(scheme, Provider.OTHER),
        region=one_line(region),
        trusted=False,
    )
