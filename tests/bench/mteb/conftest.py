"""mteb without a network: whatever reaches for one fails at once."""

import socket
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Refuses connections; a test that tried one fails, even where the library swallowed the error."""
    tried: list[object] = []

    def refuse(_: socket.socket, address: object) -> None:
        if not isinstance(address, (str, bytes)):  # sockets of this machine have a path
            tried.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    yield tried
    assert not tried, f"a connection was tried: {tried}"
