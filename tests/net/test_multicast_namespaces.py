"""Multicast between network namespaces of this machine, over a veth: what the loopback cannot do.

IPv6 multicast fails on ``lo``; and what leaves by a real interface comes back only as ``loop`` says.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import WAIT

pytestmark = [pytest.mark.needs("program:ip", "right:namespaces"), pytest.mark.one_core(), pytest.mark.once]

# Prints one line of JSON when it hears the group, and one for each datagram, until one says "end".
RECEIVE = """
import asyncio, importlib, json, sys
from kamaelia import background
from kamaelia.net import MulticastReceiver
loop, port, options = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
factory = importlib.import_module(loop).new_event_loop
with background(MulticastReceiver(port=port, quiet=True, **options), loop_factory=factory) as handle:
    print(json.dumps(handle.receive("listening", timeout=20)), flush=True)
    while True:
        datagram = handle.receive("datagrams", timeout=20)
        handle.receive(timeout=20)
        print(json.dumps([datagram.data.decode(), datagram.address[0], datagram.group]), flush=True)
        if datagram.data == b"end":
            break
"""

# Sends each of the datagrams that it is given: [text, group, options].
SEND = """
import asyncio, importlib, json, sys
from kamaelia import run
from kamaelia.flow import Source
from kamaelia.net import MulticastSender
loop, port = sys.argv[1], int(sys.argv[2])
factory = importlib.import_module(loop).new_event_loop
for text, group, options in json.loads(sys.argv[3]):
    local = options.pop("local", None)
    sender = MulticastSender(group, port, local=tuple(local) if local else None, **options)
    run(Source([text.encode()]) | sender, loop_factory=factory)
    assert sender.statistics().errors == 0, sender.statistics()
"""


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop"))])
def loop(request: pytest.FixtureRequest) -> str:
    return request.param


class Wire:
    """Two namespaces, ``left`` with the interface ``va`` and ``right`` with ``vb``, joined by a veth."""

    def __init__(self, left: str, right: str) -> None:
        self.left, self.right = left, right
        self.started: list[subprocess.Popen[str]] = []

    def start(self, where: str, program: str, *words: str) -> subprocess.Popen[str]:
        """Run a program in one of them."""
        command = ["ip", "netns", "exec", where, sys.executable, "-c", program, *words]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        self.started.append(process)
        return process

    def receive(self, loop: str, where: str | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a receiver, on the right if nothing else is said, and wait until it hears its group."""
        process = self.start(where or self.right, RECEIVE, loop, "5004", json.dumps(options))
        assert process.stdout is not None
        if not process.stdout.readline():
            raise AssertionError(process.communicate(timeout=WAIT)[1])
        return process

    def send(self, loop: str, *datagrams: Any) -> None:
        """Send from the left."""
        process = self.start(self.left, SEND, loop, "5004", json.dumps(datagrams))
        _, errors = process.communicate(timeout=WAIT)
        assert process.returncode == 0, errors


@pytest.fixture
def wire(namespaces: tuple[str, str]) -> Iterator[Wire]:
    made = Wire(*namespaces)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def told(process: subprocess.Popen[str]) -> list[list[str]]:
    """Return what a receiver has told, when it has ended."""
    output, errors = process.communicate(timeout=WAIT)
    assert process.returncode == 0, errors
    return [json.loads(line) for line in output.splitlines()]


GROUPS = [("239.255.3.1", "239.255.3.2", "10.99.0.1"), ("ff15::1", "ff15::2", "fd99::1")]


@pytest.mark.parametrize("group, other, address", GROUPS, ids=["IPv4", "IPv6"])
def test_receivers_on_a_machine_get_everything_of_their_group_and_nothing_else(
    wire, loop, group, other, address
):
    receivers = [wire.receive(loop, group=group, interface="vb") for _ in range(2)]
    receivers.append(wire.receive(loop, group=other, interface="vb"))
    both = wire.receive(loop, group=[group, other], interface="vb")
    how = {"interface": "va", "local": [address, 0]}
    wire.send(loop, ["one", group, how], ["two", other, how])
    wire.send(loop, ["end", group, how])  # another program, which takes its time to begin
    for receiver in receivers[:2]:
        assert told(receiver) == [["one", address, group], ["end", address, group]]
    heard = told(both)  # there is no order between groups
    assert sorted(heard) == [["end", address, group], ["one", address, group], ["two", address, other]]
    wire.send(loop, ["end", other, how])
    assert told(receivers[2]) == [["two", address, other], ["end", address, other]]


@pytest.mark.parametrize(
    "group, first, second",
    [("232.3.3.3", "10.99.0.1", "10.99.0.11"), ("ff35::3", "fd99::1", "fd99::11")],
    ids=["IPv4", "IPv6"],
)
def test_a_source_specific_receiver_does_not_hear_the_other_source(wire, loop, group, first, second):
    receiver = wire.receive(loop, group=group, source=first, interface="vb")
    any_source = wire.receive(loop, group=group, interface="vb")
    sent = [(second, "not heard"), (first, "heard"), (second, "nor this"), (first, "end")]
    wire.send(loop, *([text, group, {"interface": "va", "local": [local, 0]}] for local, text in sent))
    assert told(receiver) == [["heard", first, group], ["end", first, group]]
    # What is not for both of them Linux may give to the wrong one, see `kamaelia.net.multicast`.
    everything = [[text, local, group] for local, text in sent]
    heard = told(any_source)
    assert [one for one in heard if one[1] == first] == [one for one in everything if one[1] == first]
    assert all(one in everything for one in heard)


def test_a_group_of_one_link_in_ipv6(wire, loop):
    receiver = wire.receive(loop, group="ff02::7777", interface="vb")
    wire.send(loop, ["end", "ff02::7777", {"interface": "va"}])
    ((text, address, group),) = told(receiver)
    assert (text, group) == ("end", "ff02::7777")
    assert address.startswith("fe80::")


@pytest.mark.parametrize("group, interface", [("239.255.3.1", "10.99.0.1"), ("ff15::1", "va")])
def test_loop_off_is_not_heard_on_the_senders_machine(wire, loop, group, interface):
    here = wire.receive(loop, wire.left, group=group, interface=interface)
    there = wire.receive(loop, group=group, interface="vb")
    silent, loud = ({"interface": interface, "loop": one} for one in (False, True))
    wire.send(loop, ["silent", group, silent], ["end", group, loud])
    assert [text for text, _, _ in told(here)] == ["end"]
    assert [text for text, _, _ in told(there)] == ["silent", "end"]


@pytest.mark.parametrize("group", ["239.255.3.1", "ff15::1"])
def test_a_ttl_of_0_stays_on_the_machine(wire, loop, group):
    here = wire.receive(loop, wire.left, group=group, interface="va")  # without it, Linux lets it out
    there = wire.receive(loop, group=group, interface="vb")
    wire.send(loop, ["stays", group, {"interface": "va", "ttl": 0}], ["end", group, {"interface": "va"}])
    assert [text for text, _, _ in told(here)] == ["stays", "end"]
    assert [text for text, _, _ in told(there)] == ["end"]
