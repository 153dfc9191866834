"""The server of the Python environment; not for user code."""
