"""WebSockets in Fission's form: `def main(ws, clients)`."""
from __future__ import annotations

import threading
from typing import Any, Callable

from simple_websocket import ConnectionClosed, Server

# How long the other side may take for its part of the closing, seconds.
CLOSE_TIMEOUT_S = 5


class Socket:
    """One connection. `receive()` is None once it is closed."""

    def __init__(self, server: Server) -> None:
        self._server = server

    @property
    def closed(self) -> bool:
        return not self._server.connected

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        try:
            return self._server.receive(timeout)
        except ConnectionClosed:
            return None

    def send(self, message: str | bytes) -> None:
        self._server.send(message)

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        try:
            self._server.close(code, reason)
        except ConnectionClosed:
            pass

    def wait_closed(self) -> None:
        """
        Returns when both sides have said that they close. The library wakes whoever receives before it has sent its
        answer to the other side's close: a connection that ends in between looks broken off (code 1006).
        """
        self._server.thread.join(CLOSE_TIMEOUT_S)


class Sockets:
    """The connections of this process."""

    def __init__(self) -> None:
        self._clients: list[Socket] = []
        self._lock = threading.Lock()

    def serve(self, environ: dict[str, Any], function: Callable[..., Any]) -> None:
        """Answers the handshake and runs the function until it returns or the connection is closed."""
        socket = Socket(Server(environ, ping_interval=25))
        with self._lock:
            self._clients.append(socket)
        try:
            function(socket, self._clients)
        except ConnectionClosed:
            pass
        finally:
            with self._lock:
                self._clients.remove(socket)
            socket.close()
            socket.wait_closed()

    def close(self) -> None:
        with self._lock:
            clients = list(self._clients)
        for client in clients:
            client.close(1001, "going away")


def is_handshake(environ: dict[str, Any]) -> bool:
    return (
        environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
    )
