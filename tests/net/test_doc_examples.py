"""The examples in the docstrings of the net room."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ["connection", "datagram", "errors", "multicast", "multicast_receiver", "multicast_sender"]
MODULES += ["multicast_transceiver", "options", "stream", "tcp_client", "tcp_server"]
MODULES += ["udp_peer", "udp_receiver", "udp_sender", "udp_server"]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(f"kamaelia.net.{name}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
    assert result.attempted > 0 or name == "stream"
