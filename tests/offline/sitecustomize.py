"""Put on PYTHONPATH to take the network away: only addresses of this machine can be reached."""

import socket

_connect, _getaddrinfo = socket.socket.connect, socket.getaddrinfo


def _is_here(host) -> bool:
    return host in (None, "", "localhost", "::1", b"localhost") or str(host).startswith("127.")


def connect(self, address):
    if isinstance(address, tuple) and not _is_here(address[0]):
        raise OSError(f"the network is blocked in this test: {address[0]}")
    return _connect(self, address)


def getaddrinfo(host, *arguments, **keywords):
    if not _is_here(host):
        raise OSError(f"the network is blocked in this test: {host}")
    return _getaddrinfo(host, *arguments, **keywords)


socket.socket.connect, socket.getaddrinfo = connect, getaddrinfo
