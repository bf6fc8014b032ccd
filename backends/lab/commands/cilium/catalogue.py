"""The commands of ``cilium``, their flags, and how they fail."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backends.lab.charts.context import ChartError
from backends.lab.charts.version import NEWEST, UnknownVersion
from backends.lab.commands.cilium import changing, status
from backends.lab.commands.cilium.client import Client, Fatal
from backends.lab.commands.cilium.mesh_status import MeshStatus
from backends.lab.commands.flags import BadCommandLine, Flag, Parsed, first_word, parse
from backends.lab.commands.kube.kinds import UnknownKind
from backends.lab.commands.kube.port import ApiFailure, Unreachable
from backends.lab.commands.releases.errors import NotFound, ReleaseError
from backends.lab.commands.running import running

VERSION: Final = "v0.19.7"
GLOBAL: Final = (
    Flag("context", "string"),
    Flag("kubeconfig", "string"),
    Flag("namespace", "string", "n", "kube-system"),
    Flag("helm-release-name", "string", default="cilium"),
    Flag("help", "bool", "h"),
)
_OUTPUT: Final = Flag("output", "string", "o", "summary")
_WAIT: Final = Flag("wait")
_CONTEXTS: Final = Flag("destination-context", "csv")
_MODE: Final = Flag("connection-mode", "string", default=changing.BIDIRECTIONAL)
_FAILURES: Final = (ApiFailure, ChartError, Fatal, ReleaseError, UnknownKind, UnknownVersion, Unreachable)


@dataclass(frozen=True, slots=True)
class Command:
    """``failure`` starts the text of what goes wrong."""

    run: Callable[[Client, Parsed], None]
    flags: tuple[Flag, ...] = ()
    failure: str = ""


def _version(client: Client, parsed: Parsed) -> None:
    print(f"cilium-cli: {VERSION} compiled with go1.26.8 on linux/amd64")
    print(f"cilium image (default): v{NEWEST}\ncilium image (stable): v{NEWEST}")
    if parsed["client"]:
        return
    try:
        print(f"cilium image (running): {client.last_release().app_version}")
    except (NotFound, ApiFailure, Unreachable) as error:
        print(f"cilium image (running): unknown. Unable to obtain cilium version. Reason: {error}")


def _status(client: Client, parsed: Parsed) -> None:
    status.run(
        client,
        parsed["output"],
        wait=parsed["wait"],
        seconds=parsed["wait-duration"],
        ignore_warnings=parsed["ignore-warnings"],
    )


def _mesh_status(client: Client, parsed: Parsed) -> None:
    MeshStatus(client, parsed["output"], wait=parsed["wait"], seconds=parsed["wait-duration"]).run()


def _enable(client: Client, parsed: Parsed) -> None:
    given = "enable-kvstoremesh" in parsed.given
    changing.enable(client, parsed["service-type"], parsed["enable-kvstoremesh"] if given else None)


def _disable(client: Client, parsed: Parsed) -> None:
    del parsed
    changing.disable(client)


def _connect(client: Client, parsed: Parsed) -> None:
    changing.connect(
        client,
        changing.remote_clients(client, parsed["destination-context"]),
        parsed["connection-mode"],
        (parsed["source-endpoint"], parsed["destination-endpoint"]),
        allow_other_ca=parsed["allow-mismatching-ca"],
    )


def _disconnect(client: Client, parsed: Parsed) -> None:
    remotes = changing.remote_clients(client, parsed["destination-context"])
    changing.disconnect(client, remotes, parsed["connection-mode"])


_CONNECT_FLAGS: Final = (
    _CONTEXTS,
    _MODE,
    Flag("destination-endpoint", "csv"),
    Flag("source-endpoint", "csv"),
    Flag("parallel", "int", default=1),
    Flag("allow-mismatching-ca"),
)
COMMANDS: Final[Mapping[tuple[str, ...], Command]] = {
    ("version",): Command(_version, (Flag("client"),)),
    ("status",): Command(
        _status,
        (
            _OUTPUT,
            _WAIT,
            Flag("wait-duration", "duration", default=300.0),
            Flag("ignore-warnings"),
            Flag("interactive", "bool", default=True),
            Flag("worker-count", "int", default=5),
            Flag("verbose"),
        ),
    ),
    ("clustermesh", "status"): Command(
        _mesh_status,
        (_OUTPUT, _WAIT, Flag("wait-duration", "duration", default=900.0)),
        "Unable to determine status:  ",
    ),
    ("clustermesh", "enable"): Command(
        _enable,
        (Flag("service-type", "string"), Flag("enable-kvstoremesh"), Flag("enable-external-workloads")),
        "Unable to enable ClusterMesh: ",
    ),
    ("clustermesh", "disable"): Command(_disable, (), "Unable to disable ClusterMesh: "),
    ("clustermesh", "connect"): Command(_connect, _CONNECT_FLAGS, "Unable to connect cluster: "),
    ("clustermesh", "disconnect"): Command(_disconnect, (_CONTEXTS, _MODE), "Unable to disconnect clusters: "),
}
_GROUPS: Final = {path[0] for path in COMMANDS if len(path) > 1}


def main(line: Sequence[str]) -> int:
    """Run a command line; the exit code is 0 or 1."""
    return running(lambda: _main(list(line)))


def _main(line: list[str]) -> int:
    try:
        return _run(line)
    except BadCommandLine as error:
        return _fail(str(error))


def _run(line: list[str]) -> int:
    path, rest = _path(line)
    command = COMMANDS.get(path)
    if command is None:
        names = [" ".join(known) for known in COMMANDS if known[: len(path)] == path]
        print("Usage:\n  cilium [command]\n\nAvailable Commands:\n" + "\n".join(f"  {name}" for name in names))
        return 0
    parsed = parse((*command.flags, *GLOBAL), rest)
    if parsed["help"]:
        flags = sorted((*command.flags, *GLOBAL), key=lambda flag: flag.name)
        print(f"Usage:\n  cilium {' '.join(path)} [flags]\n\nFlags:")
        print("\n".join(f"  {flag.title}" for flag in flags))
        return 0
    try:
        client = Client.of(parsed["kubeconfig"], parsed["context"], parsed["namespace"], parsed["helm-release-name"])
    except Unreachable as error:
        return _fail(f"unable to create Kubernetes client: {error}")
    try:
        command.run(client, parsed)
    except _FAILURES as error:
        return _fail(f"{command.failure}{error}")
    return 0


def _path(line: list[str]) -> tuple[tuple[str, ...], list[str]]:
    path: tuple[str, ...] = ()
    while path not in COMMANDS:
        index = first_word(GLOBAL, line)
        if index is None:
            return path, line
        word = line.pop(index)
        if (*path, word) not in COMMANDS and (path or word not in _GROUPS):
            name = " ".join(("cilium", *path))
            raise BadCommandLine(f'unknown command "{word}" for "{name}"')
        path = (*path, word)
    return path, line


def _fail(text: str) -> int:
    sys.stdout.flush()
    print(f"\nError: {text}", file=sys.stderr)
    return 1
