"""HTTP servers in pods: what their image, arguments and mounted files make them answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backends.lab.controllers.kubelet.images import split
from backends.lab.controllers.kubelet.runtime import PodRuntime

if TYPE_CHECKING:
    from backends.lab.agents.fleet import Fleet

_WELCOME = b"<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n</html>\n"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """Status, body, the ``Server`` header and the address that answered."""

    status: int
    reason: str
    body: bytes
    server: str
    address: str


def _listening(runtime: PodRuntime, port: int) -> Mapping[str, Any] | None:
    """The container that listens on a port: the one that declares it, else the only one with a usual web server."""
    containers = list(runtime.spec.get("containers") or ())
    for container in containers:
        if any(item.get("containerPort") == port for item in container.get("ports") or ()):
            return dict(container)
    plain = [one for one in containers if not one.get("ports") and not one.get("command")]
    return dict(plain[0]) if len(containers) == 1 and plain and port == 80 else None


def respond(fleet: "Fleet", cluster: str, runtime: PodRuntime, address: str, port: int, path: str) -> HttpAnswer | None:
    """The answer of a pod to GET ``path``, or None where nothing listens on the port."""
    container = _listening(runtime, port)
    if container is None or container["name"] not in runtime.processes:
        return None
    image = split(str(container.get("image", "")))[0].rpartition("/")[2]
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if image == "http-echo":
        text = next((word.partition("=")[2] for word in words if word.lstrip("-").startswith("text=")), "hello-world")
        return HttpAnswer(200, "OK", f"{text}\n".encode(), "http-echo", address)
    if image == "agnhost":
        return _agnhost(runtime, address, path)
    if "nginx" in image or "httpd" in image:
        return _files(runtime, container, address, path)
    name = _cluster_name(fleet, cluster)
    body = {"cluster": name, "namespace": runtime.namespace, "node": runtime.node, "pod": runtime.name}
    return HttpAnswer(200, "OK", json.dumps(body).encode() + b"\n", "echo", address)


def _cluster_name(fleet: "Fleet", cluster: str) -> str:
    """The mesh name of a cluster, else its context."""
    reader = next((one for one in fleet.readers.agents() if one.caller.cluster == cluster), None)
    return reader.name if reader is not None else cluster


def _agnhost(runtime: PodRuntime, address: str, path: str) -> HttpAnswer:
    if path.startswith(("/hostname", "/hostName")) or path == "/":
        return HttpAnswer(200, "OK", runtime.name.encode(), "agnhost", address)
    return HttpAnswer(404, "Not Found", b"404 page not found\n", "agnhost", address)


def _files(runtime: PodRuntime, container: Mapping[str, Any], address: str, path: str) -> HttpAnswer:
    """A static file server: the mounted folder of its image, else its welcome page."""
    roots = ("/usr/share/nginx/html", "/usr/local/apache2/htdocs")
    plain = path.partition("?")[0]
    for root in roots:
        mounted = any(str(m["mountPath"]).rstrip("/") == root for m in container.get("volumeMounts") or ())
        if mounted:
            name = f"{root}{plain}index.html" if plain.endswith("/") else f"{root}{plain}"
            body = runtime.read(str(container["name"]), name)
            if body is not None:
                return HttpAnswer(200, "OK", body, "nginx/1.27.2", address)
            return HttpAnswer(
                404, "Not Found", b"<html><head><title>404 Not Found</title></head></html>\n", "nginx/1.27.2", address
            )
    if plain in ("/", "/index.html"):
        return HttpAnswer(200, "OK", _WELCOME, "nginx/1.27.2", address)
    return HttpAnswer(
        404, "Not Found", b"<html><head><title>404 Not Found</title></head></html>\n", "nginx/1.27.2", address
    )
