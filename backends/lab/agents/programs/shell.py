"""``sh -c``, ``bash -c`` and small tools: as much of a shell as mesh work needs, and no more."""

import re
import shlex
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from backends.lab.agents.programs.calls import Call, failed, said
from backends.lab.world import ExecResult

Run: TypeAlias = Callable[[Call], Awaitable[ExecResult]]

_COUNTERS: Final = re.compile(r"/sys/class/net/cilium_vxlan/statistics/(\w+)")
_LOOP: Final = re.compile(
    r"for \(\((?:n=\d+,)?(?P<var>\w+)=(?P<first>\d+);\s*(?P=var)(?P<op><=?)(?P<last>\d+);\s*"
    r"(?P=var)(?:\+\+|\+=(?P<step>\d+))\)\);"
)
_TARGET: Final = re.compile(r">\s*/dev/udp/(?P<address>[\d.]+)/")
_PAYLOAD: Final = re.compile(r'printf -v (?P<name>\w+) "%(?P<size>\d+)s"')
_UNSUPPORTED: Final = re.compile(r"[`|<>(){}]|\$\(|\b(for|while|if|case|function)\b")


def read_counters(call: Call, script: str) -> ExecResult | None:
    """The reading of §11.1: ``rx=… rxB=… tx=… txdrop=… noports=…``, or None for another script."""
    if "/proc/net/snmp" not in script or not _COUNTERS.search(script):
        return None
    count = call.fleet.counters.of(call.cluster, call.runtime.node)
    text = (
        f"rx={count.rx_packets} rxB={count.rx_bytes} tx={count.tx_packets} "
        f"txdrop={count.tx_dropped} noports={count.no_ports}\n"
    )
    return said(text)


def send_burst(call: Call, script: str) -> ExecResult | None:
    """The bursts of §11.1 (equal sizes) and §11.2 (rising sizes), or None for another script."""
    loop, target, payload = _LOOP.search(script), _TARGET.search(script), _PAYLOAD.search(script)
    if loop is None or target is None or payload is None:
        return None
    last = int(loop["last"]) + (1 if loop["op"] == "<=" else 0)
    numbers = range(int(loop["first"]), last, int(loop["step"] or 1))
    rising = re.search(r"\$\{" + payload["name"] + r":0:" + loop["var"] + r"\}", script)
    sizes = list(numbers) if rising else [int(payload["size"])] * len(numbers)
    call.fleet.counters.burst(call.cluster, call.runtime.node, target["address"], sizes)
    return said("")


def file_of(call: Call, path: str) -> bytes | None:
    """A file in the container: mounted Secrets and ConfigMaps, and the few of the system that are read."""
    mounted = call.runtime.read(call.container, path)
    if mounted is not None:
        return mounted
    counter = _COUNTERS.fullmatch(path)
    count = call.fleet.counters.of(call.cluster, call.runtime.node)
    if counter and call.runtime.host_network:
        value = count.vxlan().get(counter[1])
        return None if value is None else f"{value}\n".encode()
    if path == "/proc/net/snmp":
        return count.snmp().encode()
    if path == "/etc/hostname":
        return f"{call.runtime.node if call.runtime.host_network else call.runtime.name}\n".encode()
    if path == "/etc/hosts":
        return _hosts(call).encode()
    return None


def _hosts(call: Call) -> str:
    lines = ["# Kubernetes-managed hosts file.", "127.0.0.1\tlocalhost", f"{call.runtime.ip}\t{call.runtime.name}"]
    aliases = call.runtime.spec.get("hostAliases") or ()
    if aliases:
        lines.append("\n# Entries added by HostAliases.")
    lines += [f"{alias['ip']}\t{chr(9).join(alias.get('hostnames') or ())}" for alias in aliases]
    return "\n".join(lines) + "\n"


async def cat(call: Call) -> ExecResult:
    """``cat FILE…``."""
    out, errors = b"", ""
    for path in call.argv[1:]:
        body = file_of(call, path)
        if body is None:
            errors += f"cat: {path}: No such file or directory\n"
        else:
            out += body
    return ExecResult(stdout=out, stderr=errors.encode(), exit_code=1 if errors else 0)


async def ls(call: Call) -> ExecResult:
    """``ls FOLDER`` of a mounted volume."""
    words = [word for word in call.argv[1:] if not word.startswith("-")]
    asked = words[0] if words else "/"
    at = call.runtime.volume_at(call.container, f"{asked.rstrip('/')}/x")
    if at is None:
        return failed(f"ls: cannot access '{asked}': No such file or directory\n", 2)
    below = at[1].rpartition("/")[0]
    prefix = f"{below}/" if below else ""
    names = {
        name[len(prefix) :].partition("/")[0]
        for name in call.runtime.mounts.files.get(at[0], {})
        if name.startswith(prefix)
    }
    return said("".join(f"{name}\n" for name in sorted(names)))


async def shell(call: Call, run: Run) -> ExecResult:
    """``sh -c SCRIPT``: the two scripts of §11, else simple commands joined by ``;`` and ``&&``."""
    if len(call.argv) < 3 or not call.argv[1].endswith("c"):
        return failed(f"{call.program}: only -c is supported here\n", 2)
    script = call.argv[2]
    special = read_counters(call, script) or send_burst(call, script)
    if special is not None:
        return special
    if _UNSUPPORTED.search(script):
        return failed(f"{call.program}: -c: line 1: syntax error near unexpected token\n", 2)
    out, errors, code = b"", b"", 0
    for joint, part in _parts(script):
        if joint == "&&" and code:
            continue
        try:
            words = shlex.split(part)
        except ValueError:
            return failed(f"{call.program}: -c: line 1: unexpected EOF while looking for matching quote\n", 2)
        result = await run(call.with_argv(words))
        out, errors, code = out + result.stdout, errors + result.stderr, result.exit_code
    return ExecResult(stdout=out, stderr=errors, exit_code=code)


def _parts(script: str) -> list[tuple[str, str]]:
    pieces = re.split(r"(;|&&|\n)", script)
    found = [("", pieces[0].strip())]
    found += [(joint.strip(), text.strip()) for joint, text in zip(pieces[1::2], pieces[2::2], strict=False)]
    return [(joint, text) for joint, text in found if text]
