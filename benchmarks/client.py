"""A client as small as can be: one connection that is kept, one request after the other."""

import socket
from typing import Self

from benchmarks.applications import Workload

_LONGEST_WAIT_SECONDS = 30


class Client:
    """Sends requests to a port of this machine; raises `RuntimeError` for any answer but 200."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _LONGEST_WAIT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, workload: Workload, requests: int) -> None:
        """Send requests and read every answer."""
        request = f"{workload.method} {workload.path} HTTP/1.1\r\nhost: bench\r\n"
        if workload.method == "POST":
            request += "content-length: 0\r\n"
        message = f"{request}\r\n".encode()
        for _ in range(requests):
            self._socket.sendall(message)
            self._read_answer()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _read_answer(self) -> None:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(f"uvicorn answered: {head.splitlines()[0].decode()}")
        _, _, rest = head.partition(b"content-length:")
        missing = int(rest.split(b"\r\n", 1)[0]) - (len(received) - end - 4)
        while missing > 0:
            missing -= len(self._receive())

    def _receive(self) -> bytes:
        received = self._socket.recv(65536)
        if not received:
            raise RuntimeError("uvicorn closed the connection")
        return received
