"""``cilium-dbg`` (``cilium`` in the image), ``cilium-health`` and ``clustermesh-apiserver kvstoremesh-dbg``."""

import ipaddress
import json
from typing import Any

from backends.lab.agents.answers import health as health_answers
from backends.lab.agents.answers import status as status_answers
from backends.lab.agents.answers import troubleshoot
from backends.lab.agents.answers.clusters import remote_cluster, text_lines
from backends.lab.agents.answers.machine import Machine, build
from backends.lab.agents.mesh.entries import FOLDER, Entry, entries
from backends.lab.agents.mesh.links import Link
from backends.lab.agents.mesh.processes import AGENT, CACHE, Reader
from backends.lab.agents.programs.calls import Call, Flags, failed, flags, said
from backends.lab.controllers import reading
from backends.lab.controllers.cilium.kinds import GROUP
from backends.lab.controllers.cilium.release import text_of
from backends.lab.storage.resources import PODS
from backends.lab.world import ExecResult

_SOCKET = "dial unix /var/run/cilium/{0}.sock: connect: no such file or directory\nIs the agent running?\n"
_VALUED = ("output", "timeout", "host", "clustermesh-config")
_SHORT = {"o": "output", "H": "host", "h": "help"}


def _json(body: Any) -> ExecResult:
    return said(json.dumps(body, indent=2, ensure_ascii=False) + "\n")


def machine_of(call: Call, now: float) -> Machine:
    """The agent's node as status describes it."""
    one = call.fleet.simulation.clusters[call.cluster]
    store, node = one.cluster.objects, call.runtime.node
    nodes = store.resources.get((GROUP, "ciliumnodes"))
    own = store.stored(nodes, None, node) if nodes else None
    spec = (own or {}).get("spec", {})
    cidrs = tuple((spec.get("ipam") or {}).get("podCIDRs") or ())
    router = next((e["ip"] for e in spec.get("addresses") or () if e["type"] == "CiliumInternalIP"), "")
    pods = []
    for pod in store.view(PODS):
        address = reading.pod_ip(pod)
        on_node = reading.node_of(pod) == node and not reading.host_network(pod) and not reading.finished(pod)
        if on_node and address and any(ipaddress.ip_address(address) in ipaddress.ip_network(c) for c in cidrs):
            meta = pod["metadata"]
            number = int(reading.share(f"endpoint/{meta['uid']}", 1, 4095))
            pods.append((address, f"{meta['namespace']}/{meta['name']}", number))
    return Machine(
        runtime=call.runtime,
        node_address=call.fleet.datapath.node_address(call.cluster, node),
        kubernetes=one.cluster.version,
        pod_cidrs=cidrs,
        router=router,
        health=(spec.get("health") or {}).get("ipv4", ""),
        pods=tuple(pods),
        now=now,
    )


def _links(reader: Reader | None) -> list[Link] | None:
    """Links in order of names; None where the cluster is in no mesh."""
    if reader is None or not reader.number:
        return None
    return [reader.links[name] for name in sorted(reader.links)]


async def cilium_dbg(call: Call) -> ExecResult:
    """``cilium-dbg …``."""
    given = flags(call.argv[1:], _VALUED, _SHORT)
    command = given.words[0] if given.words else ""
    match command:
        case "version":
            version = text_of(call.runtime.processes[AGENT].image)
            line = build(machine_of(call, call.fleet.now())).partition(" (v")[2].rstrip(")")
            text = f"{version} {line.partition('-')[2]} 2024-09-25T12:00:00+00:00 go version go1.22.7 linux/amd64"
            return said(f"Client: {text}\nDaemon: {text}\n")
        case "status":
            return await _status(call, given)
        case "troubleshoot":
            return await _troubleshoot(call, given)
        case "config":
            return _config(call, given)
    unknown = f'Error: unknown command "{command}" for "cilium-dbg"\nRun \'cilium-dbg --help\' for usage.\n'
    return failed(unknown)


async def _status(call: Call, given: Flags) -> ExecResult:
    now = call.fleet.now()
    reader = call.fleet.readers.of(call.cluster, call.runtime)
    if not call.fleet.answers(call.cluster, call.runtime):
        why = 'Get "http://localhost/v1/healthz": ' + _SOCKET.format("cilium")
        return failed(f"Cannot get status: {why}")
    machine, links = machine_of(call, now), _links(reader)
    if given.get("output") == "json":
        return _json(status_answers.status_json(machine, links))
    if given.on("brief"):
        return said("OK\n")
    nodes = call.fleet.health.view(reader, now) if reader is not None else []
    interval = health_answers.go_duration(call.fleet.health.interval(reader)) if reader is not None else "1m0s"
    times = [probed.at for node in nodes for probed in (node.host, node.endpoint) if probed is not None]
    when = health_answers.seconds_stamp(max(times, default=0.0) or now)
    everything = given.on("all-clusters", "verbose")
    return said(status_answers.status_text(machine, links, nodes, when, interval, everything))


