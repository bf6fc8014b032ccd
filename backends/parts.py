"""Parts of one answer, read side by side: what cannot be read is ``Unread`` by itself, and all else stays."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from mesh.facts import Reason
from mesh.model.unread import Unread
from mesh.reading import NotRead
from mesh.text import one_line

AT_ONCE: Final = 8
"""Calls to one cloud at a time."""

# What an answer that is not as documented makes of the code that takes it apart.
_MALFORMED: Final = (LookupError, TypeError, ValueError, AttributeError)


class Part(Struct, frozen=True):
    """A list of the answer: ``right`` is the action it needs, ``call`` what is asked, ``read`` asks and takes apart."""

    right: str
    call: str
    read: Callable[[], Any]


def unread(error: NotRead, part: Part) -> Unread:
    """What stands in the place of a list: the right of the call that failed, which may be one before the list's own."""
    call = part.call if error.right in ("", part.right) else f"for {part.call}"
    return Unread(error.right or part.right, call, error.code or error.unknown.reason.value)


def attempt(part: Part) -> Any:
    """The list, or ``Unread``."""
    try:
        return part.read()
    except NotRead as error:
        return unread(error, part)
    except _MALFORMED as error:
        words = f"{type(error).__name__} {one_line(str(error), 80)}"
        return Unread(part.right, part.call, f"answer not understood: {words}")


def together(parts: Mapping[str, Part], seconds: float) -> dict[str, Any]:
    """Each list by its name, or ``Unread``: also where it has not come within ``seconds``."""
    answers: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    for name, part in parts.items():
        # Nobody waits for a call that hangs (see ``CloudReaders.ask``).
        threading.Thread(
            target=lambda name=name, part=part: answers.put((name, attempt(part))), name="cloud part", daemon=True
        ).start()
    found: dict[str, Any] = {}
    end = time.monotonic() + seconds
    while len(found) < len(parts):
        try:
            name, value = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        found[name] = value
    late = {name: part for name, part in parts.items() if name not in found}
    return found | {
        name: Unread(part.right, part.call, f"{Reason.TIMEOUT.value}: no answer within {seconds:g} s")
        for name, part in late.items()
    }
