"""Finds and loads the user's function as the environment contract names it."""
from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import inspect
import os
import sys
from types import ModuleType
from typing import Any, Callable

DEFAULT_MODULE = "main"
DEFAULT_FUNCTION = "main"
# Under this name a function that is one file is imported: Fission gives its path, not its name.
FILE_MODULE = "user"
CONTEXT_NAMES = ("context", "ctx", "_context", "_ctx", "_")


class LoadError(Exception):
    """The code cannot be loaded; the message says what was looked for and what is there."""


def load_function(path: str, entrypoint: str, entrypoint_optional: bool = False) -> Callable[..., Any]:
    """
    The function that `entrypoint` (`module.function`, `function` of module `main`, or nothing for `main.main`)
    names in the folder `path`; where `path` is a file, the function of that file.

    `entrypoint_optional`: an entry point that is not there stands for none (the short form `functionref`).
    Raises LoadError, or whatever the user's module raises while it is imported.
    """
    if not os.path.exists(path):
        raise LoadError(f"There is no code at {path}.")
    try:
        return _named(path, entrypoint)
    except LoadError:
        if not entrypoint_optional or entrypoint == "":
            raise
        return _named(path, "")


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the function is to be given the context: it must have an argument, or names one so."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return False
    if not parameters:
        return False
    first = parameters[0]
    if first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return False
    return first.default is first.empty or first.name in CONTEXT_NAMES


def takes_two(function: Callable[..., Any]) -> bool:
    """Whether the function has Fission's WebSocket form `(ws, clients)`."""
    try:
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        return False
    return True


def _named(path: str, entrypoint: str) -> Callable[..., Any]:
    module_name, _, function_name = entrypoint.strip().rpartition(".")
    function_name = function_name or DEFAULT_FUNCTION
    if os.path.isdir(path):
        module = _import_from(path, module_name or DEFAULT_MODULE, is_default=entrypoint == "")
    else:
        module = _import_file(path)
    function = getattr(module, function_name, None)
    if function is None:
        defined = [
            name
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
        ]
        raise LoadError(
            f"Module {module.__name__} has no function {function_name!r}; "
            f"it defines {', '.join(defined) or 'none'}. Name one as the entry point, as in module.function."
        )
    if not callable(function):
        raise LoadError(f"{module.__name__}.{function_name} is a {type(function).__name__}, not a function.")
    return function


def _import_from(folder: str, name: str, is_default: bool) -> ModuleType:
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    if is_default and not _has_module(folder, DEFAULT_MODULE):
        name = _only_module(folder)
    loaded = sys.modules.get(name)
    if loaded is not None and not _is_below(loaded, folder):
        # The user's module goes before one of the same name that the server has imported.
        del sys.modules[name]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
            raise
        raise LoadError(
            f"There is no module {name!r} in the package; it holds {_listing(folder)}. "
            "Name the entry point as module.function."
        ) from None


def _import_file(path: str) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(FILE_MODULE, path)
    spec = importlib.util.spec_from_file_location(FILE_MODULE, path, loader=loader)
    if spec is None:
        raise LoadError(f"{path} cannot be read as Python code.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[FILE_MODULE] = module
    try:
        loader.exec_module(module)
    except BaseException:
        sys.modules.pop(FILE_MODULE, None)
        raise
    return module


def _has_module(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name + ".py")) or os.path.isdir(os.path.join(folder, name))


def _only_module(folder: str) -> str:
    """The package's one .py file, where there is neither an entry point nor a main.py."""
    files = sorted(name[:-3] for name in os.listdir(folder) if name.endswith(".py"))
    if len(files) == 1:
        return files[0]
    raise LoadError(
        f"The package has no main.py, and no entry point says which module is meant; it holds {_listing(folder)}. "
        "Name one as module.function (`--entrypoint`)."
    )


def _is_below(module: ModuleType, folder: str) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and os.path.abspath(file).startswith(os.path.abspath(folder) + os.sep)


def _listing(folder: str) -> str:
    names = sorted(os.listdir(folder))
    return ", ".join(names[:10]) + (", …" if len(names) > 10 else "") or "nothing"
