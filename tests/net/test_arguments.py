"""Arguments that cannot be meant are refused when the component is made, with a sentence."""

from __future__ import annotations

import math

import pytest

from kamaelia import run
from kamaelia.axon import ComponentsFailed, LinkError, UsageError
from kamaelia.net import CannotConnect, CannotListen, Reconnect, TCPClient, TCPServer

from .parts import Echo

LESS_THAN_NONE = [
    ("x", TypeError), (True, TypeError), (-1, ValueError), (math.nan, ValueError), (math.inf, ValueError),
]  # fmt: skip
NO_TIMES = [*LESS_THAN_NONE, (0, ValueError)]
NO_COUNTS = [
    (0, ValueError),
    (-1, ValueError),
    (None, TypeError),
    (1.5, TypeError),
    (True, TypeError),
    ("5", TypeError),
]
NO_PORTS = [
    (-1, ValueError),
    (65536, ValueError),
    ("80", TypeError),
    (None, TypeError),
    (1.5, TypeError),
    (True, TypeError),
]
PORT = "a port from 0 (any that is free) to 65535"
TO_SERVER = {
    "port": ([*NO_PORTS, (10**20, ValueError)], PORT),
    "host": (
        [([], ValueError), ((), ValueError), (5, TypeError), (b"127.0.0.1", TypeError), ([5], TypeError),
         ("127.0.0.1\0", ValueError)],
        "a name or address, several in a list, or None for all of this machine",
    ),
    "limit": (NO_COUNTS, "how many may be connected, 1 or more"),
    "backlog": (NO_COUNTS, "how many may wait, 1 or more"),
    "idle_timeout": (NO_TIMES, "seconds, more than 0, or None for never"),
    "stall_timeout": (NO_TIMES, "seconds, more than 0, or None for never"),
    "linger": ([*LESS_THAN_NONE, (None, TypeError)], "seconds, 0 or more"),
    "size": (
        [(0, ValueError), (-1, ValueError), ("x", ValueError), ("0 KiB", ValueError), (1.5, TypeError),
         (None, TypeError), (True, TypeError)],
        "bytes, as a number (1 or more) or like '256 KiB'",
    ),
}  # fmt: skip
TO_CLIENT = {
    "port": ([*NO_PORTS, (0, ValueError)], "the server's port, from 1 to 65535"),
    "host": (
        [
            ("", ValueError),
            ("a\0", ValueError),
            (None, TypeError),
            (5, TypeError),
            (["127.0.0.1"], TypeError),
        ],
        "the name or address of the server",
    ),
    "connect_timeout": ([*NO_TIMES, (None, TypeError)], "seconds, more than 0"),
    "idle_timeout": TO_SERVER["idle_timeout"],
    "stall_timeout": TO_SERVER["stall_timeout"],
    "linger": TO_SERVER["linger"],
    "reconnect": (
        [(5, TypeError), ("yes", TypeError), (Reconnect, TypeError)],
        "True, False or a Reconnect()",
    ),
}
TO_RECONNECT = {
    "initial": (NO_TIMES, "seconds, more than 0"),
    "limit": (NO_TIMES, "seconds, more than 0"),
    "factor": (
        [("x", TypeError), (0.9, ValueError), (math.nan, ValueError), (math.inf, ValueError)],
        "a number, 1 or more",
    ),
    "jitter": (
        [(None, TypeError), (-0.1, ValueError), (1.1, ValueError), (math.nan, ValueError)],
        "a number from 0 to 1",
    ),
    "attempts": (
        [case for case in NO_COUNTS if case[0] is not None],
        "how often to try, 1 or more, or None for no limit",
    ),
}


def make_server(**options):
    return TCPServer(Echo, **{"port": 0, **options})


def make_client(**options):
    return TCPClient(**{"host": "127.0.0.1", "port": 1500, **options})


def cases():
    for table, make, what in (
        (TO_SERVER, make_server, "TCPServer"),
        (TO_CLIENT, make_client, "TCPClient"),
        (TO_RECONNECT, Reconnect, "Reconnect"),
    ):
        for name, (values, give) in table.items():
            for value, kind in values:
                said = f"{what}({name}={value!r}): give {give}"
                yield pytest.param(make, {name: value}, kind, said, id=f"{what}-{name}-{value!r:.20}")


@pytest.mark.parametrize(("make", "options", "kind", "said"), list(cases()))
def test_what_cannot_be_meant_is_refused_at_once(make, options, kind, said):
    with pytest.raises(kind) as caught:
        make(**options)
    assert str(caught.value) == said


@pytest.mark.parametrize("protocol", [None, 5, "Echo", [Echo]])
def test_what_is_no_protocol_is_refused_at_once(protocol):
    with pytest.raises(
        TypeError, match=r"TCPServer\(.*\): give what serves a visitor: a component, its class, or a"
    ):
        TCPServer(protocol, port=0)


def test_a_class_that_is_no_component_is_refused_at_once():
    with pytest.raises((UsageError, LinkError)):
        TCPServer(str, port=0)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        *((make_server, {name: None}) for name in ("idle_timeout", "stall_timeout", "host")),
        *((make_client, {name: None}) for name in ("idle_timeout", "stall_timeout", "reconnect")),
        *((make, {"linger": 0}) for make in (make_server, make_client)),
        *((make_server, {"host": host}) for host in ("::1", ["127.0.0.1", "::1"], ("127.0.0.1",))),
        *((make_server, {"size": size}) for size in (1, "1 B", "1 MB")),
        *((make_client, {"reconnect": policy}) for policy in (True, False, Reconnect(attempts=1, jitter=0))),
        (Reconnect, {"factor": 1, "jitter": 1}),
    ],
)
def test_what_can_be_meant_is_taken(make, options):
    make(**options)


@pytest.mark.parametrize("name", ["a..b", "\u00fc" * 100])
def test_a_name_that_cannot_be_looked_up(new_loop, name):
    for part, kind in (
        (TCPClient(name, 80), CannotConnect),
        (TCPClient(name, 80, reconnect=Reconnect(initial=0.001, attempts=2)), CannotConnect),
        (TCPServer(Echo, port=0, host=name, quiet=True), CannotListen),
    ):
        with pytest.raises(ComponentsFailed) as caught:
            run(part, loop_factory=new_loop)
        (error,) = caught.value.exceptions
        assert isinstance(error, kind)
        assert f"{name}:" in str(error) and "check how it is spelt" in str(error)
