"""The AWS endpoint: moto's threaded server on a free loopback port, with the lab's gate before it."""

import asyncio
import logging
from typing import Any

from backends.lab.clouds.aws.account import AwsAccount, load_moto
from backends.lab.clouds.aws.gate import Gate


class AwsServer:
    """``endpoint`` is ``http://127.0.0.1:PORT`` once started."""

    def __init__(self, account: AwsAccount) -> None:
        self._account = account
        self._server: Any = None
        self.endpoint = ""

    async def start(self, seed: int) -> None:
        """Import moto and serve; neither holds up the event loop."""
        await asyncio.to_thread(self._start, seed)

    def _start(self, seed: int) -> None:
        load_moto(seed)
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        inner: Any = server._server
        inner.app = Gate(inner.app, self._account)
        self._server = server
        host, port = server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop serving and give the port back."""
        if self._server is not None:
            server, self._server = self._server, None
            await asyncio.to_thread(_stop, server)


def _stop(server: Any) -> None:
    inner = server._server
    server.stop()
    inner.server_close()
