"""The environment contract: specialise once, then every request calls the function."""
from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import threading
import traceback
from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Iterator

from flask import Flask, Request, Response, request, stream_with_context

from . import logs, loop
from .sockets import Sockets, is_handshake
from .user_code import LoadError, load_function, takes_context, takes_two

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

NOT_GENERIC = "Not a generic container"
GENERIC = "Generic container: no requests supported"
V1_CODE = "user"
SPECIALIZE_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Context:
    """What `def main(context)` is given."""

    request: Request
    request_id: str
    function_name: str
    function_namespace: str
    params: dict[str, str] = field(default_factory=dict)
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("function"))


class FunctionApp(Flask):
    """Flask whose every request goes to one function, whatever its path and method."""

    def __init__(self) -> None:
        super().__init__("fissium_runtime", static_folder=None)
        self.function: Callable[..., Any] | None = None
        self.gives_context = False
        self.function_name = ""
        self.function_namespace = ""

    def dispatch_request(self) -> Any:
        # Nothing is routed: what Flask's own matching found does not matter.
        assert self.function is not None
        result = self.function(self.context()) if self.gives_context else self.function()
        if inspect.iscoroutine(result):
            result = loop.run(result)
        return self._returned(result)

    def context(self) -> Context:
        headers = request.headers
        prefix = "x-fission-params-"
        return Context(
            request=request._get_current_object(),  # type: ignore[attr-defined]
            request_id=headers.get("X-Fission-Request-ID", ""),
            function_name=headers.get("X-Fission-Function-Name", self.function_name),
            function_namespace=headers.get("X-Fission-Function-Namespace", self.function_namespace),
            params={name[len(prefix) :].lower(): value for name, value in headers if name.lower().startswith(prefix)},
        )

    @staticmethod
    def _returned(result: Any) -> Any:
        """What Flask has no answer for: nothing, numbers, and generators that still use the request."""
        if isinstance(result, tuple) and result:
            return (FunctionApp._returned(result[0]), *result[1:])
        if result is None:
            return ""
        if isinstance(result, (bool, int, float)):
            return Response(json.dumps(result), mimetype="application/json")
        if inspect.isasyncgen(result):
            result = loop.iterate(result)
        if inspect.isgenerator(result):
            return stream_with_context(result)
        if isinstance(result, memoryview):
            return bytes(result)
        return result


class Runtime:
    """The WSGI application."""

    def __init__(self, code_folder: str, state_file: str) -> None:
        self._code_folder = code_folder
        self._state_file = state_file
        self._app = FunctionApp()
        self._lock = threading.Lock()
        self._sockets = Sockets()
        self._resume()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/healthz" and method in ("GET", "HEAD"):
            return _plain(start_response, "200 OK", "")
        if method == "POST" and path in ("/specialize", "/v2/specialize"):
            return self._specialize(environ, start_response, is_v2=path == "/v2/specialize")
        if self._app.function is None:
            return _plain(start_response, "500 Internal Server Error", GENERIC)
        key = environ.get("HTTP_X_FISSION_REQUEST_ID", "")
        token = logs.request_id.set(key)
        try:
            if is_handshake(environ) and takes_two(self._app.function):
                return self._serve_socket(environ)
            body = self._app(environ, start_response)
        except BaseException:
            logs.request_id.reset(token)
            raise
        return _Body(body, key)

    def close(self) -> None:
        self._sockets.close()

    def _serve_socket(self, environ: Environ) -> Iterable[bytes]:
        try:
            with self._app.request_context(environ):
                self._sockets.serve(environ, self._app.function)  # type: ignore[arg-type]
        except Exception:
            self._app.logger.exception("the function failed on a WebSocket")
        environ["fissium.connection_taken"]()
        return []

    def _specialize(self, environ: Environ, start_response: StartResponse, is_v2: bool) -> Iterable[bytes]:
        with self._lock:
            if self._app.function is not None:
                return _plain(start_response, "400 Bad Request", NOT_GENERIC)
            try:
                load = _read_load_request(environ) if is_v2 else {}
            except ValueError as error:
                return _plain(start_response, "400 Bad Request", f"The request to specialise is wrong: {error}.")
            load.setdefault("filepath", os.path.join(self._code_folder, V1_CODE))
            try:
                self._load(load)
            except LoadError as error:
                logging.error("%s", error)
                return _plain(start_response, "500 Internal Server Error", str(error))
            except BaseException as error:  # User code may raise anything, SystemExit too.
                traceback.print_exc()
                return _plain(start_response, "500 Internal Server Error", _summary(error))
            self._remember(load)
        return _plain(start_response, "200 OK", "")

    def _load(self, load: dict[str, Any]) -> None:
        os.environ.update(load.get("env") or {})
        function = load_function(
            load["filepath"], load.get("functionName") or "", load.get("functionNameOptional") is True
        )
        metadata = load.get("FunctionMetadata") or {}
        app = self._app
        app.gives_context = takes_context(function)
        app.function_name = metadata.get("name", "")
        app.function_namespace = metadata.get("namespace", "")
        # Last: from here on requests are taken.
        app.function = function

    def _remember(self, load: dict[str, Any]) -> None:
        """For the container that is started again in the same pod, which nobody specialises a second time."""
        if self._state_file == "":
            return
        try:
            descriptor = os.open(self._state_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(load, file)
        except OSError as error:
            logging.warning("a restarted container will be generic again: %s", error)

    def _resume(self) -> None:
        if self._state_file == "" or not os.path.exists(self._state_file):
            return
        try:
            with open(self._state_file, encoding="utf-8") as file:
                self._load(json.load(file))
        except Exception:
            logging.exception("what %s says cannot be loaded again", self._state_file)
            sys.exit(1)


class BodyFailed(Exception):
    """A generator of the function raised after the head was out."""


class _Body:
    """A response's body, at whose end the request's log lines end as well."""

    def __init__(self, body: Iterable[bytes], key: str) -> None:
        self._body = body
        self._key = key

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception as error:
            # Said here, where the request is known; the server then breaks the connection off.
            logging.getLogger("function").exception("the answer's body failed")
            raise BodyFailed from error

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            logs.finish(self._key)
            logs.request_id.set("")


def _read_load_request(environ: Environ) -> dict[str, Any]:
    data = environ["wsgi.input"].read(SPECIALIZE_LIMIT_BYTES + 1)
    if len(data) > SPECIALIZE_LIMIT_BYTES:
        raise ValueError(f"it is longer than {SPECIALIZE_LIMIT_BYTES} bytes")
    load = json.loads(data)
    if not isinstance(load, dict):
        raise ValueError("it is no JSON object")
    for name in ("filepath", "functionName"):
        if not isinstance(load.get(name, ""), str):
            raise ValueError(f"{name} is no string")
    if load.get("filepath") == "":
        del load["filepath"]
    env = load.get("env") or {}
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise ValueError("env is no object of strings")
    if any(name == "" or "=" in name or "\0" in name + value for name, value in env.items()):
        raise ValueError("env has a name that no variable can have")
    return load


def _plain(start_response: StartResponse, status: str, text: str) -> list[bytes]:
    body = text.encode()
    start_response(
        status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _summary(error: BaseException) -> str:
    """The exception and the user's own line that it came from."""
    text = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    if not frames or os.path.dirname(__file__) in frames[-1].filename:
        return text
    return f"{text} (line {frames[-1].lineno} of {os.path.basename(frames[-1].filename)})"
