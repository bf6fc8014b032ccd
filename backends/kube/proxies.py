"""Through which proxy an API server is reached: ``proxy-url``, else the environment by the rules of Go's net/http."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from mesh.facts import Reason
from mesh.reading import NotRead
from mesh.text import clean

_PORTS: Final = {"http": 80, "https": 443}


def proxy_for(server: str, proxy_url: str, environment: Mapping[str, str]) -> str:
    """URL of the proxy for a server, "" = none. Raises ``NotRead`` for a proxy that cannot be used.

    Source: golang.org/x/net/http/httpproxy, client-go ``rest.Config.Proxy``.
    """
    if proxy_url:
        return _usable(proxy_url)
    parts = urlsplit(server)
    host, port = (parts.hostname or "").lower().rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    name = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    text = environment.get(name) or environment.get(name.lower()) or ""
    # In a CGI program HTTP_PROXY can be a request's header.
    if not text or (name == "HTTP_PROXY" and "REQUEST_METHOD" in environment):
        return ""
    if _direct(host, port, environment.get("NO_PROXY") or environment.get("no_proxy") or ""):
        return ""
    return _usable(text if "://" in text else f"http://{text}")


def _usable(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise NotRead(Reason.INVALID, f"the proxy {clean(text, 100)} is no URL", "Correct proxy-url or HTTPS_PROXY.")
    if parts.scheme not in ("http", "https"):
        raise NotRead(
            Reason.UNSUPPORTED,
            f"a {clean(parts.scheme, 20)} proxy cannot be used",
            "Use an http or https proxy, or kubectl proxy in front of it.",
        )
    return text


def _direct(host: str, port: int, no_proxy: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_matches(entry.strip().lower(), host, port, address) for entry in no_proxy.split(","))


def _matches(entry: str, host: str, port: int, address: object) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return address is not None and address in ip_network(entry, strict=False)
        except (ValueError, TypeError):
            return False
    name, wanted_port = _split_port(entry)
    if not name or wanted_port not in ("", str(port)):
        return False
    try:
        return address == ip_address(name)
    except ValueError:
        pass
    if name.startswith("*."):
        name = name[1:]
    return host.endswith(name) if name.startswith(".") else host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""
