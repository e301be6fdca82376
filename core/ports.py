"""Ports of this machine."""

from __future__ import annotations

import socket

from core.errors import ConfigError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def refuse_taken(port: int) -> None:
    """Refuse a port of the loopback address at which nothing can listen now.

    Raises:
        ConfigError: it is no port, another program listens there, or this user may not.
    """
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: one that has ended lingers
            probe.bind((LOOPBACK, port))
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) else "ports are 1 to 65535"
        raise ConfigError(f"Port {port} cannot be used ({reason}). Choose another one, or none for any.") from error
