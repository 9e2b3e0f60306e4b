"""Ports of this machine for tests that start several processes."""

import socket


def free_port() -> int:
    """A port that nothing listens on now: tests that run at once, here or in another folder, do not meet."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port
