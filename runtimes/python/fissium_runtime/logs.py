"""What functions write, with the request it belongs to."""
from __future__ import annotations

import contextvars
import io
import logging
import os
import sys
import threading

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("fissium_request_id", default="")
# Around a request's id at the start of a line, for a platform that asked for it.
START, END = "\x1e", "\x1f"


class MarkedLines(io.TextIOBase):
    """
    Standard output or error in which each line begins with the id of its request, so that lines of requests that
    run at once can be told apart. Lines are written whole.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._lock = threading.Lock()
        self._partial: dict[str, str] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def buffer(self) -> io.BufferedIOBase:
        return _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() takes a str, not a {type(text).__name__}")
        key = request_id.get()
        with self._lock:
            *lines, rest = (self._partial.pop(key, "") + text).split("\n")
            if rest:
                self._partial[key] = rest
            if lines:
                self._put(key, lines)
        return len(text)

    def flush(self) -> None:
        """Lines are out as soon as they end; a line that has not ended waits for its end."""

    def finish(self, key: str) -> None:
        """Writes what a request left without a line's end."""
        with self._lock:
            rest = self._partial.pop(key, "")
            if rest:
                self._put(key, [rest])

    def _put(self, key: str, lines: list[str]) -> None:
        mark = f"{START}{key}{END}" if key else ""
        data = memoryview("".join(f"{mark}{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
        while data:
            data = data[os.write(self._descriptor, data) :]


class _Bytes(io.BufferedIOBase):
    """`sys.stdout.buffer`."""

    def __init__(self, lines: MarkedLines) -> None:
        self._lines = lines

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._lines.fileno()

    def write(self, data) -> int:  # type: ignore[no-untyped-def, override]
        self._lines.write(bytes(data).decode("utf-8", "backslashreplace"))
        return len(data)

    def flush(self) -> None:
        """As for the lines."""


def set_up(marked: bool) -> None:
    """Puts the streams and the root logger in place; call once, before user code."""
    if marked:
        sys.stdout = MarkedLines(1, "<stdout>")
        sys.stderr = MarkedLines(2, "<stderr>")
    else:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True, errors="backslashreplace")
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    logging.basicConfig(
        stream=sys.stderr,
        level=level if isinstance(logging.getLevelName(level), int) else "INFO",
        format="%(asctime)s - %(levelname)s - %(message)s",
    )


def finish(key: str) -> None:
    """A request has ended."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, MarkedLines):
            stream.finish(key)
