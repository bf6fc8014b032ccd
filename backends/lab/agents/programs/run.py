"""Which program an exec starts, by what the container's image holds."""

from typing import Final

from backends.lab.agents.mesh.processes import AGENT, CACHE
from backends.lab.agents.programs import cilium, shell
from backends.lab.agents.programs.calls import Call, not_found, said
from backends.lab.agents.programs.curl import curl
from backends.lab.world import ExecResult

_MESH_CONTAINERS: Final = ("apiserver", "etcd", CACHE)
_SHELLS: Final = ("sh", "bash")


async def run(call: Call) -> ExecResult:
    """Run the command. Raises ``ExecFailed`` where the image has no such program."""
    program = call.program
    if call.container in _MESH_CONTAINERS and "etcd" in call.runtime.processes:
        if program == "clustermesh-apiserver":
            return await cilium.kvstoremesh_dbg(call)
        # The image is built from scratch: it has no shell and no tools.
        raise not_found(call.argv[0] if call.argv else "")
    if call.container == AGENT:
        if program in ("cilium-dbg", "cilium"):
            return await cilium.cilium_dbg(call)
        if program == "cilium-health":
            return await cilium.cilium_health(call)
    return await _tool(call)


async def _tool(call: Call) -> ExecResult:
    program = call.program
    if program in _SHELLS:
        return await shell.shell(call, _inside_a_shell)
    if program == "curl":
        return await curl(call)
    if program == "cat":
        return await shell.cat(call)
    if program == "ls":
        return await shell.ls(call)
    if program == "echo":
        return said(" ".join(call.argv[1:]) + "\n")
    if program == "hostname":
        return said((shell.file_of(call, "/etc/hostname") or b"").decode())
    if program in ("true", ":"):
        return said("")
    if program == "false":
        return said("", 1)
    if program == "sleep":
        await call.fleet.sleep(float(call.argv[1]) if len(call.argv) > 1 and call.argv[1].isdigit() else 0.0)
        return said("")
    raise not_found(call.argv[0] if call.argv else "")


async def _inside_a_shell(call: Call) -> ExecResult:
    """As ``run``, but a missing program is the shell's error 127."""
    from backends.lab.world import ExecFailed

    try:
        return await run(call)
    except ExecFailed:
        return ExecResult(stderr=f"sh: {call.argv[0]}: not found\n".encode(), exit_code=127)
