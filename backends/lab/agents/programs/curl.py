"""``curl`` in a pod: the name by the cluster's DNS, the back-end by the node's agent, the answer over packets."""

import ipaddress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from backends.lab.agents.datapath.routing import Spot
from backends.lab.agents.datapath.web import HttpAnswer, respond
from backends.lab.agents.programs.calls import Call, Flags, flags
from backends.lab.controllers.endpoints import SERVICE_NAME, SLICES
from backends.lab.objects import Object
from backends.lab.storage.resources import SERVICES
from backends.lab.world import ExecResult

_VALUED: Final = (
    "max-time",
    "connect-timeout",
    "output",
    "write-out",
    "request",
    "header",
    "retry",
    "user-agent",
    "data",
)
_SHORT: Final = {
    "s": "silent",
    "S": "show-error",
    "m": "max-time",
    "o": "output",
    "w": "write-out",
    "X": "request",
    "H": "header",
    "f": "fail",
    "v": "verbose",
    "k": "insecure",
    "L": "location",
    "I": "head",
    "A": "user-agent",
    "d": "data",
}
_LONG_WAIT: Final = 135.0
_DNS_WAIT: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Reached:
    """What came of one request: exit code and curl's words, or the answer; ``seconds`` of lab time it took."""

    code: int = 0
    text: str = ""
    seconds: float = 0.0
    answer: HttpAnswer | None = None


async def curl(call: Call) -> ExecResult:
    """Fetch one URL."""
    given = flags(call.argv[1:], _VALUED, _SHORT)
    if not given.words:
        return ExecResult(stderr=b"curl: try 'curl --help' or 'curl --manual' for more information\n", exit_code=2)
    url = given.words[0] if "://" in given.words[0] else f"http://{given.words[0]}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return _stopped(given, 1, f'Protocol "{parts.scheme}" not supported or disabled in libcurl')
    limit = _number(given.get("max-time"))
    reached = _request(
        call, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80), parts.path or "/", given
    )
    waited = reached.seconds if limit is None else min(reached.seconds, limit)
    await call.fleet.sleep(waited)
    if limit is not None and reached.seconds > limit:
        text = f"Connection timed out after {int(limit * 1000) + 1} milliseconds"
        return _stopped(given, 28, reached.text if reached.code == 28 and reached.seconds <= limit else text)
    if reached.answer is None:
        return _stopped(given, reached.code, reached.text)
    answer = reached.answer
    if answer.status >= 400 and given.on("fail"):
        return _stopped(given, 22, f"The requested URL returned error: {answer.status}")
    body = b"" if given.get("output") else answer.body
    if given.on("head"):
        body = f"HTTP/1.1 {answer.status} {answer.reason}\r\nServer: {answer.server}\r\n\r\n".encode()
    return ExecResult(stdout=body + _written(given, answer, reached.seconds))


