"""The parts for multicast on the loopback, in IPv4; the rest is in `test_multicast_namespaces`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import pickle
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import Graphline, background, component, run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Source
from kamaelia.net import (
    CannotListen,
    Datagram,
    GroupDatagram,
    JoinGroup,
    LeaveGroup,
    MulticastReceiver,
    MulticastSender,
    MulticastTransceiver,
    UDPSender,
    options,
)
from kamaelia.net.multicast import Membership, address_of

from .conftest import WAIT
from .parts import source

HERE = "127.0.0.1"
PORTS = itertools.count(42_000 + os.getpid() % 500 * 20)  # groups do not tell runs of the tests apart


@pytest.fixture
def port() -> int:
    return next(PORTS)


@contextlib.contextmanager
def receiving(new_loop: Any, group: Any, port: int, **how: Any) -> Iterator[tuple[Any, Any]]:
    """Run a receiver in the background; yields it, and its handle, once it hears."""
    receiver = MulticastReceiver(group, port, interface=HERE, quiet=True, **how)
    with background(receiver, loop_factory=new_loop) as handle:
        if group is not None:
            handle.receive("listening", timeout=WAIT)
        yield receiver, handle


def send(group: str, port: int, *data: bytes, local: str | None = None, **how: Any) -> None:
    where = None if local is None else (local, 0)
    run(Source(data) | MulticastSender(group, port, interface=HERE, local=where, **how))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def all_bytes(receiver: Any, handle: Any) -> list[bytes]:
    """Return all that has come, after something has come that was sent last."""
    return [handle.receive(timeout=WAIT) for _ in range(receiver.statistics().received)]


# --- groups do not mix ------------------------------------------------------------------------------


def test_each_receiver_of_a_group_on_a_machine_gets_everything(new_loop, port):
    with (
        receiving(new_loop, "239.255.1.1", port) as (_, one),
        receiving(new_loop, "239.255.1.1", port) as (_, two),
        receiving(new_loop, "239.255.1.1", port) as (_, three),
    ):
        send("239.255.1.1", port, b"a", b"b")
        for handle in (one, two, three):
            assert [handle.receive(timeout=WAIT) for _ in range(2)] == [b"a", b"b"]


def test_two_groups_on_one_port_do_not_mix(new_loop, port):
    with (
        receiving(new_loop, "239.255.1.1", port) as (first, one),
        receiving(new_loop, "239.255.1.2", port) as (second, two),
        receiving(new_loop, ["239.255.1.1", "239.255.1.2"], port) as (third, both),
    ):
        for n in range(20):
            send(f"239.255.1.{1 + n % 2}", port, b"%d" % n)
        until(lambda: third.statistics().received == 20)
        until(lambda: first.statistics().received + second.statistics().received >= 20)
        assert all_bytes(first, one) == [b"%d" % n for n in range(0, 20, 2)]
        assert all_bytes(second, two) == [b"%d" % n for n in range(1, 20, 2)]
        heard = all_bytes(third, both)  # in order within each group, and in none between them
        assert [data for data in heard if int(data) % 2 == 0] == [b"%d" % n for n in range(0, 20, 2)]
        assert [data for data in heard if int(data) % 2 == 1] == [b"%d" % n for n in range(1, 20, 2)]


def test_a_socket_that_is_bound_to_any_address_does_not_take_from_ours_nor_give_to_it(new_loop, port):
    """Another program on this port has joined another group, in the way of most programs."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("0.0.0.0", port))
        other.settimeout(WAIT)
        other.setsockopt(
            socket.IPPROTO_IP,
            socket.IP_ADD_MEMBERSHIP,
            socket.inet_aton("239.255.1.9") + socket.inet_aton(HERE),
        )
        with receiving(new_loop, "239.255.1.1", port) as (receiver, handle):
            send("239.255.1.9", port, b"theirs")
            assert other.recv(10) == b"theirs"
            send("239.255.1.1", port, b"ours")
            assert handle.receive(timeout=WAIT) == b"ours"
            assert receiver.statistics().received == 1


def test_fifty_groups_and_each_datagram_once_and_with_its_group(new_loop, port):
    groups = [f"239.255.2.{n}" for n in range(50)]
    with receiving(new_loop, groups, port) as (receiver, handle):
        assert receiver.joined == groups
        for n, group in enumerate(groups):
            send(group, port, b"%d" % n)
            datagram = handle.receive("datagrams", timeout=WAIT)
            assert (datagram.data, datagram.group, datagram.address[0]) == (b"%d" % n, group, HERE)
            assert handle.receive(timeout=WAIT) == b"%d" % n
        assert receiver.statistics().received == 50


