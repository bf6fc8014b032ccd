"""The lab's own control: an HTTP API on loopback behind a token, and its client.

What can be set are states of the world (a server is down, a login has ended, a fault is in), never expected findings.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from aiohttp import web

from backends.lab import registry
from backends.lab.objects import timestamp
from backends.lab.storage.resources import NODES, PODS
from backends.lab.world import LabCluster, World
from mesh.errors import Exit, Undetermined

URL_VARIABLE: Final = "MESHWRIGHT_LAB_CONTROL"
TOKEN_VARIABLE: Final = "MESHWRIGHT_LAB_TOKEN_FILE"


class ControlError(Undetermined):
    """The lab could not be asked, or its answer was not understood: one sentence."""


class ControlRefused(ControlError):
    """The lab does not take what was asked: one sentence, and what there is instead where a name was wrong."""

    exit_code = Exit.USAGE


def state(world: World) -> dict[str, Any]:
    """What is so in the world: clock, faults, clusters, logins."""
    logins = world.logins
    return {
        "scenario": world.scenario,
        "seed": world.seed,
        "clock": {"now": timestamp(world.clock.now()), "speed": world.clock.speed, "paused": world.clock.paused},
        "faults": sorted(world.faults),
        "clusters": [_cluster(cluster) for cluster in world.clusters.values()],
        "logins": {name: _valid(logins, name) for name in logins.names()} if logins is not None else {},
    }


def _valid(logins: Any, name: str) -> bool:
    login = logins.azure() if name == "azure" else logins.aws(name.removeprefix("aws-"))
    return bool(login["valid"])


def _cluster(cluster: LabCluster) -> dict[str, Any]:
    conditions = cluster.conditions
    api: dict[str, Any] = {"mode": conditions.mode, "latency": conditions.latency, "exec_cut": conditions.exec_cut}
    if conditions.mode == "status":
        api |= {"status": conditions.status, "retry_after": conditions.retry_after}
    return {
        "name": cluster.name,
        "provider": cluster.provider,
        "cloud_name": cluster.cloud_name,
        "region": cluster.region,
        "account": cluster.account,
        "version": cluster.version,
        "server": cluster.server_url,
        "api": api,
        "nodes": sum(1 for _ in cluster.objects.view(NODES)),
        "pods": sum(1 for _ in cluster.objects.view(PODS)),
    }


class ControlServer:
    """Serves the control API of a world; ``on_stop`` is called when a client asks the lab to end."""

    def __init__(self, world: World, on_stop: Callable[[], None]) -> None:
        self._world = world
        self._on_stop = on_stop
        self.token = secrets.token_urlsafe(24)
        self.url = ""
        self._runner: web.ServerRunner | None = None

    async def start(self) -> None:
        """Listen on a free port of loopback."""
        self._runner = web.ServerRunner(web.Server(self._serve, access_log=None))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _serve(self, request: web.BaseRequest) -> web.Response:
        given = request.headers.get("Authorization", "")
        if not secrets.compare_digest(given.encode(), f"Bearer {self.token}".encode()):
            return _answer({"error": "the token is missing or wrong"}, 401)
        action = _ACTIONS.get((request.method, request.path))
        if action is None:
            return _answer({"error": f"no such action: {request.method} {request.path}"}, 404)
        try:
            body = msgspec.json.decode(await request.read() or b"{}", type=dict[str, Any])
            return _answer(await action(self, body))
        except (ControlError, ValueError, KeyError, msgspec.DecodeError) as problem:
            text = str(problem.args[0]) if problem.args else "the request is not complete"
            return _answer({"error": f"missing: {text}" if isinstance(problem, KeyError) else text}, 400)

    async def _state(self, body: Mapping[str, Any]) -> Any:
        return state(self._world)

    async def _scenarios(self, body: Mapping[str, Any]) -> Any:
        return registry.listed_scenarios()

    async def _faults(self, body: Mapping[str, Any]) -> Any:
        return registry.listed_faults(self._world.faults)

    async def _inject(self, body: Mapping[str, Any]) -> Any:
        where = {key: value for key, value in body.items() if key != "fault"}
        await registry.inject(self._world, str(body["fault"]), where)
        return state(self._world)

    async def _clear(self, body: Mapping[str, Any]) -> Any:
        named = body.get("fault")
        for name in [str(named)] if named else sorted(self._world.faults):
            await registry.clear(self._world, name)
        return state(self._world)

    async def _clock(self, body: Mapping[str, Any]) -> Any:
        clock = self._world.clock
        if "speed" in body:
            clock.speed = float(body["speed"])
        if "paused" in body:
            if body["paused"]:
                clock.pause()
            else:
                clock.resume()
        if "jump" in body:
            clock.jump(float(body["jump"]))
        return state(self._world)["clock"]

    async def _api(self, body: Mapping[str, Any]) -> Any:
        cluster = self._cluster(str(body["cluster"]))
        conditions = cluster.conditions
        conditions.latency = float(body.get("latency", 0.0))
        cut = body.get("exec_cut")
        conditions.exec_cut = None if cut is None else int(cut)
        conditions.set(
            body.get("mode", "serving"),
            status=int(body.get("status", 503)),
            message=str(body.get("message", "")),
            retry_after=body.get("retry_after"),
        )
        await asyncio.sleep(0)
        return _cluster(cluster)

    async def _compact(self, body: Mapping[str, Any]) -> Any:
        cluster = self._cluster(str(body["cluster"]))
        cluster.objects.compact()
        cluster.snapshots.forget()
        return {"oldest": cluster.objects.resource_version}

    async def _login(self, body: Mapping[str, Any]) -> Any:
        logins = self._world.logins
        name = str(body["login"])
        if logins is None or name not in logins.names():
            raise ControlError(f"no such login: {name}")
        logins.set_valid(name, bool(body["valid"]))
        return state(self._world)["logins"]

    async def _resolve(self, body: Mapping[str, Any]) -> Any:
        network = self._world.network
        return {"addresses": list(network.resolve(str(body["hostname"]))) if network is not None else []}

    async def _stop(self, body: Mapping[str, Any]) -> Any:
        asyncio.get_running_loop().call_soon(self._on_stop)
        return {}

    def _cluster(self, name: str) -> LabCluster:
        cluster = self._world.clusters.get(name)
        if cluster is None:
            raise ControlError(f"no cluster {name}; there are: {', '.join(self._world.clusters)}")
        return cluster


_ACTIONS: Final[Mapping[tuple[str, str], Callable[[ControlServer, Mapping[str, Any]], Awaitable[Any]]]] = {
    ("GET", "/state"): ControlServer._state,
    ("GET", "/scenarios"): ControlServer._scenarios,
    ("GET", "/faults"): ControlServer._faults,
    ("POST", "/inject"): ControlServer._inject,
    ("POST", "/clear"): ControlServer._clear,
    ("POST", "/clock"): ControlServer._clock,
    ("POST", "/api"): ControlServer._api,
    ("POST", "/compact"): ControlServer._compact,
    ("POST", "/login"): ControlServer._login,
    ("POST", "/resolve"): ControlServer._resolve,
    ("POST", "/stop"): ControlServer._stop,
}


def _answer(body: Any, code: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=code, content_type="application/json")


class LabControl:
    """Speaks to a running lab. Every method raises ``ControlError`` where the lab refuses or is gone."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    def __repr__(self) -> str:
        return f"LabControl({self._url})"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "LabControl":
        """The lab whose variables are set. Raises ``ControlError`` where none is, or its token cannot be read."""
        url, path = environment.get(URL_VARIABLE, ""), environment.get(TOKEN_VARIABLE, "")
        if not url or not path:
            raise ControlError("no lab here: start one with `meshwright lab up` and set the variables it prints")
        try:
            return cls(url, Path(path).read_text("utf-8").strip())
        except OSError as problem:
            raise _ended(f"its token cannot be read: {problem.strerror}: {path}") from problem

    async def state(self) -> dict[str, Any]:
        """The true state of the world."""
        return _mapping(await self._call("GET", "/state"))

    async def scenarios(self) -> list[dict[str, str]]:
        """What can be started: name, title, minutes, group."""
        return list(await self._call("GET", "/scenarios"))

    async def faults(self) -> list[dict[str, Any]]:
        """What can be injected: name, title, layer, active."""
        return list(await self._call("GET", "/faults"))

    async def inject(self, fault: str, **where: str) -> dict[str, Any]:
        """Put a fault into the world; ``where`` narrows it as the fault allows. Returns the state."""
        return _mapping(await self._call("POST", "/inject", {"fault": fault, **where}))

    async def clear(self, fault: str | None = None) -> dict[str, Any]:
        """Take one fault, or all, out of the world. Returns the state."""
        return _mapping(await self._call("POST", "/clear", {"fault": fault} if fault else {}))

    async def speed(self, factor: float) -> None:
        """Let lab time run ``factor`` times as fast as real time."""
        await self._call("POST", "/clock", {"speed": factor})

    async def pause(self, paused: bool = True) -> None:
        """Hold lab time, or let it go on."""
        await self._call("POST", "/clock", {"paused": paused})

    async def jump(self, seconds: float) -> None:
        """Move lab time on."""
        await self._call("POST", "/clock", {"jump": seconds})

    async def api(self, cluster: str, mode: str = "serving", **settings: Any) -> None:
        """How a cluster's API server answers: see ``api.conditions.Conditions`` for modes and settings."""
        await self._call("POST", "/api", {"cluster": cluster, "mode": mode, **settings})

    async def compact(self, cluster: str) -> None:
        """Forget a cluster's history: older watches and list chunks get 410."""
        await self._call("POST", "/compact", {"cluster": cluster})

    async def login(self, login: str, *, valid: bool) -> None:
        """End or renew a login, named as in ``state``."""
        await self._call("POST", "/login", {"login": login, "valid": valid})

    async def stop(self) -> None:
        """Ask the lab to end."""
        await self._call("POST", "/stop")

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with (
                aiohttp.ClientSession(headers=self._headers, timeout=timeout) as session,
                session.request(method, self._url + path, data=msgspec.json.encode(body or {})) as response,
            ):
                answer = msgspec.json.decode(await response.read())
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as problem:
            raise _ended(f"nothing that is a lab answers at {self._url}") from problem
        if response.status != 200:
            kind = ControlRefused if response.status // 100 == 4 else ControlError
            raise kind(str(answer.get("error", f"the lab answered {response.status}")))
        return answer


def _ended(why: str) -> ControlError:
    """The variables of a shell outlive the lab that printed them."""
    return ControlError(
        "the lab that this shell's variables name has ended",
        why,
        "Start one with meshwright lab up and set the variables it prints.",
    )


def _mapping(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ControlError("the lab's answer is not understood: is it of another version?")
    return answer
