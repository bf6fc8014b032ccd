"""The AWS endpoint: moto's threaded server on a free loopback port, with the lab's gate before it."""

import asyncio
import logging
from typing import Any, Final

from backends.lab.clouds.aws.account import AwsAccount, load_moto
from backends.lab.clouds.aws.gate import Gate

_POLL: Final = 0.05
"""Seconds after which a request to stop is seen."""


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
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = _server_class()(self._account)
        server.start()
        self._server = server
        host, port = server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop serving and give the port back."""
        if self._server is not None:
            server, self._server = self._server, None
            await asyncio.to_thread(_stop, server)


def _server_class() -> Any:
    from moto.moto_server import threaded_moto_server, werkzeug_app

    parts: Any = threaded_moto_server

    class Server(threaded_moto_server.ThreadedMotoServer):
        """moto's own server with the gate before its application, and quick to stop."""

        def __init__(self, account: AwsAccount) -> None:
            super().__init__(ip_address="127.0.0.1", port=0, verbose=False)
            self._account = account

        def _server_entry(self) -> None:
            inner = werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app)
            handler = werkzeug_app.MotoRequestHandler
            gate = Gate(inner, self._account)
            self._server = parts.make_server(self._ip_address, self._port, gate, True, request_handler=handler)
            self._server_ready_event.set()
            self._server.serve_forever(poll_interval=_POLL)

    return Server


def _stop(server: Any) -> None:
    inner = server._server
    server.stop()
    inner.server_close()