# --- at run time ------------------------------------------------------------------------------------


def test_joining_and_leaving_at_run_time(new_loop, port):
    with receiving(new_loop, None, port) as (receiver, handle):
        handle.send(JoinGroup("239.255.1.1"), "groups")
        handle.send(JoinGroup("239.255.1.2"), "groups")
        until(lambda: receiver.joined == ["239.255.1.1", "239.255.1.2"])
        send("239.255.1.1", port, b"one")
        send("239.255.1.2", port, b"two")
        assert [handle.receive(timeout=WAIT) for _ in range(2)] == [b"one", b"two"]
        handle.send(LeaveGroup("239.255.1.1"), "groups")
        until(lambda: receiver.joined == ["239.255.1.2"])
        send("239.255.1.1", port, b"nobody hears it")
        send("239.255.1.2", port, b"two again")
        assert handle.receive(timeout=WAIT) == b"two again"
        handle.send(JoinGroup("239.255.1.1"), "groups")
        until(lambda: len(receiver.joined) == 2)
        send("239.255.1.1", port, b"one again")
        assert handle.receive(timeout=WAIT) == b"one again"
        assert receiver.statistics().received == 4


def test_what_a_socket_has_met_is_counted_also_when_its_group_has_been_left(new_loop, port, caplog):
    with receiving(new_loop, "239.255.1.1", port) as (receiver, handle):
        (member,) = receiver._all_ports()
        receiver.get_loop().call_soon_threadsafe(member.error_received, OSError(5, "on purpose"))
        until(lambda: receiver.statistics().errors == 1)
        handle.send(LeaveGroup("239.255.1.1"), "groups")
        until(lambda: receiver.joined == [])
        assert member.closed
        assert receiver.statistics().errors == 1
    assert receiver.statistics().errors == 1


def test_what_cannot_be_joined_or_left_is_logged_and_counted(new_loop, port, caplog):
    with receiving(new_loop, "239.255.1.1", port, limit=2) as (receiver, handle):
        for change in (
            LeaveGroup("239.255.1.7"),
            JoinGroup("239.255.1.1"),  # once more, which changes nothing
            JoinGroup("239.255.1.1", source=HERE),
            LeaveGroup("239.255.1.1", source=HERE),
            JoinGroup("239.255.1.2"),
            JoinGroup("239.255.1.3"),
            JoinGroup("239.255.1.2", source="no.such.host.invalid"),
        ):
            handle.send(change, "groups")
        until(lambda: receiver.statistics().errors == 5)
        assert receiver.joined == ["239.255.1.1", "239.255.1.2"]
    lines = [one.getMessage() for one in caplog.records if "could not" in one.getMessage()]
    assert lines[:4] == [
        "MulticastReceiver could not leave 239.255.1.7: it was not joined",
        "MulticastReceiver could not join 239.255.1.1 for 127.0.0.1: it is heard from any source already: "
        "leave it first",
        "MulticastReceiver could not leave 239.255.1.1 for 127.0.0.1: it was not joined for 127.0.0.1",
        "MulticastReceiver could not join 239.255.1.3: there are 2 groups, which is its limit=",
    ]
    assert len(lines) == 5


