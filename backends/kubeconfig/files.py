"""Which kubeconfig files there are, and reading one of them: its contents, or what is wrong with it."""

import os
import re
import select
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.kubeconfig.shapes import Cluster, Config, Context, User
from backends.kubeconfig.yamltext import BadText, line_of, parse
from mesh.model.context import FileProblem
from mesh.text import clean

MAX_BYTES: Final = 16 * 1024 * 1024
_PIPE_SECONDS: Final = 1.0
_PATH_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")


class KubeconfigFile(msgspec.Struct):
    """One file's entries by name; contexts keep the file's order."""

    path: Path
    clusters: dict[str, Cluster] = {}
    users: dict[str, User] = {}
    contexts: dict[str, Context] = {}
    current: str = ""


class BadFile(Exception):
    """A file that cannot be used."""

    def __init__(self, problem: FileProblem) -> None:
        super().__init__(problem.problem)
        self.problem = problem


def locate(explicit: Sequence[str], environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """The files to look at: those given, else those of ``KUBECONFIG``, else ``~/.kube/config``; each once, in order."""
    if explicit:
        names = list(explicit)
    elif environment.get("KUBECONFIG"):
        names = [name for name in environment["KUBECONFIG"].split(os.pathsep) if name]
    else:
        names = [str(home / ".kube" / "config")]
    return tuple(dict.fromkeys(Path(os.path.expanduser(name) if explicit else name) for name in names))


def read_file(path: Path) -> KubeconfigFile:
    """Read one file. Raises ``BadFile``; ``FileNotFoundError`` if it is not there."""
    text = _text(path)
    try:
        raw = _document(text)
        config = msgspec.convert(raw, Config) if raw is not None else Config()
    except BadText as error:
        raise _bad(path, str(error), "Repair that line; kubectl cannot read the file either.") from error
    except msgspec.ValidationError as error:
        raise _bad(path, _wrong_type(str(error), text), "kubectl refuses the file for the same reason.") from error
    if (config.kind or "Config") != "Config" or (config.api_version or "v1") != "v1":
        what = f"it is a {config.api_version or 'v1'} {config.kind or 'Config'}, not a kubeconfig"
        raise _bad(path, what, "Name a file that kubectl can use.")
    return KubeconfigFile(
        path=path,
        clusters=_by_name(path, "clusters", config.clusters, lambda item: item.cluster or Cluster()),
        users=_by_name(path, "users", config.users, lambda item: item.user or User()),
        contexts=_by_name(path, "contexts", config.contexts, lambda item: item.context or Context()),
        current=config.current_context or "",
    )


def _by_name(path: Path, what: str, items: Sequence[Any] | None, value: Callable[[Any], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items or ():
        name = (item.name or "") if item else ""
        if name in found:
            hint = "Rename or remove one of them; kubectl refuses the file as it is."
            raise _bad(path, f"two {what} are named {name!r}", hint)
        found[name] = value(item) if item else None
    return {name: entry for name, entry in found.items() if entry is not None}


def _document(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            pass
    raw = parse(text)
    if raw is not None and not isinstance(raw, dict):
        raise BadText("this is not a mapping with clusters, users and contexts", 1)
    return raw


def _wrong_type(message: str, text: str) -> str:
    said, _, place = message.partition(" - at `")
    steps: list[str | int] = []
    for key, index in _PATH_STEP.findall(place.rstrip("`")):
        if index == "...":
            break
        steps.append(key or int(index))
    line = line_of(text, tuple(steps))
    where = place.rstrip("`").removeprefix("$.")
    said = said.replace("`", "").replace(" | null", "")
    return f"line {line}: {where}: {said}" if line else f"{where}: {said}"


def _text(path: Path) -> str:
    try:
        content = _bytes(path)
    except FileNotFoundError:
        raise
    except IsADirectoryError as error:
        raise _bad(path, "it is a directory", "Name a file in it.") from error
    except PermissionError as error:
        raise _bad(path, "it may not be read", f"Give yourself the right: chmod u+r {path}") from error
    except OSError as error:
        raise _bad(path, error.strerror or str(error)) from error
    if len(content) > MAX_BYTES:
        raise _bad(path, f"it is larger than {MAX_BYTES // 1024 // 1024} MiB", "This is no kubeconfig.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _bad(path, f"line {line}: it is not UTF-8 text", "Save it as UTF-8.") from error


def _bytes(path: Path) -> bytes:
    # A pipe (``--kubeconfig <(…)``) without a writer must not hold us up, hence not blocking.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise IsADirectoryError(str(path))
        parts, size = [], 0
        while size <= MAX_BYTES:
            if not select.select([handle], [], [], _PIPE_SECONDS)[0]:
                raise TimeoutError(0, "nothing came out of it")
            part = os.read(handle, 1 << 20)
            if not part:
                break
            parts.append(part)
            size += len(part)
        return b"".join(parts)
    finally:
        os.close(handle)


def _bad(path: Path, problem: str, hint: str = "") -> BadFile:
    return BadFile(FileProblem(clean(str(path)), clean(problem, 300), hint))
