"""Prints the first free port of 127.0.0.1 from the one given on; exit code 1 when that one was taken."""

import socket
import sys


def is_free(port: int) -> bool:
    with socket.socket() as server:
        # As the studio's own server does: a port that was closed a moment ago counts as free.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


wanted = int(sys.argv[1])
found = next((port for port in range(wanted, 65536) if is_free(port)), None)
print(found or "8501")
sys.exit(found != wanted)
