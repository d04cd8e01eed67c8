"""The same server and the same clients, on the hosts of a simulated network."""

from __future__ import annotations

import pytest

from kamaelia.flow import Collect, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network

from .parts import Echo, gather, source

DATA = bytes(range(256)) * 400


def star(clients: int, **link: object) -> Network:
    network = Network()
    server = network.host("server").run(TCPServer(Echo(), port=1500, quiet=True))
    for number in range(clients):
        chunks = [DATA[start : start + 5000] for start in range(0, len(DATA), 5000)]
        phone = network.host(f"phone-{number}").run(source(chunks) | TCPClient("server", 1500) | gather)
        network.link(server, phone, **link)
    return network


@pytest.mark.parametrize("loss", [0, 0.05])
def test_every_byte_comes_back_over_a_simulated_network(loss):
    trace = star(5, rate="20 Mbit/s", delay="20 ms", loss=loss).simulate(seconds=60, seed=7)
    for number in range(5):
        assert trace.results[f"phone-{number}"] == DATA


def test_a_simulated_server_tells_nobody_at_a_terminal_where_it_listens(capsys, caplog, core_form):
    network = Network()
    server, phone = network.host("server"), network.host("phone")
    network.link(server, phone, delay="1 ms")
    server.run(TCPServer(Echo, port=1500))
    phone.run(Source([b"hello"]) | TCPClient("server", 1500) | Collect())
    with caplog.at_level("INFO", logger="kamaelia"):
        assert network.simulate(seconds=10, seed=1).results["phone"] == [b"hello"]
    assert capsys.readouterr() == ("", "")
    (line,) = (record.getMessage() for record in caplog.records if "Try:" in record.getMessage())
    form = {"compiled": "compiled", "plain": "plain Python"}[core_form]
    assert line.startswith(f"server: kamaelia 2.0 ({form} core, virtual time): TCPServer listens on ")
