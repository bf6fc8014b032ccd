"""How long a warm static verdict over two clusters of ten nodes takes at 50 ms, in round trips of the same line."""

import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

import yaml

from backends.lab.launch import start_lab
from tests.bench import twenty_nodes
from tests.bench.distance import Distance, distance
from tui.copy import write_private

RTT = 0.05
ROUNDS = 5
NAME = "verdict, 2 x 10 nodes, 50 ms away"
PEER = "one round trip"


async def far_kubeconfig(kubeconfig: str, far: Distance) -> str:
    """A kubeconfig with every API server behind a relay."""
    told = yaml.safe_load(kubeconfig)
    for entry in told["clusters"]:
        entry["cluster"]["server"] = await far.to(entry["cluster"]["server"])
    return yaml.safe_dump(told)


async def round_trip(url: str) -> float:
    """Seconds from a request to the first byte of its answer, on a connection that is open."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        await reader.read(65536)
        taken.append(time.perf_counter() - began)
    writer.close()
    return statistics.median(taken)


async def measure() -> tuple[float, float]:
    """Median seconds of a verdict and of a round trip."""
    async with start_lab("twenty-nodes", module=twenty_nodes.MODULE) as lab, distance(RTT) as far:
        variables = dict(lab.env)
        for name in ("AWS_ENDPOINT_URL", "MESHWRIGHT_AZURE_ENDPOINT"):
            variables[name] = await far.to(variables[name])
        with tempfile.TemporaryDirectory() as folder:
            near = await asyncio.to_thread(lab.kubeconfig.read_text)
            path = write_private(Path(folder), "kubeconfig", "", await far_kubeconfig(near, far))
            os.environ.update({**variables, "KUBECONFIG": str(path), "MESHWRIGHT_STATE_DIR": folder})
            return await verdict(), await round_trip(variables["MESHWRIGHT_AZURE_ENDPOINT"])


async def verdict() -> float:
    """Read both clusters and clouds and judge them: once to warm up, then the median of some rounds."""
    from backends.wiring import open_ports
    from tui.work.judge import judge

    ports = open_ports()
    refs = ports.contexts.list().contexts
    taken = []
    for number in range(ROUNDS + 1):
        began = time.perf_counter()
        store = await ports.gatherer.gather(refs, lambda _: None)
        judged = judge(store, [ref.key for ref in refs], {}, ports.clock.now())
        taken.append(time.perf_counter() - began)
        assert judged.plan is not None and judged.findings, judged.refusal
        if number == 0:
            taken.clear()
    return statistics.median(taken)


if __name__ == "__main__":
    print(*asyncio.run(measure()))
