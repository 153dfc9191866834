"""Listens, stops, and ends with its parent."""
from __future__ import annotations

import atexit
import logging
import os
import select
import signal
import sys
import threading
from types import FrameType
from typing import Any, Callable

from cheroot import wsgi
from cheroot.server import HTTPConnection

from . import logs
from .app import BodyFailed, Runtime

HEADER_LIMIT_BYTES = 256 * 1024
LINGER_MS = 20
# Routers open many connections at once; what finds no place is tried again by the kernel after a second, then three.
BACKLOG = 1024


class Gateway(wsgi.Gateway_10):
    """Cheroot's, with the socket where WebSockets look for it."""

    def get_environ(self) -> dict[str, Any]:
        environ = super().get_environ()
        environ["werkzeug.socket"] = self.req.conn.socket
        environ["fissium.connection_taken"] = self._connection_taken
        return environ

    def _connection_taken(self) -> None:
        """The connection speaks another protocol now: no HTTP answer goes over it."""
        self.req.close_connection = True
        self.req.sent_headers = True
        self.req.chunked_write = False


class Connection(HTTPConnection):
    """
    Keeps its thread for a moment after an answer: the next request of a busy connection then does not pass through
    the listening thread, which costs more than most functions.
    """

    def communicate(self) -> bool:
        while super().communicate():
            if self.rfile.has_data():
                continue
            if not self.server.ready or not self.socket:
                return True
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            if not poll.poll(LINGER_MS):
                return True
        return False

    def _close_kernel_socket(self) -> None:
        """Not where a WebSocket has closed it: the failure would end the thread, which serves others too."""
        if self.socket.fileno() != -1:
            super()._close_kernel_socket()


class Server(wsgi.Server):
    """Waits on SIGTERM for the requests that have begun."""

    def __init__(self, address: Any, application: Callable[..., Any], threads: int, grace_s: float) -> None:
        super().__init__(
            address,
            application,
            numthreads=threads,
            shutdown_timeout=grace_s,
            timeout=75,
            request_queue_size=BACKLOG,
        )
        self.gateway = Gateway
        self.ConnectionClass = Connection
        self.max_request_header_size = HEADER_LIMIT_BYTES

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        if isinstance(sys.exc_info()[1], BodyFailed):
            return
        logging.log(level, msg, exc_info=traceback)


def main() -> None:
    logs.set_up(os.environ.get("FISSIUM_LOG_MARKS") == "1")
    folder = os.environ.get("USERFUNCVOL", "/userfunc")
    runtime = Runtime(folder, os.environ.get("FISSIUM_STATE_FILE", os.path.join(folder, "state.json")))
    address: Any = os.environ.get("RUNTIME_SOCKET") or ("0.0.0.0", int(os.environ.get("RUNTIME_PORT", "8888")))
    threads = int(os.environ.get("RUNTIME_THREADS", "32"))
    server = Server(address, runtime, threads, float(os.environ.get("RUNTIME_GRACE_S", "60")))
    _end_with_parent()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        runtime.close()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.prepare()
    if address == os.environ.get("RUNTIME_SOCKET"):
        print(f"listening on {address}", file=sys.stderr)
    else:
        print(f"listening on port {server.bind_addr[1]}", file=sys.stderr)
    try:
        server.serve()
    except SystemExit:
        server.stop()
        # What the function registered still runs; threads that it left behind do not hold the process up.
        atexit._run_exitfuncs()
        os._exit(0)


def _end_with_parent() -> None:
    """Where a descriptor is given, its end is the end of the process that started this one."""
    number = os.environ.pop("FISSIUM_LIFELINE_FD", "")
    if number == "":
        return
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def watch() -> None:
        while os.read(descriptor, 64):
            pass
        # With all that the function has started.
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="fissium-lifeline", daemon=True).start()
