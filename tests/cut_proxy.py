"""A TCP proxy on loopback that counts bytes, and that cuts or holds the stream after so many of them."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal

Direction = Literal["up", "down"]  # to the server, or from it


class CutProxy:
    """Forwards bytes to a server, whatever they mean."""

    def __init__(self, address: str) -> None:
        """`address`: the server's, as HOST:PORT."""
        host, _, port = address.partition(":")
        self._server = (host, int(port))
        self._lock = threading.Lock()
        self._free = threading.Event()
        self._free.set()
        self._fault: tuple[Direction, int, bool] | None = None
        self.bytes: dict[Direction, int] = {"up": 0, "down": 0}
        self.reached = threading.Event()  # the fault has happened
        self._pumps: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, direction: Direction, after: int) -> None:
        """Drops the connection, once, when so many bytes more have passed."""
        self._arm(direction, after, cut=True)

    def hold(self, direction: Direction, after: int) -> None:
        """Lets nothing pass any more, once so many bytes more have passed, until `release`."""
        self._arm(direction, after, cut=False)

    def release(self) -> None:
        self._free.set()

    def settle(self) -> None:
        """Waits until nothing passes any more on the connections that there have been: their ends are dead."""
        for pump in self._pumps:
            pump.join(30)
            assert not pump.is_alive()

    def close(self) -> None:
        """No new connections from now on."""
        self._listener.close()
        self.release()

    def _arm(self, direction: Direction, after: int, cut: bool) -> None:
        self.reached.clear()
        self._fault = (direction, self.bytes[direction] + after, cut)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            for source, sink, direction in ((client, server, "up"), (server, client, "down")):
                pump = threading.Thread(target=self._pump, args=(source, sink, direction), daemon=True)
                pump.start()
                self._pumps.append(pump)

    def _pump(self, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(1 << 16)) and self._passes(direction, len(data)):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _passes(self, direction: Direction, size: int) -> bool:
        with self._lock:
            self.bytes[direction] += size
            fault = self._fault
            if fault is not None and fault[0] == direction and self.bytes[direction] > fault[1]:
                self._fault = None
                self.reached.set()
                if fault[2]:
                    return False
                self._free.clear()
        self._free.wait()
        return True