def _config(call: Call, given: Flags) -> ExecResult:
    settings = call.runtime.processes[AGENT].settings
    if given.on("all", "a") or len(given.words) == 1:
        return said("".join(f"{key:<32}: {value}\n" for key, value in sorted(settings.items())))
    return failed("Error: cannot change settings\n")


async def _troubleshoot(call: Call, given: Flags) -> ExecResult:
    reader = call.fleet.readers.of(call.cluster, call.runtime)
    if reader is None or reader.minor < troubleshoot.NO_COMMAND_BEFORE:
        name = "cilium-dbg" if call.container == AGENT else "kvstoremesh-dbg"
        return failed(f'Error: unknown command "troubleshoot" for "{name}"\nRun \'{name} --help\' for usage.\n')
    wanted = given.words[2:]
    if call.container == AGENT and (len(given.words) < 2 or given.words[1] != "clustermesh"):
        return failed("Error: a subcommand is needed: clustermesh, kvstore\n")
    found: dict[str, Entry] = entries(call.runtime, call.container, reader.name)
    chosen = [entry for name, entry in found.items() if not wanted or name in wanted]
    assert call.fleet.readers.dialer is not None
    text, hung = troubleshoot.report(call.fleet.readers.dialer, reader.caller, chosen, FOLDER, call.fleet.now())
    await call.fleet.sleep(hung)
    return said(text)


async def kvstoremesh_dbg(call: Call) -> ExecResult:
    """``clustermesh-apiserver kvstoremesh-dbg …``; other subcommands would start servers and are refused."""
    given = flags(call.argv[2:], _VALUED, _SHORT)
    command = given.words[0] if given.words else ""
    if len(call.argv) < 2 or call.argv[1] != "kvstoremesh-dbg" or call.container != CACHE:
        word = call.argv[1] if len(call.argv) > 1 else ""
        return failed(f'Error: unknown command "{word}" for "clustermesh-apiserver"\n')
    if command == "troubleshoot":
        return await _troubleshoot(
            call.with_argv(call.argv[1:]), Flags(("kvstoremesh-dbg", *given.words), given.values)
        )
    if command != "status":
        return failed(f'Error: unknown command "{command}" for "kvstoremesh-dbg"\n')
    reader = call.fleet.readers.of(call.cluster, call.runtime)
    links, now = _links(reader) or [], call.fleet.now()
    if given.get("output") == "json":
        return _json([remote_cluster(link, now) for link in links] or None)
    good = sum(1 for link in links if link.ready(now))
    lines = [f"{good}/{len(links)} remote clusters ready"]
    for link in links:
        lines += text_lines(link, now) if given.on("verbose") or not link.ready(now) else []
    return said("\n".join(lines) + "\n")


async def cilium_health(call: Call) -> ExecResult:
    """``cilium-health status [--probe] [-o json]``."""
    given = flags(call.argv[1:], _VALUED, _SHORT)
    if not given.words or given.words[0] not in ("status", "get"):
        return failed("Error: unknown command for \"cilium-health\"\nRun 'cilium-health --help' for usage.\n")
    reader = call.fleet.readers.of(call.cluster, call.runtime)
    settings = call.runtime.processes[AGENT].settings
    up = call.fleet.answers(call.cluster, call.runtime) and settings.get("enable-health-checking") != "false"
    if reader is None or not up:
        why = 'Get "http://localhost/v1beta/status": ' + _SOCKET.format("health")
        return failed(f"Error: Cannot get status: {why}")
    fresh = given.on("probe")
    if fresh and reader.minor <= 15:
        # 1.15 probes at once, and hangs until its own deadline where anything does not answer.
        if call.fleet.health.anything_hangs(reader):
            await call.fleet.sleep(30.0)
            put = 'Put "http://localhost/v1beta/status/probe": context deadline exceeded'
            return failed(f"Error: Cannot get status/probe: {put}\n")
        nodes = call.fleet.health.fresh(reader, call.fleet.now())
    else:
        nodes = call.fleet.health.view(reader, call.fleet.now())
    own, now = f"{reader.name}/{call.runtime.node}", call.fleet.now()
    interval, modern = call.fleet.health.interval(reader), reader.minor > 15
    if given.get("output") == "json":
        return _json(health_answers.health_json(own, nodes, interval, now, modern))
    return said(health_answers.health_text(own, nodes, interval, now, modern))