def _number(text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _written(given: Flags, answer: HttpAnswer, seconds: float) -> bytes:
    form = given.get("write-out")
    for name, value in {
        "%{http_code}": f"{answer.status:03d}",
        "%{response_code}": f"{answer.status:03d}",
        "%{time_total}": f"{seconds:.6f}",
        "%{remote_ip}": answer.address,
        "\\n": "\n",
    }.items():
        form = form.replace(name, value)
    return form.encode()


def _stopped(given: Flags, code: int, text: str) -> ExecResult:
    quiet = given.on("silent") and not given.on("show-error")
    tail = given.get("write-out").replace("%{http_code}", "000").replace("\\n", "\n")
    return ExecResult(
        stdout=tail.encode(), stderr=b"" if quiet else f"curl: ({code}) {text}\n".encode(), exit_code=code
    )


def _request(call: Call, host: str, port: int, path: str, given: Flags) -> _Reached:
    store = call.fleet.simulation.clusters[call.cluster].cluster.objects
    service: Object | None = None
    try:
        address = str(ipaddress.IPv4Address(host))
        service = next((s for s in store.view(SERVICES) if s["spec"].get("clusterIP") == address), None)
    except ValueError:
        if not _dns_works(call):
            return _Reached(6, f"Could not resolve host: {host}", _DNS_WAIT)
        service = _service(call, host)
        if service is None:
            return _Reached(6, f"Could not resolve host: {host}", 0.02)
        address = str(service["spec"].get("clusterIP", ""))
    if service is None:
        return _fetch(call, host, address, port, path, given)
    if address == "None":
        return _headless(call, host, service, port, path, given)
    offered = next((item for item in service["spec"].get("ports") or () if item["port"] == port), None)
    backend = _backend(call, service, offered) if offered else None
    if backend is None:
        return _Reached(7, f"Failed to connect to {host} port {port} after 1 ms: Couldn't connect to server", 0.001)
    return _fetch(call, host, backend[0], backend[1], path, given, shown=port)


def _dns_works(call: Call) -> bool:
    """Whether the cluster's DNS Service has a ready back-end that the pod reaches."""
    one = call.fleet.simulation.clusters[call.cluster]
    store = one.cluster.objects
    dns = store.stored(SERVICES, "kube-system", "kube-dns")
    if dns is None or (not one.ground.host(call.runtime.node).reaches_services() and not _managed(call)):
        return False
    port = next((item for item in dns["spec"]["ports"] if item.get("protocol") == "UDP"), None)
    if port is None:
        return False
    found = call.fleet.services.candidates(call.cluster, call.runtime.node, dns, port)
    here = Spot(call.cluster, call.runtime.node, call.runtime.ip)
    return any(call.fleet.datapath.converse(here, one.address, one.port).runtime for one in found.local)


def _managed(call: Call) -> bool:
    return call.fleet.datapath.settings(call.cluster, call.runtime.node) is not None


def _service(call: Call, host: str) -> Object | None:
    """The Service of a name as the pod's search list completes it."""
    name = host.rstrip(".").removesuffix(".cluster.local").removesuffix(".svc")
    parts = name.split(".")
    namespace = call.runtime.namespace if len(parts) == 1 else parts[1]
    if len(parts) > 2:
        return None
    store = call.fleet.simulation.clusters[call.cluster].cluster.objects
    return store.stored(SERVICES, namespace, parts[0])


def _backend(call: Call, service: Object, port: dict[str, Any]) -> tuple[str, int] | None:
    found = call.fleet.services.candidates(call.cluster, call.runtime.node, service, port)
    chosen = call.fleet.services.chosen(found)
    if not chosen:
        return None
    one = call.fleet.rng.choice(chosen)
    return one.address, one.port


def _headless(call: Call, host: str, service: Object, port: int, path: str, given: Flags) -> _Reached:
    store = call.fleet.simulation.clusters[call.cluster].cluster.objects
    meta = service["metadata"]
    addresses = [
        address
        for one in store.view(SLICES, meta["namespace"])
        if (one["metadata"].get("labels") or {}).get(SERVICE_NAME) == meta["name"]
        for endpoint in one.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint["addresses"]
    ]
    if not addresses:
        return _Reached(6, f"Could not resolve host: {host}", 0.02)
    return _fetch(call, host, call.fleet.rng.choice(sorted(addresses)), port, path, given)


def _fetch(call: Call, host: str, address: str, port: int, path: str, given: Flags, shown: int = 0) -> _Reached:
    """Connect to a pod address and ask it."""
    here = Spot(call.cluster, call.runtime.node, call.runtime.ip)
    carried = call.fleet.datapath.converse(here, address, port)
    shown = shown or port
    if carried.runtime is None or carried.spot is None:
        limit = _number(given.get("connect-timeout"))
        if limit is not None:
            text = f"Failed to connect to {host} port {shown} after {int(limit * 1000) + 1} ms: Timeout was reached"
            return _Reached(28, text, limit)
        text = f"Failed to connect to {host} port {shown} after {int(_LONG_WAIT * 1000)} ms: Couldn't connect to server"
        return _Reached(28, text, _LONG_WAIT)
    seconds = call.fleet.round_trip(call.cluster, carried.spot.cluster)
    answer = respond(call.fleet, carried.spot.cluster, carried.runtime, address, port, path)
    if answer is None:
        milliseconds = max(1, int(seconds * 1000))
        text = f"Failed to connect to {host} port {shown} after {milliseconds} ms: Couldn't connect to server"
        return _Reached(7, text, seconds)
    if call.fleet.datapath.swallows(carried.spot, here, len(answer.body)):
        # From 1.20 on pods probe the path after a while (packet-layer path MTU discovery) and the answer comes late.
        late = call.fleet.rng.uniform(11.5, 11.8) if _probes_paths(call) else _LONG_WAIT
        text = f"Operation timed out after {int(_LONG_WAIT * 1000)} milliseconds with 0 bytes received"
        return _Reached(0, "", late, answer) if late < _LONG_WAIT else _Reached(28, text, late)
    return _Reached(0, "", seconds * 2, answer)


def _probes_paths(call: Call) -> bool:
    reader = call.fleet.readers.on_node(call.cluster, call.runtime.node)
    return reader is not None and reader.minor >= 20
