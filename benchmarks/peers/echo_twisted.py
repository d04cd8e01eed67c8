"""Twisted: an echo server of `Protocol` objects on the reactor that it takes by default, epoll's on Linux."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol

from benchmarks.peers.stopwatch import report, version


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


if __name__ == "__main__":
    port = reactor.listenTCP(0, Factory.forProtocol(Echo), backlog=1024, interface="127.0.0.1")
    report(version("twisted"), port=port.getHost().port)
    reactor.run()
