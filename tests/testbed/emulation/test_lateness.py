"""How late packets were, and how much there was to do: exact figures from what is counted."""

import errno

import pytest

from kamaelia.testbed.emulation import lateness
from kamaelia.testbed.emulation.lateness import Lateness, Load
from kamaelia.testbed.emulation.packets import Reader
from kamaelia.testbed.forms import forms

pytestmark = [pytest.mark.one_core]


@pytest.fixture
def now(monkeypatch):
    """The time in nanoseconds, in a list."""
    time = [0]
    monkeypatch.setattr(lateness, "monotonic_nanoseconds", lambda: time[0])
    monkeypatch.setattr(lateness, "thread_time", lambda: time[0] / 2e9)
    return time


def test_quantiles_are_those_of_the_packets_in_whole_microseconds_rounded_up(now) -> None:
    load = Load(["a"])
    for microseconds in range(1, 1001):
        load.late(microseconds * 1000 - 500)
    assert load.lateness() == Lateness(1000, 0.0005, 0.00099, 0.0009995)


def test_one_that_was_very_late_is_the_greatest_and_nothing_more(now) -> None:
    load = Load(["a"])
    for _ in range(99):
        load.late(10_200)
    load.late(3_000_000_000)
    assert load.lateness() == Lateness(100, 11e-6, 11e-6, 3.0)


def test_nothing_was_late_where_nothing_was(now) -> None:
    assert Load([]).lateness() == Lateness(0, 0.0, 0.0, 0.0)


def test_the_busiest_second_of_a_host_is_found_and_too_much_is_warned_of(now) -> None:
    load = Load(["a", "b"])
    load.is_urgent = True
    a = load.of["a"]
    for packets, size in ((10, 1000), (16_000, 16_000_000), (5, 500)):
        a.packets_in += packets
        a.bytes_out += size
        now[0] += 10**9
        load.look(now[0])
    a.refuse(OSError(errno.EINVAL, "no"))
    report = load.report(Reader(forms().Packet, {}))
    assert report.busiest == {"packets": 16_000.0, "bits": 128_000_000.0}
    assert report.refused == {"EINVAL": 1}
    assert report.warnings == (
        "a host sent or received 16,000 packets in a second; the box is made for 15,000, "
        "and was 0 s late at p99",
        "a host sent or received 128,000,000 bits in a second; the box is made for 100,000,000, "
        "and was 0 s late at p99",
    )
    assert str(report).splitlines()[:2] == [
        "0 packets left the box late by p50 0 s, p99 0 s, max 0 s",
        "the busiest second of a host: 16,000 packets, 128 Mbit/s; the box used 50 % of a processor",
    ]


def test_a_little_more_than_is_guaranteed_is_no_reason_to_warn(now) -> None:
    load = Load(["a"])
    load.of["a"].packets_out = 15_100
    now[0] = 10**9
    assert load.report(Reader(forms().Packet, {})).warnings == ()
