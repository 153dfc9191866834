"""One event loop for all `async def` functions, so that what they keep in globals stays usable between calls."""
from __future__ import annotations

import asyncio
import threading
from typing import Any, AsyncIterator, Coroutine, Iterator, TypeVar

T = TypeVar("T")
_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Waits for a coroutine that runs with the caller's context variables (Flask's `request` among them)."""
    return asyncio.run_coroutine_threadsafe(coroutine, _running()).result()


def iterate(items: AsyncIterator[T]) -> Iterator[T]:
    """The items of an asynchronous generator, each asked for when it is wanted."""
    try:
        while True:
            try:
                yield run(_next(items))
            except StopAsyncIteration:
                return
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            run(close())


async def _next(items: AsyncIterator[T]) -> T:
    return await items.__anext__()


def _running() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="fissium-async", daemon=True).start()
        return _loop
