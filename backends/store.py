"""What is kept on this machine between runs: journals, logs and small remembered values, all 0600 in one 0700 folder.

Place: ``MESHWRIGHT_STATE_DIR``, else ``$XDG_STATE_HOME/meshwright``, else ``~/.local/state/meshwright``; its folder
``lab`` for what was done in a lab.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from mesh.errors import Refused

_CLAIMED: Final[dict[str, int]] = {}


def state_folder() -> Path:
    """Where state lives; the folder may not exist yet."""
    own = os.environ.get("MESHWRIGHT_STATE_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "meshwright"


class FileStore:
    """The ``Store`` port on the file system. The folder is made at the first write."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or state_folder()

    def journal_path(self, run: int) -> Path:
        """File of a run's journal."""
        return self.folder / "runs" / f"{run:04d}.jsonl"

    def log_path(self, run: int) -> Path:
        """File of a run's full log; its folder exists afterwards."""
        self._make(self.folder / "logs")
        return self.folder / "logs" / f"{run:04d}.log"

    def append(self, run: int, record: Mapping[str, Any]) -> None:
        """Append one record as a line and fsync it.

        The first record makes the run this process's own until ``release``. Raises ``Refused`` when another process
        still carries it out, or when the disk does not take the record.
        """
        path = self.journal_path(run)
        line = json.dumps(record, separators=(",", ":"), default=str).encode() + b"\n"
        try:
            self._make(path.parent)
            _claim(path)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                line = _after_torn_line(descriptor) + line
                while line:
                    line = line[os.write(descriptor, line) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _no_journal(path, error) from error

    def release(self, run: int) -> None:
        """Unlock the journal: the run has ended here, while this process may live on with a screen open."""
        descriptor = _CLAIMED.pop(os.path.realpath(self.journal_path(run)), None)
        if descriptor is not None:
            os.close(descriptor)

    def read(self, run: int) -> list[dict[str, Any]]:
        """All whole records of a run, in order: a torn line (a kill in the middle of a write) is left out."""
        try:
            content = self.journal_path(run).read_bytes()
        except OSError:
            return []
        records = []
        for line in content.split(b"\n"):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                records.append(record)
        return records

    def runs(self) -> list[int]:
        """Numbers of all runs, oldest first."""
        try:
            names = [path.stem for path in (self.folder / "runs").glob("*.jsonl")]
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isdigit())

    def next_run(self) -> int:
        """A new number; creating the file exclusively keeps two processes apart. Raises ``Refused``."""
        try:
            self._make(self.folder / "runs")
            number = max(self.runs(), default=0) + 1
            while True:
                try:
                    os.close(os.open(self.journal_path(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
                except FileExistsError:
                    number += 1
                else:
                    _sync_folder(self.folder / "runs")
                    return number
        except OSError as error:
            raise _no_journal(self.folder, error) from error

    def get(self, name: str) -> Any:
        """A remembered value, or None if there is none or its file cannot be read."""
        try:
            return json.loads((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, name: str, value: Any) -> None:
        """Remember a value; not being able to is no reason to stop."""
        try:
            write_private(self.folder / f"{name}.json", json.dumps(value, default=str).encode())
        except OSError:
            return

    def _make(self, folder: Path) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Write a 0600 file whole: new beside it, synced, then renamed. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _after_torn_line(descriptor: int) -> bytes:
    """A newline if the file ends in the middle of a line, so that the next record stands on its own."""
    size = os.fstat(descriptor).st_size
    return b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""


def _claim(path: Path) -> None:
    """Keep the journal locked until ``release``; if this process ends first the kernel gives it back."""
    try:
        import fcntl
    except ImportError:
        return
    place = os.path.realpath(path)
    if place in _CLAIMED:
        return
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Refused(
            f"Run {int(path.stem)} is being carried out by another process",
            str(path),
            "Wait for it to end, or stop it there; then resume.",
        ) from error
    except OSError:
        # A file system without locks: the Leases in the clusters still keep operators apart.
        os.close(descriptor)
        return
    _CLAIMED[place] = descriptor


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _no_journal(path: Path, error: OSError) -> Refused:
    return Refused(
        "The journal cannot be written, so nothing is changed",
        f"{path}: {error.strerror or error}",
        "A run without a journal cannot go on or be undone. Free space, or set MESHWRIGHT_STATE_DIR.",
    )
