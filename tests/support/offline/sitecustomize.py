"""On PYTHONPATH this makes Python refuse the network, except this machine's own addresses, and say so on stderr.

An audit hook, since it sees every road to a socket, in C as well, and cannot be taken off again.
"""

import sys

_OWN = {None, "", "localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}
_HOST = {  # event -> where its arguments hold the host
    "socket.connect": lambda _, address: address[0] if isinstance(address, tuple) else None,  # else a Unix socket
    "socket.sendto": lambda _, address: address[0] if isinstance(address, tuple) else None,
    "socket.getaddrinfo": lambda host, *_: host,
    "socket.gethostbyname": lambda host: host,
}


def _refuse(event, arguments):
    if event not in _HOST:
        return
    host = _HOST[event](*arguments)
    host = host.decode() if isinstance(host, bytes) else host
    if host not in _OWN:
        print(f"offline: refused {event} to {host}", file=sys.stderr, flush=True)
        raise ConnectionRefusedError(f"no network in these tests: {host}")


sys.addaudithook(_refuse)
