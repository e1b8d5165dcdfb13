"""A way to a server on which replies get lost: what was asked is done, and whoever asked hears nothing but the end of the connection."""

import selectors
import socket
import threading
from types import TracebackType
from typing import Self

CHUNK = 65_536


class LostReplies:
    """A proxy on a port of its own. As a context manager it listens on entry and ends on exit.

    `lose(marker, times)`: the next so many requests that contain the marker are passed on; their reply is thrown away as soon as it
    begins, together with the connection.
    """

    def __init__(self, port: int) -> None:
        """`port`: of the server, on this machine."""
        self._upstream = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._marker = b""
        self._left = 0
        self.lost = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def lose(self, marker: bytes, times: int) -> None:
        with self._lock:
            self._marker, self._left = marker, times

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="lost replies", daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Wakes the thread that accepts; those of open connections end with them.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="a connection", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, socket.create_connection(("127.0.0.1", self._upstream), timeout=5) as server:
                self._pass_on(client, server)
        except OSError:
            return  # one of the two has gone, and the other is closed with it

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        doomed, tail = False, b""
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ)
            selector.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    source = key.fileobj
                    assert isinstance(source, socket.socket)
                    data = source.recv(CHUNK)
                    if not data or (source is server and doomed):
                        return
                    (server if source is client else client).sendall(data)
                    if source is client:
                        doomed = doomed or self._is_chosen(tail + data)
                        tail = data[-200:]

    def _is_chosen(self, data: bytes) -> bool:
        with self._lock:
            if not self._left or self._marker not in data:
                return False
            self._left -= 1
            self.lost += 1
            return True
