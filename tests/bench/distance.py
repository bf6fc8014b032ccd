"""TCP relays that make this machine's servers look ``rtt`` seconds away."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class Distance:
    """Relays on loopback; each chunk arrives half a round trip after it was sent, in order, at any throughput."""

    def __init__(self, rtt: float) -> None:
        self._delay = rtt / 2
        self._servers: list[asyncio.Server] = []

    async def to(self, url: str) -> str:
        """The same URL through a relay of its own."""
        parts = urlsplit(url)
        assert parts.hostname is not None and parts.port is not None

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there, back = await asyncio.open_connection(parts.hostname, parts.port)
            # The handshake's own round trip.
            await asyncio.sleep(2 * self._delay)
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self._servers.append(server)
        return f"{parts.scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, due = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

        async def deliver() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    at, chunk = await due.get()
                    await asyncio.sleep(max(at - loop.time(), 0.0))
                    if not chunk:
                        writer.close()
                        return
                    writer.write(chunk)

        delivering = loop.create_task(deliver())
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(65536):
                due.put_nowait((loop.time() + self._delay, chunk))
        due.put_nowait((loop.time() + self._delay, b""))
        await delivering

    def close(self) -> None:
        """Take no more connections."""
        for server in self._servers:
            server.close()


@contextlib.asynccontextmanager
async def distance(rtt: float) -> AsyncIterator[Distance]:
    """Relays for the time of the block."""
    made = Distance(rtt)
    try:
        yield made
    finally:
        made.close()
