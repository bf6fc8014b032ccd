"""One line of the table, and how it is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.real.conformance.server import Answer, Server

CORE = "/api/v1"
SPACE = "conformance"
NS = f"{CORE}/namespaces/{SPACE}"
APPS = f"/apis/apps/v1/namespaces/{SPACE}"
JSON = "application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Request:
    """A request and the status that both servers must answer with.

    ``how`` the bodies are compared: ``exact`` (own values such as uids excepted), ``message`` (digits in texts too),
    ``shape`` (keys and types), ``spec`` (where controllers write the status meanwhile), ``subset`` (what the lab
    offers, as the real server offers it). Refusals are compared exactly unless ``message``. ``anonymous`` sends no
    credentials but those in ``headers``. ``keep`` stores values of the answer which later lines use as ``{name}``.
    """

    title: str
    method: str
    path: str
    status: int
    body: Any = None
    type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    how: str = "exact"
    anonymous: bool = False
    keep: Mapping[str, str] = field(default_factory=dict)

    def send(self, server: Server, kept: dict[str, str]) -> Answer:
        """Send it to one server, with and into what was kept of its earlier answers."""
        headers = {"Accept": JSON, **self.headers}
        body = self.body
        if body is not None:
            headers = {"Content-Type": self.type, **headers}
            text = body if isinstance(body, str) else json.dumps(body)
            body = _filled(text, kept).encode()
        answer = server.send(self.method, _filled(self.path, kept), body, headers, anonymous=self.anonymous)
        for name, place in self.keep.items():
            kept[name] = _at(answer.body, place)
        return answer


def _filled(text: str, kept: Mapping[str, str]) -> str:
    for name, value in kept.items():
        text = text.replace("{" + name + "}", value)
    return text


def _at(body: Any, place: str) -> str:
    for part in place.split("."):
        body = body.get(part, "") if isinstance(body, dict) else ""
    return str(body)
