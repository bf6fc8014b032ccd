"""Who may import what: the table of imports as data, module by module."""

import sys
from dataclasses import dataclass, field

# The core has no I/O, no clock and no chance; the screens start nothing.
IMPURE = frozenset(
    "asyncio concurrent fcntl http io logging multiprocessing os pathlib pty random secrets select selectors shutil"
    " signal socket socketserver ssl subprocess sys tempfile termios threading time tty".split()
)
STARTING = frozenset("multiprocessing pty signal socket ssl subprocess threading".split())
SHARED_BACKENDS = (
    "backends.authority",
    "backends.parts",
    "backends.process",
    "backends.credentials",
    "backends.certificates",
    "backends.store",
)


@dataclass(frozen=True)
class Row:
    """What modules below ``prefix`` may import: project, third-party, standard library less ``denied``.

    ``lazily`` may be imported inside functions only. A row wins over rows with a shorter prefix.
    """

    prefix: str
    project: tuple[str, ...]
    third_party: tuple[str, ...] = ()
    lazily: tuple[str, ...] = ()
    denied: frozenset[str] = field(default=frozenset())

    def covers(self, module: str) -> bool:
        """Whether the module is the row's own or lies below it."""
        return module == self.prefix or module.startswith(self.prefix + ".")


def _backend(name: str, *sdk: str, project: tuple[str, ...] = ()) -> Row:
    own = f"backends.{name}"
    return Row(own, ("mesh", own, *SHARED_BACKENDS, *project), ("msgspec",), sdk)


_CHECKS = "addresses affinity catalogue errors facts finding goal model reach releases subject text view".split()
_OF_LAB = ("mesh.model", "mesh.events", "mesh.errors", "mesh.text", "backends.lab")

TABLE: tuple[Row, ...] = (
    Row("mesh", ("mesh",), ("msgspec",), denied=IMPURE),
    Row("mesh.ports", ("mesh",), ("msgspec",), denied=IMPURE - {"pathlib"}),
    Row("mesh.topology", ("mesh",), ("msgspec", "networkx"), denied=IMPURE),
    Row("mesh.run", ("mesh",), ("msgspec",), denied=IMPURE - {"asyncio"}),
    Row("mesh.checks", tuple(f"mesh.{name}" for name in _CHECKS), ("msgspec",), denied=IMPURE),
    Row("backends", ("mesh",), ("msgspec",)),
    _backend("process"),
    _backend("store"),
    _backend("parts"),
    _backend("credentials", "yaml"),
    _backend("authority", "cryptography"),
    _backend("certificates", "cryptography"),
    _backend("kubeconfig", "yaml"),
    _backend("kube", "kubernetes", "aiohttp", "yaml"),
    _backend("cilium"),
    _backend("helm", "yaml"),
    _backend("aws", "boto3", "botocore"),
    _backend("azure", "azure"),
    _backend("bundle", "yaml"),
    Row("backends.gather", ("mesh", "backends"), ("msgspec",)),
    Row("backends.contexts", ("mesh", "backends"), ("msgspec",)),
    Row("backends.labs", ("mesh",), ("msgspec",), ("backends.lab",)),
    Row("backends.wiring", ("mesh", "backends"), ("msgspec",), ("backends.lab",)),
    Row("backends.lab", _OF_LAB, ("msgspec", "aiohttp", "cryptography", "moto", "botocore", "yaml")),
    Row("tui", ("mesh", "tui"), ("textual", "rich", "msgspec")),
    Row("tui.__main__", ("mesh", "tui"), ("msgspec",), ("textual", "backends.wiring")),
    Row("tui.cli", ("mesh", "tui"), ("rich", "msgspec"), ("backends.wiring",)),
    Row("tui.app", ("mesh", "tui"), ("textual", "rich", "msgspec"), ("screens",)),
    Row("screens", ("mesh", "tui", "screens"), ("textual", "msgspec"), denied=STARTING),
)


def row_of(module: str) -> Row:
    """The longest row that covers the module."""
    return max((row for row in TABLE if row.covers(module)), key=lambda row: len(row.prefix))


def objection(module: str, imported: str, *, deferred: bool, for_types: bool) -> str:
    """Why ``module`` may not import ``imported``; empty if it may."""
    if imported.startswith(module + "."):
        return ""  # a package gathers what lies in it
    row = row_of(module)
    root = imported.partition(".")[0]
    if _below(imported, row.lazily):
        return "" if deferred or for_types else "only inside functions"
    if root in sys.stdlib_module_names:
        denied = root in row.denied or imported in ("urllib.request", "urllib.error")
        return "not in this part of the house" if denied else ""
    if _below(imported, row.project + row.third_party) or (for_types and _below(imported, ("mesh",))):
        return ""
    return "not in the table of imports"


def _below(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
