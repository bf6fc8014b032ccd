"""Commands in pods: the ``exec`` subresource over a WebSocket (``v5.channel.k8s.io``), standard library only."""

import base64
import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Final
from urllib.parse import urlencode

from backends.lab.commands.kube.http import HttpPort
from backends.lab.commands.kube.port import ApiFailure, Unreachable

_STDOUT: Final = 1
_STDERR: Final = 2
_STATUS: Final = 3
_CLOSE: Final = 8
_PING: Final = 9


@dataclass(frozen=True, slots=True)
class Executed:
    """What a command said; ``failure`` is empty when it ended with 0."""

    stdout: bytes
    stderr: bytes
    failure: str


def execute(port: HttpPort, namespace: str, pod: str, container: str, argv: Sequence[str]) -> Executed:
    """Run a command in a container. Raises ``ApiFailure`` where it does not start, ``Unreachable``."""
    pairs = [("container", container), *(("command", word) for word in argv), ("stdout", "true"), ("stderr", "true")]
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(pairs)}"
    connection, headers = port.connect()
    try:
        connection.request("GET", path, headers={**headers, **_upgrade()})
        answer = connection.getresponse()
        if answer.status != 101:
            raise _refused(answer)
        return _collected(answer)
    except (OSError, HTTPException, struct.error) as error:
        raise Unreachable(f"error dialing backend: {error}") from error
    finally:
        connection.close()


def _upgrade() -> dict[str, str]:
    return {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
    }


def _refused(answer: HTTPResponse) -> ApiFailure:
    try:
        body = json.loads(answer.read())
        return ApiFailure(answer.status, str(body.get("reason", "")), str(body.get("message", "")))
    except (ValueError, AttributeError):
        return ApiFailure(answer.status, "", f"unable to upgrade connection: {answer.status} {answer.reason}")


def _collected(answer: HTTPResponse) -> Executed:
    channels = {_STDOUT: b"", _STDERR: b"", _STATUS: b""}
    for message in _messages(answer):
        if message and message[0] in channels:
            channels[message[0]] += message[1:]
    return Executed(channels[_STDOUT], channels[_STDERR], _failure(channels[_STATUS]))


def _messages(answer: HTTPResponse) -> Iterator[bytes]:
    """Whole messages until the server closes; a server does not mask them (RFC 6455 §5.1)."""
    whole = b""
    while True:
        head = answer.fp.read(2)
        if len(head) < 2:
            return
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack(">H", answer.fp.read(2))
        elif length == 127:
            (length,) = struct.unpack(">Q", answer.fp.read(8))
        payload = answer.fp.read(length)
        kind = head[0] & 0x0F
        if kind == _CLOSE:
            return
        if kind >= _PING:
            continue
        whole += payload
        if head[0] & 0x80:
            yield whole
            whole = b""


def _failure(status: bytes) -> str:
    try:
        body = json.loads(status or b"{}")
    except ValueError:
        return status.decode(errors="replace")
    if body.get("status") == "Success":
        return ""
    for cause in (body.get("details") or {}).get("causes") or []:
        if cause.get("reason") == "ExitCode":
            return f"command terminated with exit code {cause.get('message')}"
    return str(body.get("message") or "the connection was closed before the command ended")