def test_what_is_no_change_of_groups_is_a_type_error(new_loop, port):
    receiver = MulticastReceiver("239.255.1.1", port, interface=HERE, quiet=True)
    sent = source(["239.255.1.2"])
    with pytest.raises(ComponentsFailed) as caught:
        run(Graphline(sent.outbox >> receiver.groups), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert isinstance(error, TypeError)
    assert "'239.255.1.2' says nothing about groups: send JoinGroup or LeaveGroup" in str(error)


@pytest.mark.one_core()
def test_a_group_has_one_socket_however_its_address_is_written(new_loop, port):
    receiver = MulticastReceiver(["ff11::7", "FF11:0::7"], port, interface="lo", quiet=True)
    with background(receiver, loop_factory=new_loop) as handle:
        assert handle.receive("listening", timeout=WAIT) == ("ff11::7", port)
        handle.send(JoinGroup("FF11::7"), "groups")
        handle.send(JoinGroup("FF11::8"), "groups")
        until(lambda: receiver.joined == ["ff11::7", "ff11::8"])
        handle.send(LeaveGroup("ff11:0:0::7"), "groups")
        until(lambda: receiver.joined == ["ff11::8"])
    assert receiver.statistics().errors == 0


@pytest.mark.one_core()
@pytest.mark.parametrize("said", ["fe80::1%eth0", "FE80::1", "fe80:0::0:1"])
def test_a_source_is_compared_as_an_address_and_not_as_a_text(said):
    membership = Membership("ff11::7", None, None)
    membership.sources = {asyncio.run(address_of(said, "ff11::7")): None}
    assert membership.hears(("fe80::1%eth1", 5004, 0, 2)) and membership.hears(("fe80::1", 5004))
    assert not membership.hears(("fe80::2%eth0", 5004, 0, 2))


# --- sources ----------------------------------------------------------------------------------------


def test_a_source_specific_receiver_does_not_hear_others(new_loop, port):
    with receiving(new_loop, "232.1.1.1", port, source=HERE) as (receiver, handle):
        send("232.1.1.1", port, b"not heard", local="127.0.0.2")
        send("232.1.1.1", port, b"heard", local=HERE)
        assert handle.receive(timeout=WAIT) == b"heard"
        assert receiver.statistics().received == 1


def test_sources_are_joined_and_left_one_by_one(new_loop, port):
    with receiving(new_loop, "232.1.1.1", port, source=[HERE, "127.0.0.2"]) as (receiver, handle):

        def heard() -> list[bytes]:
            for local in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
                send("232.1.1.1", port, local.encode(), local=local)
            send("232.1.1.1", port, b"all", local="127.0.0.2")  # from where it is always heard
            return list(iter(lambda: handle.receive(timeout=WAIT), b"all"))

        assert heard() == [b"127.0.0.1", b"127.0.0.2"]
        handle.send(LeaveGroup("232.1.1.1", HERE), "groups")
        handle.send(JoinGroup("232.1.1.1", "127.0.0.3"), "groups")
        until(
            lambda: receiver.groups.statistics().received == 2 and receiver.groups.statistics().readers == 1
        )
        assert heard() == [b"127.0.0.2", b"127.0.0.3"]
        handle.send(LeaveGroup("232.1.1.1", "127.0.0.2"), "groups")
        handle.send(LeaveGroup("232.1.1.1", "127.0.0.3"), "groups")
        until(lambda: receiver.joined == [])
        send("232.1.1.1", port, b"nobody hears it", local="127.0.0.2")
    assert receiver.statistics().received == 6


# --- sending ----------------------------------------------------------------------------------------


def test_a_sender_sets_its_options_on_its_socket(new_loop, port):
    sender = MulticastSender("239.255.1.1", port, ttl=7, loop=False, interface=HERE)
    with background(sender, loop_factory=new_loop) as handle:
        handle.send(b"x")
        until(lambda: sender.statistics().sent == 1)
        sock = sender._ports[socket.AF_INET].socket
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 7
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 0
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4) == socket.inet_aton(HERE)


def test_a_sender_may_change_its_group_and_send_to_others(new_loop, port):
    with receiving(new_loop, ["239.255.1.1", "239.255.1.2"], port) as (_, handle):
        sender = MulticastSender("239.255.1.1", port, interface=HERE)
        with background(sender, loop_factory=new_loop) as sending:
            sending.send(b"one")
            assert handle.receive("datagrams", timeout=WAIT).group == "239.255.1.1"
            sending.send(("239.255.1.2", port), "target")
            until(lambda: sender.target.statistics().received == 1)
            sending.send(b"two")
            assert handle.receive("datagrams", timeout=WAIT).group == "239.255.1.2"
            sending.send(Datagram(b"aside", ("239.255.1.1", port)), "datagrams")
            assert handle.receive("datagrams", timeout=WAIT).group == "239.255.1.1"


def test_the_interface_may_be_a_name_or_a_number(new_loop, port):
    for interface in ("lo", socket.if_nametoindex("lo")):
        receiver = MulticastReceiver("239.255.1.1", port, interface=interface, quiet=True)
        with background(receiver, loop_factory=new_loop) as handle:
            handle.receive("listening", timeout=WAIT)
            run(Source([b"x"]) | MulticastSender("239.255.1.1", port, interface=interface))
            assert handle.receive(timeout=WAIT) == b"x"
            handle.send(JoinGroup("232.1.1.1", HERE), "groups")
            until(lambda receiver=receiver: len(receiver.joined) == 2)
            sender = MulticastSender("232.1.1.1", port, interface=interface, local=(HERE, 0))
            run(Source([b"y"]) | sender)
            assert handle.receive(timeout=WAIT) == b"y"


