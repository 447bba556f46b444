"""A TCP proxy between two of our own processes that can stop answering without closing anything: half-open connections.

What it then gets it reads and throws away, on old connections and on new ones, as a network does that drops packets
behind something which still acknowledges them.
"""

import selectors
import socket
import threading
from contextlib import suppress


class Proxy:
    """Listens on a port of its own on the loopback and hands everything on to `port` there."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._other: dict[socket.socket, socket.socket | None] = {}
        self._swallows = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    def swallow(self) -> None:
        """From now on nothing gets through, and nobody is told."""
        self._swallows.set()

    def pass_on(self) -> None:
        """New connections work again. What was swallowed stays lost, so old ones hang for ever."""
        self._swallows.clear()

    def close(self) -> None:
        self._over.set()
        self._thread.join(5)
        for one in list(self._other):
            one.close()
        self._listener.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._over.is_set():
            for key, _ in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.fileobj in self._other:
                    self._move(key.fileobj)

    def _accept(self) -> None:
        ours, _ = self._listener.accept()
        theirs = None
        if not self._swallows.is_set():
            try:
                theirs = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                ours.close()
                return
            self._add(theirs, ours)
        self._add(ours, theirs)

    def _add(self, one: socket.socket, other: socket.socket | None) -> None:
        self._other[one] = other
        self._selector.register(one, selectors.EVENT_READ)

    def _move(self, one: socket.socket) -> None:
        other = self._other[one]
        try:
            data = one.recv(65536)
        except OSError:
            data = b""
        if self._swallows.is_set():
            self._other[one] = None  # this direction is dead, whatever comes later
            if other is not None and other in self._other:
                self._other[other] = None
            if not data:
                self._forget(one)
            return
        if data and other is not None:
            with suppress(OSError):
                other.sendall(data)
                return
        if not data:
            self._forget(one)
            if other is not None:
                self._forget(other)

    def _forget(self, one: socket.socket) -> None:
        if self._other.pop(one, self) is not self:
            self._selector.unregister(one)
            one.close()
