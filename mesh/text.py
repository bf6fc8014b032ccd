"""Text from outside: cleaned once at the boundary, shortened for display, secrets masked."""

import re
from enum import Enum
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

# CSI, OSC, DCS/SOS/PM/APC strings and two-character escapes, terminated or cut off by the end of the text.
_SEQUENCES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f]).*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
# C0 without tab and newline, DEL, C1, bidi embeddings, overrides and isolates, line separators, surrogates, BOM.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff\ufeff]")

ELLIPSIS: Final = "…"


def clean(text: str, limit: int | None = None) -> str:
    """Remove terminal control sequences, control characters and bidi overrides; keep tab and newline.

    ``limit`` is a number of characters after which the text ends with an ellipsis.
    Source: anchors.md §3.6, anchors-features §5.4.
    """
    # Everything that is removed is unprintable, and asking for that is ten times as fast as the search.
    if not text.isprintable() and _CONTROLS.search(text):
        text = _CONTROLS.sub("", _SEQUENCES.sub("", text.replace("\r\n", "\n")))
    if limit is not None and len(text) > limit:
        return text[: max(limit - 1, 0)] + ELLIPSIS
    return text


def mesh_name(key: str) -> str:
    """A valid ``cluster.name`` out of a cluster key (cilium-clustermesh R02)."""
    name = re.sub(r"[^a-z0-9-]+", "-", key.lower()).strip("-")[:32].strip("-")
    return "cluster" if name in ("", "default") else name


V = TypeVar("V")


def clean_value(value: V) -> V:
    """``clean`` every string in a value made of Structs, tuples, lists and dicts (keys too); the same object if clean.

    Meant for the values of facts: ten thousand pods take a few milliseconds.
    """
    try:
        encoded = msgspec.json.encode(value)
        if encoded.isascii() and b"\\" not in encoded and b"\x7f" not in encoded:
            return value
    except UnicodeEncodeError:
        pass
    cleaned: V = _cleaned(value)
    return cleaned


def _cleaned(value: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Struct):
        pairs = ((name, getattr(value, name)) for name in value.__struct_fields__)
        changes = {name: new for name, old in pairs if (new := _cleaned(old)) is not old}
        return msgspec.structs.replace(value, **changes) if changes else value
    if isinstance(value, dict):
        fresh = {_cleaned(key): _cleaned(item) for key, item in value.items()}
        return value if _same(fresh, value) and _same(fresh.values(), value.values()) else fresh
    if isinstance(value, tuple | list):
        items = [_cleaned(item) for item in value]
        return value if _same(items, value) else type(value)(items)
    return value


def _same(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def one_line(text: str, limit: int | None = None) -> str:
    """``clean`` with every run of white space folded into one blank."""
    return clean(" ".join(clean(text).split()), limit)


def elide(text: str, width: int) -> str:
    """Shorten an id, ARN or host in the middle, keeping the end that tells it apart (screens.md §5)."""
    if len(text) <= width:
        return text
    if width <= 1:
        return ELLIPSIS[:width]
    tail = (width - 1) * 2 // 3 if width > 8 else width // 2
    return text[: width - 1 - tail] + ELLIPSIS + text[len(text) - tail :]


def plural(count: int, one: str, many: str | None = None) -> str:
    """``1 problem``, ``2 problems``; thousands are grouped."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


class Secret:
    """Bytes that must never be printed: the representation is masked, ``reveal`` is the only way in."""

    __slots__ = ("_value",)

    def __init__(self, value: str | bytes) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the text; decoding errors become replacement characters."""
        return self._value.decode(errors="replace") if isinstance(self._value, bytes) else self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__