# --- a transceiver ------------------------------------------------------------------------------------


def test_transceivers_hear_one_another_and_themselves(new_loop, port):
    def make() -> MulticastTransceiver:
        return MulticastTransceiver("239.255.1.1", port, interface=HERE, quiet=True)

    with (
        background(make(), loop_factory=new_loop) as one,
        background(make(), loop_factory=new_loop) as two,
    ):
        for handle in (one, two):
            handle.receive("listening", timeout=WAIT)
        one.send(b"from one")
        addresses = []
        for handle in (one, two):
            assert handle.receive(timeout=WAIT) == b"from one"
            addresses.append(handle.receive("datagrams", timeout=WAIT).address)
        assert addresses[0] == addresses[1]
        two.send(b"from two")
        for handle in (one, two):
            assert handle.receive(timeout=WAIT) == b"from two"
            assert handle.receive("datagrams", timeout=WAIT).address != addresses[0]


def test_the_end_of_what_a_transceiver_says_is_not_its_end(new_loop, port):
    room = MulticastTransceiver("239.255.1.1", port, interface=HERE, quiet=True)
    system = Source([b"hello"]) | room | Collect()
    with background(system, loop_factory=new_loop) as handle:
        until(lambda: room.statistics().received == 1)
        send("239.255.1.1", port, b"you")
        until(lambda: room.statistics().received == 2)
        assert not system.done()
    assert handle.result == [b"hello", b"you"]
    assert (room.statistics().sent, room.statistics().bytes_out) == (1, 5)


def test_what_feeds_a_transceiver_fails(new_loop, port):
    @component
    async def fails(inbox, outbox):
        await outbox.send(b"last words")
        raise RuntimeError("oh")

    with receiving(new_loop, "239.255.1.1", port) as (_, handle):
        room = MulticastTransceiver("239.255.1.1", port, interface=HERE, quiet=True)
        with pytest.raises(ComponentsFailed) as caught:
            run(fails() | room | Collect(), loop_factory=new_loop)
        assert [str(error) for error in caught.value.exceptions] == ["oh"]
        assert handle.receive(timeout=WAIT) == b"last words"


# --- strangers, what is left, what is refused ---------------------------------------------------------


def test_a_stranger_is_heard(new_loop, port):
    with receiving(new_loop, "239.255.1.1", port) as (_, handle):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(HERE))
            stranger.sendto(b"hello", ("239.255.1.1", port))
            assert handle.receive("datagrams", timeout=WAIT) == (b"hello", (HERE, stranger.getsockname()[1]))


def test_cancelling_leaves_no_socket(new_loop, port):
    for part in (
        MulticastReceiver(["239.255.1.1", "239.255.1.2"], port, interface=HERE, quiet=True),
        MulticastTransceiver("239.255.1.1", port, interface=HERE, quiet=True),
    ):
        with pytest.raises(RuntimeError), background(part, loop_factory=new_loop) as handle:
            handle.receive("listening", timeout=WAIT)
            raise RuntimeError("leaving by an exception cancels")
    gc.collect()  # a forgotten socket would warn


def test_an_interface_that_is_not_there_is_an_error_that_says_so(new_loop, port):
    for part in (
        MulticastReceiver("239.255.1.1", port, interface="nothing0", quiet=True),
        MulticastReceiver("239.255.1.1", port, interface="192.0.2.99", quiet=True),
    ):
        with pytest.raises(ComponentsFailed) as caught:
            run(part, loop_factory=new_loop)
        (error,) = caught.value.exceptions
        assert isinstance(error, CannotListen)
        assert str(error) == (
            f"MulticastReceiver: there is no such interface, or no route to 239.255.1.1:{port}: say "
            "interface=, such as 'eth0'"
        )


def test_a_sender_without_such_an_interface_says_so(new_loop, port):
    with pytest.raises(ComponentsFailed) as caught:
        run(
            Source([b"x"]) | MulticastSender("239.255.1.1", port, interface="nothing0"), loop_factory=new_loop
        )
    (error,) = caught.value.exceptions
    assert "MulticastSender cannot send" in str(error)
    assert "interface" in str(error)


@pytest.mark.one_core()
def test_a_datagram_of_a_group_is_a_datagram_and_can_be_pickled():
    one = GroupDatagram.to_group(b"x", (HERE, 1), "239.1.1.1")
    data, address = one
    again = pickle.loads(pickle.dumps(one))
    assert (data, address, again, again.group) == (b"x", (HERE, 1), one, "239.1.1.1")
    assert isinstance(one, Datagram)
    assert repr(again) == "GroupDatagram(data=b'x', address=('127.0.0.1', 1), group='239.1.1.1')"


