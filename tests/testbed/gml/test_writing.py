"""Networks as GML: one form for each network, from which it can be made again."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed import Host, LinuxTCP, Network, NetworkLink, Rule
from kamaelia.testbed.gml import network_from_gml, parse_gml, to_gml
from kamaelia.testbed.groups import Timing
from kamaelia.testbed.links import (
    CoDel,
    Corruption,
    DropTail,
    Duplication,
    GilbertElliott,
    Normal,
    RateTrace,
    Reordering,
    Uniform,
    UniformLoss,
)
from kamaelia.testbed.settings import DEFAULTS, NAMES
from kamaelia.testbed.topologies import cdn, dumbbell, full_mesh, grid, ring, star, tree

from .networks import DATA, described

pytestmark = [pytest.mark.one_core, pytest.mark.once]


def pair(**link: Any) -> Network:
    network = Network()
    network.link(network.host("a"), network.host("b"), **link)
    return network


def edge_of(network: Network) -> dict[str, Any]:
    """Return what is written of the only link."""
    ((_, graph, _),) = parse_gml(to_gml(network))
    assert isinstance(graph, tuple)
    (edge,) = (one.value for one in graph if one.key == "edge")
    assert isinstance(edge, tuple)
    words = {one.key: one.value for one in edge}
    assert (words.pop("source"), words.pop("target")) == (0, 1)
    if isinstance(words.get("back"), tuple):
        words["back"] = {one.key: one.value for one in words["back"]}  # type: ignore[union-attr,assignment]
    return words


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({}, {}),
        (DEFAULTS, {}),
        ({"delay": "80 ms"}, {"delay": "80 ms"}),
        ({"delay": 0.08}, {"delay": "80 ms"}),
        ({"delay": "0.08 s"}, {"delay": "80 ms"}),
        ({"delay": "80000 us"}, {"delay": "80 ms"}),
        ({"delay": "1 ns"}, {"delay": "1 ns"}),
        ({"delay": "999 ns"}, {"delay": "999 ns"}),
        ({"delay": "1000 ns"}, {"delay": "1 us"}),
        ({"delay": "1234567 ns"}, {"delay": "1.234567 ms"}),
        ({"delay": "1000.000000001 s"}, {"delay": "1000.000000001 s"}),
        ({"delay": "1 h"}, {"delay": "3600 s"}),
        ({"delay": "9 ms", "jitter": "2 ms"}, {"delay": "9 ms", "jitter": "2 ms"}),
        ({"delay": "9 ms", "jitter": Uniform("2 ms")}, {"delay": "9 ms", "jitter": "2 ms"}),
        ({"jitter": 0}, {}),
        ({"reordering": True}, {"reordering": 1}),
        ({"loss": 0.05}, {"loss": "5 %"}),
        ({"loss": UniformLoss("5 %")}, {"loss": "5 %"}),
        ({"loss": 1}, {"loss": "100 %"}),
        ({"loss": 0.1 + 0.2}, {"loss": "30.000000000000004 %"}),
        ({"loss": "0.0001 %"}, {"loss": "0.0001 %"}),
        ({"loss": 1e-20}, {"loss": 1e-20}),
        ({"loss": 1e-300}, {"loss": 1e-300}),
        ({"rate": "2 Mbit/s"}, {"rate": "2 Mbit/s"}),
        ({"rate": 2_000_000}, {"rate": "2 Mbit/s"}),
        ({"rate": "1 kB/s"}, {"rate": "8 kbit/s"}),
        ({"rate": 1e10}, {"rate": "10 Gbit/s"}),
        ({"rate": 1_234_567}, {"rate": "1.234567 Mbit/s"}),
        ({"rate": 0.5}, {"rate": "0.5 bit/s"}),
        ({"rate": 1e-300}, {"rate": 1e-300}),
        ({"rate": 1e300}, {"rate": 1e300}),
        ({"queue": "150 kB"}, {}),
        ({"queue": 150_000}, {}),
        ({"queue": DropTail(bytes=150_000)}, {}),
        ({"queue": "64 KiB"}, {"queue": "64 KiB"}),
        ({"queue": 65_536}, {"queue": "64 KiB"}),
        ({"queue": 65_537}, {"queue": "65537 B"}),
        ({"queue": 3 * 10**9}, {"queue": "3 GB"}),
        ({"queue": "2 MiB"}, {"queue": "2 MiB"}),
        ({"queue": 1e300}, {"queue": 1e300}),
        ({"queue": "100 packets"}, {"queue": "100 packets"}),
        ({"queue": None}, {"queue": "unlimited"}),
        ({"mtu": 9000}, {"mtu": 9000}),
        ({"mtu": "9 kB"}, {"mtu": 9000}),
        ({"duplicate": Duplication("1 %")}, {"duplicate": "1 %"}),
        ({"corrupt": 0.001}, {"corrupt": "0.1 %"}),
        ({"reorder": Reordering(0.25)}, {"reorder": "25 %"}),
        ({"one_way": True}, {}),
        ({"delay": "5 ms", "back": {"delay": 0.005}}, {"delay": "5 ms"}),
        (
            {"delay": "5 ms", "rate": "1 Mbit/s", "back": {"delay": 0, "rate": None, "loss": 0.5}},
            {
                "delay": "5 ms",
                "rate": "1 Mbit/s",
                "back": {"delay": "0 s", "rate": "unlimited", "loss": "50 %"},
            },
        ),
    ],
)
def test_a_link_says_what_is_not_the_default_in_one_way(link: dict[str, Any], words: dict[str, Any]) -> None:
    network = pair(**link)
    assert edge_of(network) == words
    again = network_from_gml(to_gml(network))
    assert described(again) == described(network)


def header_of(network: Network) -> list[str]:
    lines = to_gml(network).splitlines()
    return [line.strip() for line in lines[1 : lines.index("  node [")]]


def test_graphs_say_what_kind_they_are() -> None:
    assert to_gml(Network()) == "graph [\n  directed 0\n]\n"
    assert header_of(pair()) == ["directed 0"]
    assert header_of(pair(one_way=True)) == ["directed 1"]
    both = pair(one_way=True)
    both.link("b", "a", one_way=True)
    assert header_of(both) == ["directed 1"]
    both.link("b", "a", one_way=True)
    assert header_of(both) == ["directed 1", "multigraph 1"]
    mixed = pair()
    mixed.link("b", "a", one_way=True)
    assert header_of(mixed) == ["directed 0", "multigraph 1"]
    assert to_gml(mixed).count("one_way 1") == 1
    network = Network(ipv6=True)
    network.host("a")
    assert header_of(network) == ["directed 0", "ipv6 1"]


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ({"delay": lambda t: 0.1}, "<link a - b>: delay=<function"),
        ({"delay": "9 ms", "jitter": Normal("2 ms")}, "jitter=Normal("),
        ({"delay": "9 ms", "jitter": Uniform("2 ms", correlation=0.5)}, "jitter=Uniform("),
        ({"loss": GilbertElliott.from_rate("1 %", burst=4)}, "<link a - b>: loss=GilbertElliott("),
        ({"rate": RateTrace([(0, "1 Mbit/s")])}, "<link a - b>: rate=<1 rates"),
        ({"rate": lambda t: 1e6}, "rate=<function"),
        ({"queue": CoDel()}, "queue=CoDel("),
        ({"queue": DropTail(packets=5, bytes=5000)}, "queue=DropTail("),
        ({"corrupt": Corruption(0.1, bits=2)}, "corrupt=Corruption("),
        ({"reorder": Reordering(0.1, gap=2)}, "reorder=Reordering("),
        ({"back": {"loss": GilbertElliott.from_rate("1 %", burst=4)}}, "<link a - b>: loss=GilbertElliott("),
    ],
)
def test_what_gml_has_no_words_for_is_refused(link: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)) as caught:
        to_gml(pair(**link))
    assert "cannot be written: GML has no words for models and functions" in str(caught.value)


def test_the_way_back_of_a_link_that_leads_one_way_does_not_matter() -> None:
    assert edge_of(pair(one_way=True, back={"loss": GilbertElliott.from_rate("1 %", burst=4)})) == {}


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("host", {}, {"kind": "host"}),
        ("host", {"igmp": 2, "mld": 1}, {"kind": "host", "igmp": 2, "mld": 1}),
        ("router", {"multicast": True}, {"kind": "router"}),
        (
            "router",
            {"multicast": False, "fast_leave": True},
            {"kind": "router", "multicast": 0, "fast_leave": 1},
        ),
        ("switch", {"unknown": "flood"}, {"kind": "switch"}),
        (
            "switch",
            {"snooping": True, "querier": True, "unknown": "drop"},
            {"kind": "switch", "snooping": 1, "querier": 1, "unknown": "drop"},
        ),
        ("nat", {"udp_timeout": 30, "tcp_timeout": "7440 s"}, {"kind": "nat"}),
        ("nat", {"udp_timeout": "2 min"}, {"kind": "nat", "udp_timeout": "120 s"}),
        (
            "nat",
            {"udp_timeout": 0.1 + 0.2, "tcp_timeout": 0},
            {"kind": "nat", "udp_timeout": "300.00000000000004 ms", "tcp_timeout": "0 s"},
        ),
        ("nat", {"address": "192.0.2.1"}, {"kind": "nat", "address": "192.0.2.1"}),
    ],
)
def test_a_host_says_what_is_not_usual(kind: str, options: dict[str, Any], words: dict[str, Any]) -> None:
    network = Network()
    getattr(network, kind)("a", **options)
    text = to_gml(network)
    ((_, graph, _),) = parse_gml(text)
    assert isinstance(graph, tuple) and isinstance(graph[1].value, tuple)
    assert {one.key: one.value for one in graph[1].value} == {"id": 0, "label": "a", **words}
    again = network_from_gml(text)
    assert described(again) == described(network)
    assert to_gml(again) == text


def test_hosts_with_rules_or_routes_are_refused() -> None:
    network = pair()
    network.hosts["a"].route("192.0.2.0/24", via="b")
    with pytest.raises(UsageError, match="<host a>: GML has no words for routes of hosts"):
        to_gml(network)
    network = Network()
    network.router("wall", rules=[Rule("deny")])
    with pytest.raises(UsageError, match="<router wall>: GML has no words for rules of hosts"):
        to_gml(network)


def test_a_timing_of_its_own_is_refused() -> None:
    network = pair()
    network.group_timing = Timing(robustness=3)
    with pytest.raises(UsageError, match="GML has no words for a group_timing that is not the usual one"):
        to_gml(network)


def test_tcp_as_packets_is_refused() -> None:
    network = Network(tcp=LinuxTCP())
    network.host("a")
    with pytest.raises(UsageError, match="GML has no words for tcp=; set it anew"):
        to_gml(network)


def test_removed_hosts_are_refused() -> None:
    network = pair()
    network.remove("b")
    with pytest.raises(UsageError, match="GML has no words for removed hosts: b"):
        to_gml(network)


def test_nothing_that_a_network_has_is_forgotten_here() -> None:
    """Whoever gives hosts, links or networks more has to say how it is written, or that it is refused."""
    assert {*Host.__slots__} == {
        *("network", "name", "kind", "addresses", "group_options", "translation"),  # written
        *("rules", "routes"),  # refused
        "tcp",  # refused with that of its network, without which it has none
        "number",  # its place among the hosts
        *("patterns", "_disk"),  # what runs, and its files
    }
    assert {*NetworkLink.__slots__} == {"a", "b", "one_way", "settings", "settings_back"}
    assert {*vars(Network())} == {
        *("ipv6", "hosts", "links", "group_timing"),
        *("tcp", "removed"),  # refused
        *("simulation", "script_of_runs", "_taken"),  # what happens, and addresses of hosts again
    }
    names = "delay jitter reordering loss rate queue mtu duplicate corrupt reorder"
    assert {*NAMES} == {*names.split()}


def test_only_networks_are_written() -> None:
    with pytest.raises(UsageError, match="give a Network"):
        to_gml(star(3))  # type: ignore[arg-type]


def test_the_canonical_form_does_not_change_unnoticed() -> None:
    text = (DATA / "canonical.gml").read_text()
    network = network_from_gml(text)
    assert to_gml(network) == text
    assert (len(network.hosts), len(network.links), network.ipv6) == (6, 7, True)


@pytest.mark.parametrize(
    "made",
    [
        star(3, center="switch", link={"delay": "1 ms", "jitter": "500 us", "back": {"rate": "1 Mbit/s"}}),
        ring(5, link={"loss": "1 %"}),
        tree(3, 2, first={"rate": "1 Gbit/s"}, last={"queue": "10 packets"}),
        dumbbell(2, 3, bottleneck={"rate": "10 Mbit/s"}),
        grid(3, 3),
        full_mesh(4, link={"one_way": True}),
        cdn(2, 2, 2, 2),
    ],
    ids=repr,
)
def test_topologies_come_back_as_they_were(made: Any) -> None:
    text = to_gml(made.network)
    again = network_from_gml(text)
    assert described(again) == described(made.network)
    assert to_gml(again) == text


# --- any network ------------------------------------------------------------------------------------

SHARE = st.floats(0, 1)
TIME = st.integers(0, 10**14).map(lambda nanoseconds: f"{nanoseconds} ns")
RATE = st.one_of(st.none(), st.floats(0, exclude_min=True, allow_infinity=False), st.integers(1, 10**15))
QUEUE = st.one_of(
    st.none(), st.integers(1, 10**12), st.integers(1, 10**6).map(lambda packets: f"{packets} packets")
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "delay": TIME,
        "reordering": st.booleans(),
        "loss": SHARE,
        "rate": RATE,
        "queue": QUEUE,
        "mtu": st.integers(68, 65535),
        "duplicate": SHARE,
        "corrupt": SHARE,
        "reorder": SHARE,
    },
)
HOST = st.integers(0, 4)
HOST_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,3}([._-][a-z0-9]{1,3})?", fullmatch=True).filter(
    "localhost".__ne__
)


@given(
    names=st.lists(HOST_NAMES, min_size=5, max_size=5, unique=True),
    kinds=st.lists(st.sampled_from(["host", "router", "switch", "nat"]), min_size=5, max_size=5),
    links=st.lists(st.tuples(HOST, HOST, SETTINGS, SETTINGS, st.booleans()), max_size=6),
    ipv6=st.booleans(),
)
def test_a_network_comes_back_as_it_was(
    names: list[str], kinds: list[str], links: list[Any], ipv6: bool
) -> None:
    network = Network(ipv6=ipv6)
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        address = (
            {}
            if kind == "switch" or number % 2
            else {"address": [f"192.0.2.{number}", f"2001:db8::{number}"]}
        )
        getattr(network, kind)(name, **address)
    for a, b, settings, back, one_way in links:
        if a != b:
            network.link(names[a], names[b], **settings, back=back, one_way=one_way)
    text = to_gml(network)
    again = network_from_gml(text)
    assert described(again) == described(network), text
    assert to_gml(again) == text
    assert text.isascii()
