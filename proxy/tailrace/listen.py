"""The listening socket that the relay workers share. The supervisor binds it: a wrong address is told at once."""

import errno
import ipaddress
import os
import socket
from typing import Final

from tailrace.errors import UserError

_BACKLOG: Final = 2048
_REMEDIES: Final = {
    errno.EADDRINUSE: "something else listens there; stop it, or choose another with --port or server.port",
    errno.EADDRNOTAVAIL: "this machine has no such address; choose another with --host or server.host",
    errno.EACCES: "ports below 1024 are for root; choose another with --port or server.port",
}


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket on `host` and `port` (0: any free one).

    Raises:
        UserError: the address cannot be had; says why and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as exc:
        raise UserError(f"{authority(host, port)}: {host!r} is no address or known name; correct server.host") from exc
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as exc:
        listener.close()
        number = exc.errno or 0
        remedy = _REMEDIES.get(number, "choose another with --host and --port")
        raise UserError(f"{authority(host, port)}: cannot listen ({os.strerror(number)}): {remedy}") from exc
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a client finds `listener`."""
    host, port = listener.getsockname()[:2]
    return f"http://{authority(host, port)}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def authority(host: str, port: int) -> str:
    """Host and port as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
