"""Upstream Kamaelia: its `SimpleServer` with a component that echoes for each connection.

It waits with `select`, so that a thousand connections are about as many as it can hold. It takes no port 0: a
free one is found beforehand.
"""

from __future__ import annotations

from Axon.Component import component
from Axon.Ipc import producerFinished, shutdownMicroprocess
from Kamaelia.Chassis.ConnectedServer import SimpleServer

from benchmarks.peers.stopwatch import report, version
from tools.ports import free_port


class Echo(component):
    def main(self):
        while True:
            while self.dataReady("inbox"):
                self.send(self.recv("inbox"), "outbox")
            if self.dataReady("control"):
                if isinstance(self.recv("control"), (producerFinished, shutdownMicroprocess)):
                    break
            elif not self.anyReady():
                self.pause()
            yield 1
        self.send(producerFinished(self), "signal")


if __name__ == "__main__":
    port = free_port()
    report(f"upstream {version('kamaelia')}", port=port)
    SimpleServer(protocol=Echo, port=port).run()
