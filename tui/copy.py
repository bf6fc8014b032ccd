"""Copying: by the terminal (OSC 52), or into a 0600 file when it is too large or the terminal does not take it."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

LIMIT = 64 * 1024
# Terminals that drop OSC 52 without a word.
_WITHOUT = ("Apple_Terminal",)


def takes_clipboard(environment: Mapping[str, str]) -> bool:
    """Whether the terminal is not known to ignore OSC 52."""
    return environment.get("TERM_PROGRAM", "") not in _WITHOUT and environment.get("TERM", "") != "linux"


def copy_text(text: str, what: str, send: Callable[[str], None], folder: Path, environment: Mapping[str, str]) -> str:
    """Copy ``text`` and say so: ``copied 112 characters: the command``, or where the file is."""
    if len(text.encode()) <= LIMIT and takes_clipboard(environment):
        send(text)
        return f"copied {len(text):,} characters: {what}"
    try:
        path = write_private(folder, "copy", ".txt", text)
    except OSError as error:
        return f"{what} could not be copied: {error.strerror or error}"
    return f"written to {path}: {what} ({len(text):,} characters, the clipboard does not take it)"


def write_private(folder: Path, stem: str, suffix: str, text: str) -> Path:
    """A new 0600 file in ``folder``. Raises ``OSError``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f"{stem}-", suffix=suffix, dir=folder)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Path(name)


def write_new(path: Path, text: str) -> Path:
    """A new 0600 file at ``path``, numbered if there is one already. Raises ``OSError``."""
    number = 1
    place = path
    while True:
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            place = path.with_name(f"{path.stem}-{number}{path.suffix}")
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        return place