@pytest.mark.one_core()
@pytest.mark.parametrize(
    "make, text",
    [
        (
            lambda: MulticastReceiver("10.0.0.1", 9),
            "MulticastReceiver(group='10.0.0.1'): give the addre",
        ),
        (lambda: MulticastReceiver(7, 9), "MulticastReceiver(group=7): give the address of a group"),
        (lambda: MulticastReceiver("239.1.1.1", 0), "MulticastReceiver(port=0): give a port from 1 to 65535"),
        (lambda: MulticastReceiver("239.1.1.1", 9, source=[]), "MulticastReceiver(source=[]): give a sender"),
        (
            lambda: MulticastReceiver("239.1.1.1", 9, source="239.1.1.2"),
            "give the name or address of a sender",
        ),
        (
            lambda: MulticastReceiver("239.1.1.1", 9, interface=0),
            "MulticastReceiver(interface=0): give",
        ),
        (
            lambda: MulticastReceiver("239.1.1.1", 9, limit=0),
            "MulticastReceiver(limit=0): give how",
        ),
        (lambda: MulticastSender("239.1.1.1", 9, ttl=256), "MulticastSender(ttl=256): give over how many"),
        (lambda: MulticastSender("239.1.1.1", 9, loop=1), "MulticastSender(loop=1): give True or False"),
        (lambda: MulticastSender("host", 9), "MulticastSender(group='host'): give the address of a group"),
        (
            lambda: MulticastTransceiver(None, 9),
            "MulticastTransceiver(group=None): give the addr",
        ),
        (lambda: JoinGroup("10.0.0.1"), "JoinGroup(group='10.0.0.1'): give the address of a group"),
        (
            lambda: LeaveGroup("239.1.1.1", source=7),
            "LeaveGroup(source=7): give the name or address of a sender",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(make, text):
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert text in str(caught.value)


# --- what the kernel is told --------------------------------------------------------------------------


@pytest.mark.one_core()
def test_the_options_of_memberships():
    group, here, source_ = bytes([239, 1, 2, 3]), bytes([127, 0, 0, 1]), bytes([10, 0, 0, 9])
    index = socket.if_nametoindex("lo").to_bytes(4, "little")
    assert options.membership("239.1.2.3", None, None) == (0, 35, group + bytes(4))
    assert options.membership("239.1.2.3", None, HERE) == (0, 35, group + here)
    assert options.membership("239.1.2.3", None, HERE, leave=True) == (0, 36, group + here)
    assert options.membership("239.1.2.3", None, "lo") == (0, 35, group + bytes(4) + index)
    assert options.membership("239.1.2.3", "10.0.0.9", HERE) == (0, 39, group + here + source_)
    assert options.membership("239.1.2.3", "10.0.0.9", None, leave=True) == (
        0,
        40,
        group + bytes(4) + source_,
    )
    v6 = socket.inet_pton(socket.AF_INET6, "ff15::1")
    assert options.membership("ff15::1", None, "lo") == (41, 20, v6 + index)
    (level, number, value) = options.membership("ff15::1", "fd00::9", "lo")
    assert (level, number, len(value)) == (41, 46, 8 + 2 * 128)
    assert (value[:4], value[16:32]) == (index, v6)
    assert value[8 + 128 + 8 : 8 + 128 + 24] == socket.inet_pton(socket.AF_INET6, "fd00::9")


@pytest.mark.one_core()
def test_source_memberships_elsewhere_say_that_they_are_for_linux(monkeypatch):
    monkeypatch.setattr(options, "LINUX", False)
    with pytest.raises(NotImplementedError, match="source-specific multicast is for Linux so far"):
        options.membership("239.1.2.3", "10.0.0.9", None)


def test_where_groups_have_no_address_to_bind_to_they_are_kept_apart_by_what_was_joined(
    new_loop, port, monkeypatch
):
    monkeypatch.setattr(options, "BIND_TO_GROUP", False)
    test_two_groups_on_one_port_do_not_mix(new_loop, port)
    with receiving(new_loop, "239.255.1.1", port) as (_, handle):
        run(Source([b"x"]) | UDPSender(HERE, port))  # nobody has sent this to a group
        assert handle.receive(timeout=WAIT) == b"x"
