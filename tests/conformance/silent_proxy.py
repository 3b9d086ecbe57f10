"""Connections that die as those of a machine that vanishes: nobody is told."""

import socket
import threading


class SilentProxy:
    """Passes connections on to a gateway, until silence(): then those that are
    open, and as many new ones as it is told, pass nothing more and stay open.
    """

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self._target = host, int(port)
        self._changed = threading.Condition()
        self._generation = 0
        self._mute = 0
        self.silent_connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def silence(self, new_connections):
        with self._changed:
            self._generation += 1
            self._mute = new_connections

    def close(self):
        # Wakes the thread that accepts, which closing alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._changed:
            for end in self._sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # The other end was faster.

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._changed:
                self._sockets.append(client)
                generation = self._generation
                if self._mute > 0:
                    self._mute -= 1
                    self.silent_connections += 1
                    continue
            server = socket.create_connection(self._target)
            with self._changed:
                self._sockets.append(server)
            for source, sink in (client, server), (server, client):
                threading.Thread(target=self._pump, daemon=True,
                                 args=(source, sink, generation)).start()

    def _pump(self, source, sink, generation):
        try:
            while data := source.recv(65536):
                with self._changed:
                    if generation != self._generation:
                        continue
                sink.sendall(data)
            with self._changed:
                if generation != self._generation:
                    return
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # The other direction was faster.
