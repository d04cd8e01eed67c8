"""Networks from GML: what attributes mean, what is refused and where, and files that others have written."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.testbed import Network
from kamaelia.testbed.gml import network_from_gml, to_gml
from kamaelia.testbed.links import DropTail, Uniform, UniformLoss
from kamaelia.testbed.wire import NO_LIMIT

from .networks import DATA, MS, described

pytestmark = [pytest.mark.one_core, pytest.mark.once]


def graph(*items: str) -> Network:
    return network_from_gml(f"graph [ {' '.join(items)} ]")


def hosts_of(network: Network) -> list[str]:
    return [repr(host) for host in network.hosts.values()]


def links_of(network: Network) -> list[str]:
    return [repr(link) for link in network.links]


ZERO, ONE, TWO = "node [ id 0 ]", "node [ id 1 ]", "node [ id 2 ]"


# --- nodes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("id 0", "node-0"),
        ("id -3", "node--3"),
        ('id 0 label "server"', "server"),
        ('id 0 name "server"', "server"),
        ('id 0 label "no" name "yes"', "yes"),
        ('id 0 label "a b"', "a-b"),
        ('id 0 label "node at 1.2.3.4"', "node-at-1.2.3.4"),
        ('id 0 label " (x) "', "x"),
        ('id 0 label "Z&uuml;rich"', "Zurich"),
        ('id 0 label "Stra&szlig;e"', "Stra-e"),
        ('id 0 label "&#26481;&#20140;"', "node-0"),
        ('id 0 label ""', "node-0"),
        ('id 0 label "17"', "node-17"),
        ('id 0 label "1.5"', "node-1.5"),
        ("id 0 label 17", "node-17"),
        ("id 0 label -17", "node-17"),
        ('id 0 label "localhost"', "node-localhost"),
    ],
)
def test_a_node_gets_a_name(node: str, name: str) -> None:
    assert list(graph(f"node [ {node} ]").hosts) == [name]


def test_a_node_is_what_it_says_or_what_its_edges_make_of_it() -> None:
    edges = "edge [ source 0 target 1 ] edge [ source 1 target 2 ]"
    assert hosts_of(graph(ZERO, ONE, TWO, edges)) == ["<host node-0>", "<router node-1>", "<host node-2>"]
    kinds = 'node [ id 0 kind "router" ] node [ id 1 kind "host" ] node [ id 2 kind "switch" ]'
    assert hosts_of(graph(kinds, edges)) == ["<router node-0>", "<host node-1>", "<switch node-2>"]


def test_several_edges_to_the_same_node_make_no_router() -> None:
    assert hosts_of(graph(ZERO, ONE, 2 * "edge [ source 0 target 1 ]")) == ["<host node-0>", "<host node-1>"]


def test_edges_may_stand_before_nodes() -> None:
    assert links_of(graph("edge [ source 0 target 1 ]", ONE, ZERO)) == ["<link node-0 - node-1>"]


def test_a_node_may_have_addresses() -> None:
    network = graph(
        'node [ id 0 address "192.0.2.1" ]',
        'node [ id 1 address "192.0.2.2" address "2001:DB8::2" ]',
        'node [ id 2 kind "router" ip_address "192.0.2.3" ]',
    )
    addresses = [host.addresses for host in network.hosts.values()]
    assert addresses == [("192.0.2.1",), ("192.0.2.2", "2001:db8::2"), ("192.0.2.3",)]


def test_a_node_has_the_arguments_of_its_kind() -> None:
    network = graph(
        "node [ id 0 igmp 2 mld 1 ]",
        'node [ id 1 kind "router" multicast 0 fast_leave 1 ]',
        'node [ id 2 kind "switch" snooping 1 querier 1 unknown "drop" fast_leave 0 ]',
        'node [ id 3 kind "nat" udp_timeout "2 minutes" tcp_timeout 90 address "192.0.2.1" ]',
        'node [ id 4 kind "nat" ]',
    )
    assert [(host.kind, host.group_options, host.translation) for host in network.hosts.values()] == [
        ("host", {"igmp": 2, "mld": 1}, None),
        ("router", {"multicast": False, "fast_leave": True}, None),
        ("switch", {"snooping": True, "querier": True, "unknown": "drop"}, None),
        ("router", {"multicast": False}, (120.0, 90.0)),
        ("router", {"multicast": False}, (30.0, 7440.0)),
    ]


def test_a_graph_may_be_about_ipv6() -> None:
    assert [graph("ipv6 1").ipv6, graph("ipv6 0").ipv6, graph().ipv6] == [True, False, False]


# --- edges ----------------------------------------------------------------------------------------


def link(attributes: str, before: str = "") -> Any:
    return graph(before, ZERO, ONE, f"edge [ source 0 target 1 {attributes} ]").links[0]


@pytest.mark.parametrize(
    ("attributes", "name", "value"),
    [
        ("", "delay", 0),
        ('delay "80 ms"', "delay", 80 * MS),
        ("delay 0.08", "delay", 80 * MS),
        ("delay 2", "delay", 2000 * MS),
        ('latency "10 ms"', "delay", 10 * MS),
        ('latency "10"', "delay", 10_000 * MS),
        ('latency "10  ms"', "delay", 10 * MS),
        ('latency "10 sec"', "delay", 10_000 * MS),
        ('latency "10 secs"', "delay", 10_000 * MS),
        ('latency "2 minutes"', "delay", 120_000 * MS),
        ('latency "2 mins"', "delay", 120_000 * MS),
        ('latency "2 min"', "delay", 120_000 * MS),
        ('latency "1 hr"', "delay", 3_600_000 * MS),
        ('latency "1 hours"', "delay", 3_600_000 * MS),
        ('latency "10 millisecond"', "delay", 10 * MS),
        ('latency "10.5 milliseconds"', "delay", 10_500_000),
        ('latency "10 microseconds"', "delay", 10_000),
        ('latency "10 nanoseconds"', "delay", 10),
        ('latency "10 us"', "delay", 10_000),
        ('delay "9 ms" jitter "2 ms"', "jitter", Uniform("2 ms")),
        ('delay "9 ms" jitter "2 milliseconds"', "jitter", Uniform("2 ms")),
        ('jitter "0 ms"', "jitter", None),
        ("reordering 1", "jitter_reorders", True),
        ("reordering 0", "jitter_reorders", False),
        ("loss 0.05", "loss", UniformLoss(0.05)),
        ('loss "5 %"', "loss", UniformLoss(0.05)),
        ("packet_loss 0.05", "loss", UniformLoss(0.05)),
        ("packet_loss 0.0", "loss", None),
        ("loss 1", "loss", UniformLoss(1)),
        ('loss "1e-05"', "loss", UniformLoss(1e-05)),
        ("", "rate", None),
        ('rate "unlimited"', "rate", None),
        ('rate "2 Mbit/s"', "rate", 2e6),
        ("rate 2000000", "rate", 2e6),
        ('rate "10000000000"', "rate", 1e10),
        ('bandwidth "2 Mbit"', "rate", 2e6),
        ('bandwidth "2 Mbits"', "rate", 2e6),
        ('bandwidth "2 megabit"', "rate", 2e6),
        ('bandwidth "800 Kbit"', "rate", 8e5),
        ('bandwidth "800 kilobits"', "rate", 8e5),
        ('bandwidth "2 Kibit"', "rate", 2048.0),
        ('bandwidth "2 Gbit"', "rate", 2e9),
        ('bandwidth "2 Tbit"', "rate", 2e12),
        ('bandwidth "2 Tibit"', "rate", 2.0 * 1024**4),
        ('bandwidth "500 bit"', "rate", 500.0),
        ('bandwidth "500 bits"', "rate", 500.0),
        ('bandwidth "1 MB/s"', "rate", 8e6),
        ("", "queue", DropTail(bytes="150 kB")),
        ('queue "64 KiB"', "queue_limits", (NO_LIMIT, 65536)),
        ("queue 65536", "queue_limits", (NO_LIMIT, 65536)),
        ('queue "65536"', "queue_limits", (NO_LIMIT, 65536)),
        ('queue "100 packets"', "queue_limits", (100, NO_LIMIT)),
        ('queue "unlimited"', "queue", DropTail()),
        ("mtu 9000", "mtu", 9000),
        ('mtu "1280"', "mtu", 1280),
        ('mtu "9 kB"', "mtu", 9000),
        ('duplicate "1 %"', "duplicate.share", 0.01),
        ("corrupt 0.01", "corrupt.share", 0.01),
        ("reorder 0.25", "reorder.share", 0.25),
    ],
)
def test_an_edge_has_the_arguments_of_a_link(attributes: str, name: str, value: object) -> None:
    for settings in (link(attributes).settings, link(attributes).settings_back):
        found = settings
        for part in name.split("."):
            found = getattr(found, part)
        assert found == value


def test_the_way_back_says_what_is_different() -> None:
    found = link('delay "5 ms" rate "10 Mbit/s" back [ rate "1 Mbit/s" latency "9 ms" ]')
    assert (found.settings.delay, found.settings.rate) == (5 * MS, 10e6)
    assert (found.settings_back.delay, found.settings_back.rate) == (9 * MS, 1e6)


def test_edges_of_a_directed_graph_lead_one_way() -> None:
    edges = "edge [ source 0 target 1 ] edge [ source 1 target 0 ]"
    assert links_of(graph("directed 1", ZERO, ONE, edges)) == [
        "<link node-0 > node-1>",
        "<link node-1 > node-0>",
    ]
    assert links_of(graph("directed 0", ZERO, ONE, edges)) == [
        "<link node-0 - node-1>",
        "<link node-1 - node-0>",
    ]
    assert link("one_way 1").one_way and not link("one_way 0").one_way
    assert link("", "directed 1").one_way


def test_an_edge_to_itself_is_checked_and_left_out() -> None:
    assert not graph(ZERO, 'edge [ source 0 target 0 latency "1 ms" ]').links
    with pytest.raises(UsageError, match="delay='soon'"):
        graph(ZERO, 'edge [ source 0 target 0 latency "soon" ]')


# --- bandwidths of nodes --------------------------------------------------------------------------

UP_DOWN = 'bandwidth_up "2 Mbit/s" bandwidth_down "10 Mbit/s"'


def rates(network: Network) -> list[tuple[str, float | None, float | None]]:
    return [(repr(link), link.settings.rate, link.settings_back.rate) for link in network.links]


@pytest.mark.parametrize(
    ("edge", "expected"),
    [
        ("source 0 target 1", ("<link a - node-1>", 2e6, 10e6)),
        ("source 1 target 0", ("<link node-1 - a>", 10e6, 2e6)),
        ('source 0 target 1 rate "5 Mbit/s"', ("<link a - node-1>", 2e6, 5e6)),
        ('source 0 target 1 rate "1 Mbit/s"', ("<link a - node-1>", 1e6, 1e6)),
        ('source 0 target 1 rate "1 Mbit/s" back [ rate "unlimited" ]', ("<link a - node-1>", 1e6, 10e6)),
        ('source 0 target 1 back [ rate "3 Mbit/s" ]', ("<link a - node-1>", 2e6, 3e6)),
    ],
)
def test_the_bandwidth_of_a_node_is_the_rate_of_its_access_link(
    edge: str, expected: tuple[str, float, float]
) -> None:
    assert rates(graph(f'node [ id 0 label "a" {UP_DOWN} ]', ONE, f"edge [ {edge} ]")) == [expected]


def test_half_a_bandwidth_limits_one_way() -> None:
    edge = "edge [ source 0 target 1 ]"
    assert rates(graph('node [ id 0 bandwidth_up "1 Mbit" ]', ONE, edge)) == [
        ("<link node-0 - node-1>", 1e6, None)
    ]
    assert rates(graph('node [ id 0 bandwidth_down "1 Mbit" ]', ONE, edge)) == [
        ("<link node-0 - node-1>", None, 1e6)
    ]
    assert rates(graph('node [ id 0 bandwidth_down "unlimited" ]', ONE, edge)) == [
        ("<link node-0 - node-1>", None, None)
    ]


def test_of_two_bandwidths_the_lower_holds() -> None:
    nodes = (
        'node [ id 0 host_bandwidth_up "5 Mbit" host_bandwidth_down "50 Mbit" ]',
        'node [ id 1 host_bandwidth_up "20 Mbit" host_bandwidth_down "2 Mbit" ]',
    )
    assert rates(graph(*nodes, "edge [ source 0 target 1 ]")) == [("<link node-0 - node-1>", 2e6, 20e6)]


def test_bandwidths_in_a_directed_graph() -> None:
    edges = "edge [ source 0 target 1 ] edge [ source 1 target 0 ]"
    network = graph("directed 1", f"node [ id 0 {UP_DOWN} ]", ONE, edges)
    assert [(repr(link), link.settings.rate) for link in network.links] == [
        ("<link node-0 > node-1>", 2e6),
        ("<link node-1 > node-0>", 10e6),
    ]


@pytest.mark.parametrize(
    ("edges", "links"),
    [
        ("", []),
        ("edge [ source 0 target 0 ]", []),
        (
            "edge [ source 0 target 1 ] edge [ source 2 target 0 ]",
            ["<link a-router - node-1>", "<link node-2 - a-router>"],
        ),
        (2 * "edge [ source 0 target 1 ]", 2 * ["<link a-router - node-1>"]),
    ],
    ids=["no edge", "to itself", "two others", "twice the same"],
)
def test_a_node_without_one_access_link_gets_a_router(edges: str, links: list[str]) -> None:
    network = graph(f'node [ id 0 label "a" {UP_DOWN} ]', ONE, TWO, edges)
    assert hosts_of(network) == ["<host a>", "<router a-router>", "<host node-1>", "<host node-2>"]
    assert rates(network)[0] == ("<link a - a-router>", 2e6, 10e6)
    assert links_of(network)[1:] == links


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("node [ ]", 1, 1, "a file has no 'node'"),
        ("Version 1 \n Creator [ ]", 1, 1, "there is no graph [ ... ] here"),
        ("graph 5 x_ []", 1, 1, "graph is 5, and should be a list in brackets"),
        ("graph [ ]\ngraph [ ]", 2, 1, "graph: this file has its graph already"),
        ("graph [ vertex [ ] ]", 1, 9, "a graph has no 'vertex'"),
        ("graph [ directed 2 ]", 1, 9, "directed is 2, and should be 1 for yes or 0 for no"),
        ("graph [ directed 1.0 ]", 1, 9, "directed is 1.0, and should be 1 for yes or 0 for no"),
        ("graph [ multigraph [] ]", 1, 9, "multigraph is a list, and should be 1 for yes or 0 for no"),
        ("graph [ node 5 ]", 1, 9, "node is 5, and should be a list in brackets"),
        ("graph [\n  node [ ] ]", 2, 3, "this node has no id"),
        ('graph [ node [ id "a" ] ]', 1, 16, "id is 'a', and should be a whole number"),
        ("graph [ node [ id 1 id 2 ] ]", 1, 21, "id: this node has its id already"),
        ("graph [ node [ id 1 ]\nnode [ id 1 ] ]", 2, 1, "there is a node with the id 1 already"),
        ("graph [ node [ id 1 colour 5 ] ]", 1, 21, "a node has no 'colour'; there are 'address',"),
        ("graph [ node [ id 1 labl 5 ] ]", 1, 21, "a node has no 'labl'; did you mean 'label'?"),
        ("graph [ node [ id 1 label [] ] ]", 1, 21, "label is a list, and should be text"),
        ('graph [ node [ id 1 kind "hub" ] ]', 1, 21, "kind is 'hub', and should be 'host', 'router', 'nat'"),
        ("graph [ node [ id 1 kind 1 ] ]", 1, 21, "kind is 1, and should be text in quotation marks"),
        ("graph [ node [ id 1 address 1 ] ]", 1, 21, "address is 1, and should be text"),
        ('graph [ node [ id 1 address "1.2.3" ] ]', 1, 9, "address='1.2.3' of node-1: give an address"),
        ('graph [ node [ id 1 address "10.0.0.1" ] ]', 1, 9, "addresses in 10.0.0.0/8 and fd00::/64"),
        (
            'graph [ node [ id 1 kind "switch" address "192.0.2.1" ] ]',
            1,
            9,
            "node-1 is a switch, and those have no address",
        ),
        (
            'graph [ node [ id 1 label "a" ]\n node [ id 2 label "a" ] ]',
            2,
            2,
            "there is a host 'a' already: give each node a name of its own",
        ),
        (
            'graph [ node [ id 1 kind "router" bandwidth_up 5 ] ]',
            1,
            9,
            "node-1 is a router, and bandwidth_up and bandwidth_down are for hosts",
        ),
        ('graph [ node [ id 1 bandwidth_up "a lot" ] ]', 1, 21, "bandwidth_up='a lot': write a number"),
        ("graph [ node [ id 1 bandwidth_up -5 ] ]", 1, 21, "bandwidth_up=-5 is no quantity"),
        ("graph [ node [ id 1 bandwidth_up 0 ] ]", 1, 21, "bandwidth_up=0 carries nothing: leave it out"),
        ("graph [ node [ id 1 bandwidth_up [] ] ]", 1, 21, "bandwidth_up is a list, and should be a number"),
        (
            "graph [ node [ id 1 bandwidth_up 5 host_bandwidth_up 5 ] ]",
            1,
            36,
            "host_bandwidth_up: this node has its bandwidth_up already",
        ),
        (
            'graph [ node [ id 1 label "a" bandwidth_up 5 ]\nnode [ id 2 label "a-router" ] ]',
            2,
            1,
            "there is a host 'a-router' already",
        ),
        ("graph [ node [ id 1 snooping 1 ] ]", 1, 9, "node-1 is a host, and snooping is for a switch"),
        (
            'graph [ node [ id 1 kind "nat" igmp 2 ] ]',
            1,
            9,
            "node-1 is a nat, and igmp is for a host or router",
        ),
        (
            'graph [ node [ id 1 kind "switch" unknown "x" ] ]',
            1,
            9,
            "unknown='x'): there are 'flood' and 'drop'",
        ),
        ('graph [ node [ id 1 kind "nat" udp_timeout "x" ] ]', 1, 9, "udp_timeout='x': write a number"),
        ("graph [ node [ id 1 igmp 2.0 ] ]", 1, 21, "igmp is 2.0, and should be a whole number"),
        ("graph [ node [ id 1 multicast 2 ] ]", 1, 21, "multicast is 2, and should be 1 for yes or 0 for no"),
        ("graph [ edge [ target 0 ] ]", 1, 9, "this edge has no source: give it the id of a node"),
        ("graph [ node [ id 0 ] edge [ source 0 ] ]", 1, 23, "this edge has no target"),
        ("graph [ edge [ source 5 target 5 ] ]", 1, 16, "there is no node with the id 5"),
        ("graph [ edge [ source 0.0 ] ]", 1, 16, "source is 0.0, and should be a whole number"),
    ],
)
def test_what_is_no_network_is_refused(text: str, line: int, column: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        network_from_gml(text if "[" in text else text + " x_ []")
    assert str(caught.value).startswith(f"GML, line {line}, column {column}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("attributes", "column", "words"),
    [
        ("dealy 5", 19, "an edge has no 'dealy'; did you mean 'delay'?"),
        ("weight 5", 19, "an edge has no 'weight'; there are 'back', 'bandwidth', 'corrupt',"),
        ("weight 5", 19, "; what means nothing begins with x_, or is named in attributes"),
        ("edge_bandwidth_up 5", 19, "an edge has no 'edge_bandwidth_up'"),
        ("delay 1 latency 1", 27, "latency: this edge has its delay already"),
        ('delay "soon"', -6, "delay='soon': write a number and one of ns, us"),
        ('delay "10 m"', -6, "delay='10 m': write a number and one of ns, us"),
        ("delay -5", -6, "delay=-5 is no quantity"),
        ('delay "-5"', -6, "delay=-5.0 is no quantity"),
        ('delay "-5 ms"', -6, "delay='-5 ms': write a number"),
        ('delay "1e999"', -6, "delay=inf is no quantity"),
        ("delay []", 19, "delay is a list, and should be a number or text"),
        (f'delay "{5000 * "9"} ms"', 19, "and should be shorter than 100 characters"),
        ('delay "unlimited"', -6, "delay='unlimited': write a number"),
        ('jitter "1 ms"', -6, "jitter='1 ms' is more than delay=0.0"),
        ("loss 1.5", -6, "loss=1.5 is more than all"),
        ("loss 5", -6, "loss=5 is more than all"),
        ("rate 0", -6, "rate=0 carries nothing"),
        ('rate "10 Mbps"', -6, "rate='10 Mbps': write a number and one of bit/s"),
        ("mtu 67", -6, "mtu=67: a link of IP carries packets of at least 68 bytes"),
        ('queue "a few"', -6, "queue='a few': write bytes"),
        ("reordering 5", 19, "reordering is 5, and should be 1 for yes or 0 for no"),
        ("back 5", 19, "back is 5, and should be a list in brackets"),
        ("back [ source 5 ]", 26, "a back has no 'source'"),
        ("back [ loss 5 ]", -6, "loss=5 is more than all"),
        ("one_way 1 back [ ]", 29, "an edge that leads one way has no back"),
    ],
)
def test_what_is_no_edge_is_refused(attributes: str, column: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        network_from_gml(f"graph [ {ZERO} {ONE}\nedge [\n  source 0\ttarget 1 {attributes}\n] ]")
    line, column = (2, 1) if column < 0 else (3, column + 2)
    assert str(caught.value).startswith(f"GML, line {line}, column {column}: ")
    assert words in str(caught.value)


def test_what_means_nothing_is_left_out() -> None:
    network = network_from_gml("""
        Creator "somebody" Version 1 x_top [ a 1 ]
        graph [
            comment "a graph" label "" hierarchic 1 x_graph 5
            node [ id 0 graphics [ x 1.5 y 2 ] LabelGraphics [ text "a" ] x_colour "red" city_code "Hull" ]
            node [ id 1 comment "second" ]
            edge [ source 0 target 1 label "a link" key 0 graphics [ fill "#00" ] x_y 1 back [ x_z 1 ] ]
        ]
    """)
    assert (hosts_of(network), links_of(network)) == (
        ["<host node-0>", "<host node-1>"],
        ["<link node-0 - node-1>"],
    )


ZOO = """
graph [
  node [ id 0 label "None" Country "UK" Internal 1 ]
  node [ id 1 label "None" Country "UK" Internal 1 ]
  edge [ source 0 target 1 LinkSpeedRaw 10000000000.0 LinkLabel "10 Gbit/s" ]
]
"""


def test_others_may_be_given_a_meaning_or_none() -> None:
    meanings = {"label": None, "Country": None, "Internal": None, "LinkSpeedRaw": "rate", "LinkLabel": None}
    assert rates(network_from_gml(ZOO, attributes=meanings)) == [("<link node-0 - node-1>", 1e10, 1e10)]
    with pytest.raises(UsageError, match="line 4, column 3: there is a host 'None' already"):
        network_from_gml(ZOO, attributes={**meanings, "label": "label"})


@pytest.mark.parametrize(
    ("meanings", "words"),
    [
        (
            {"speed": "rates"},
            "attributes={'speed': 'rates'}: nothing here is called 'rates'; did you mean 'rate'?",
        ),
        ({"speed": 5}, "nothing here is called 5"),
        (["speed"], "attributes=['speed']: give names and what they mean"),
    ],
)
def test_meanings_have_to_be_known(meanings: Any, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        network_from_gml("graph []", attributes=meanings)


# --- files ----------------------------------------------------------------------------------------


def test_a_file_is_given_by_its_name_or_path(tmp_path: Path) -> None:
    path = tmp_path / "net.gml"
    path.write_text('\ufeffgraph [ node [ id 0 label "caf\u00e9" ] ]', encoding="utf-8")
    for source in (path, str(path)):
        assert list(network_from_gml(source).hosts) == ["cafe"]
    odd = tmp_path / "net[1].gml"
    odd.write_text("graph [\nnodes 5 ]")
    with pytest.raises(UsageError, match=re.escape(f"{odd}, line 2, column 1: a graph has no 'nodes'")):
        network_from_gml(odd)


def test_what_is_no_file_and_no_text(tmp_path: Path) -> None:
    (tmp_path / "latin.gml").write_bytes(b'graph [ label "caf\xe9" ]')
    with pytest.raises(UsageError, match=r"latin\.gml is no text in UTF-8"):
        network_from_gml(tmp_path / "latin.gml")
    with pytest.raises(FileNotFoundError):
        network_from_gml(tmp_path / "missing.gml")
    with pytest.raises(UsageError, match="neither the name of a file nor GML"):
        network_from_gml("graph\0")
    with pytest.raises(UsageError, match=re.escape("network_from_gml(5): give the name of a file")):
        network_from_gml(5)  # type: ignore[arg-type]


# --- written by others ------------------------------------------------------------------------------
# tests/testbed/gml/by_others.py has made them.


def test_what_networkx_has_read_and_written_is_what_we_had_written() -> None:
    ours = (DATA / "canonical.gml").read_text()
    assert to_gml(network_from_gml(DATA / "canonical-by-networkx.gml")) == ours


def test_a_graph_of_networkx() -> None:
    network = network_from_gml(DATA / "networkx.gml")
    assert hosts_of(network) == [f"<router node-{n}>" for n in range(3)] + [
        f"<host node-{n}>" for n in range(3, 7)
    ]
    assert network.hosts["node-3"].addresses == ("192.0.2.3",)
    assert network.hosts["node-4"].addresses == ("192.0.2.4", "2001:db8::4")
    assert [link.settings.delay for link in network.links] == [n * MS for n in range(1, 7)]
    assert {(link.settings.rate, link.settings.uniform_loss) for link in network.links} == {(1e10, 1e-05)}
    assert [link.settings_back.rate for link in network.links] == [20e6, *[1e10] * 5]
    assert all(link.settings.jitter_reorders for link in network.links)


def test_a_graph_of_igraph() -> None:
    network = network_from_gml(DATA / "igraph.gml")
    assert hosts_of(network) == ["<router cafe-1-more>", "<host a>", "<host b>", "<host c>"]
    assert [(repr(link), link.settings.delay, link.settings.rate) for link in network.links] == [
        ("<link cafe-1-more > a>", 10 * MS, 1e6),
        ("<link cafe-1-more > b>", 20 * MS, 2.5e9),
        ("<link cafe-1-more > c>", 100 * MS, 100.0),
    ]


def test_a_graph_of_shadow() -> None:
    network = network_from_gml(DATA / "shadow.gml")
    first, second, third = "node-at-192.0.2.10", "Lyon", "node-2"
    assert hosts_of(network) == [
        f"<host {first}>",
        f"<router {first}-router>",
        f"<host {second}>",
        f"<router {second}-router>",
        f"<host {third}>",
        f"<router {third}-router>",
    ]
    assert rates(network) == [
        (f"<link {first} - {first}-router>", 200e6, 1e9),
        (f"<link {second} - {second}-router>", 20e6, 100e6),
        (f"<link {third} - {third}-router>", 800e3, 8e6),
        (f"<link {first}-router - {second}-router>", None, None),
        (f"<link {first}-router - {third}-router>", None, None),
        (f"<link {second}-router - {third}-router>", None, None),
    ]
    assert [link.settings.delay // MS for link in network.links] == [0, 0, 0, 15, 50, 30]
    assert network.links[4].settings.jitter == Uniform("10 ms")
    assert network.links[5].settings.loss == UniformLoss(0.001)


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[float] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append(asyncio.get_running_loop().time())


@component
async def listen(inbox: Any, outbox: Any) -> list[float]:
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("0.0.0.0", 5004))
    await sleep(60)
    transport.close()
    return receiver.heard


@component
async def send(inbox: Any, outbox: Any, to: str, number: int, size: int = 0) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
    for _ in range(number):
        transport.sendto(bytes(size), (to, 5004))
        await sleep(0.1)
    transport.close()


def test_shadows_jitter_has_an_effect_here() -> None:
    text = (DATA / "shadow.gml").read_text().replace("packet_loss 0.001", "packet_loss 0.0")
    # Over 50 ms, not over Lyon: that is only 45.
    network = network_from_gml(text.replace("30000 microseconds", "300 ms"))
    network.hosts["node-at-192.0.2.10"].run(send("node-2", 200))
    network.hosts["node-2"].run(listen())
    heard = network.simulate(seconds=90, seed=7).results["node-2"]
    delays = [when - 0.1 * number for number, when in enumerate(heard)]
    assert len(delays) == 200
    assert 0.040 <= min(delays) < 0.042 and 0.058 < max(delays) < 0.061
    assert len({round(delay, 6) for delay in delays}) > 190


def test_packets_take_the_quickest_way_and_the_time_of_both_bandwidths() -> None:
    network = network_from_gml(DATA / "shadow.gml")
    network.hosts["node-at-192.0.2.10"].run(send("node-2", 1, size=1472))
    network.hosts["node-2"].run(listen())
    (when,) = network.simulate(seconds=90, seed=7).results["node-2"]
    # 15 ms and 30 ms over Lyon; 1500 bytes at 200 Mbit/s and at 8 Mbit/s.
    assert when == pytest.approx(0.045 + 12_000 / 200e6 + 12_000 / 8e6, abs=2e-9)


# --- what is nothing at all -------------------------------------------------------------------------

WORDS = [
    "graph", "node", "edge", "id", "source", "target", "label", "name", "kind", "address", "delay", "latency",
    "jitter", "loss", "rate", "bandwidth", "bandwidth_up", "host_bandwidth_down", "queue", "mtu", "back",
    "directed", "one_way", "reordering", "x_any", "[", "]", "[", "]", "0", "1", "2", "-1", "0.5", "1e400",
    '"host"', '"router"', '"a"', '"192.0.2.1"', '"10 ms"', '"10 Mbit"', '"5 %"', '"9e9 s"', '""', "#\n", "&",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_garbage_is_refused_by_nothing_but_usage_errors(words: list[str]) -> None:
    try:
        network_from_gml("graph [ " + " ".join(words))
    except UsageError as error:
        assert re.match(r"GML, line \d+, column \d+: ", str(error)), words


FILES = [(DATA / name).read_text() for name in ("canonical.gml", "networkx.gml", "igraph.gml", "shadow.gml")]


@given(
    text=st.sampled_from(FILES),
    start=st.floats(0, 1),
    length=st.integers(0, 30),
    other=st.lists(st.sampled_from(WORDS), max_size=3).map(" ".join),
)
def test_files_with_a_hole_are_read_or_refused(text: str, start: float, length: int, other: str) -> None:
    at = int(start * len(text))
    text = text[:at] + other + text[at + length :]
    try:
        network = network_from_gml(text)
    except UsageError as error:
        assert re.match(r"GML, line \d+, column \d+: ", str(error)), text
    else:
        assert described(network_from_gml(to_gml(network))) == described(network), text


ABOUT = ["label", "kind", "bandwidth_up", "bandwidth_down", "address", "igmp", "snooping", "udp_timeout"]
NODE = st.lists(st.sampled_from(ABOUT), unique=True, max_size=5)
VALUE = st.sampled_from(['"host"', '"nat"', '"switch"', '"192.0.2.7"', '"1 Mbit"', "5", "1", '"a"', "[ ]"])
END = st.integers(0, 3)


@given(
    nodes=st.lists(st.tuples(NODE, st.lists(VALUE, min_size=5, max_size=5)), max_size=4),
    edges=st.lists(st.tuples(END, END, st.booleans()), max_size=6),
    directed=st.booleans(),
)
def test_graphs_become_networks_or_are_refused(
    nodes: list[tuple[list[str], list[str]]], edges: list[tuple[int, int, bool]], directed: bool
) -> None:
    text = f"graph [ directed {int(directed)}\n"
    for number, (names, values) in enumerate(nodes):
        about = " ".join(f"{name} {value}" for name, value in zip(names, values, strict=False))
        text += f"node [ id {number} {about} ]\n"
    for source, target, one_way in edges:
        text += f'edge [ source {source} target {target} one_way {int(one_way)} rate "2 Mbit/s" ]\n'
    try:
        network = network_from_gml(text + "]")
    except UsageError as error:
        assert re.match(r"GML, line \d+, column \d+: ", str(error)), text
        return
    loops = sum(source == target for source, target, _ in edges)
    split = sum(name.endswith("-router") for name in network.hosts)
    assert len(network.hosts) == len(nodes) + split, text
    assert len(network.links) == len(edges) - loops + split, text
    again = network_from_gml(to_gml(network))
    assert described(again) == described(network), text
