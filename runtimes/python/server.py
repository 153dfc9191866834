#!/usr/bin/env python3
"""Python environment for Fission's container contract, versions 1 to 3. See README.md for its settings."""
import os
import sys

# A function may have a module of any name of ours: only the package `fissium_runtime` stays importable.
HERE = os.path.dirname(os.path.abspath(__file__))
if sys.path and os.path.abspath(sys.path[0] or ".") == HERE:
    del sys.path[0]
sys.path.append(HERE)

try:
    from fissium_runtime.serve import main
except ModuleNotFoundError as error:
    if error.name is None or error.name.split(".")[0] not in ("flask", "cheroot", "werkzeug", "simple_websocket"):
        raise
    sys.exit(
        f"The Python environment needs the package {error.name}, which {sys.executable} does not have. "
        f"Install what it needs: {sys.executable} -m pip install -r {os.path.join(HERE, 'requirements.txt')}"
    )

if __name__ == "__main__":
    main()
