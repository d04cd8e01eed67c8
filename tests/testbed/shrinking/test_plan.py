"""What is kept of a network, and what a router's place is taken by."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed import Network, Rule
from kamaelia.testbed.shrinking.acts import Act, Fault
from kamaelia.testbed.shrinking.plan import Plan, can_be_bypassed, keep, settings_of, usual_delay

pytestmark = pytest.mark.one_core


def star(leaves: int, **settings: Any) -> Network:
    network = Network()
    network.router("hub")
    for number in range(leaves):
        network.host(f"leaf-{number}")
        network.link("hub", f"leaf-{number}", **{"delay": f"{number + 1} ms", **settings})
    return network


def given(network: Network) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the links, with what of each is said."""
    from kamaelia.testbed.settings import DEFAULTS

    return [
        (
            link.a.name,
            link.b.name,
            {name: value for name, value in link.settings.given.items() if value != DEFAULTS[name]},
        )
        for link in network.links
    ]


def test_everything_else_is_taken_away() -> None:
    network = star(4, loss="1 %", rate="1 Mbit/s", jitter="1 ms", back={"mtu": 1000})
    for number in range(4):
        network.at(number, network.hosts[f"leaf-{number}"].crash)
    assert settings_of(network)[0] == ("hub - leaf-0", ("jitter", "loss", "rate", "mtu"))
    steps = list(network.script_of_runs)
    links = {"hub - leaf-1": ["loss"], "hub - leaf-3": ["rate", "mtu"]}
    assert keep(network, hosts=["hub", "leaf-1", "leaf-3"], links=links, steps=[1, 3]) is network
    assert list(network.hosts) == ["hub", "leaf-1", "leaf-3"]
    assert given(network) == [
        ("hub", "leaf-1", {"delay": "2 ms", "loss": "1 %"}),
        ("hub", "leaf-3", {"delay": "4 ms", "rate": "1 Mbit/s"}),
    ]
    assert [link.settings_back.mtu for link in network.links] == [1500, 1000]
    assert network.script_of_runs == [steps[1], steps[3]]


def test_delays_become_the_usual_one_where_they_are_not_named() -> None:
    network = star(3)
    network.link("leaf-0", "leaf-1", delay="2 ms", back={"delay": "7 ms"})
    assert usual_delay(network) == "2 ms" and usual_delay(star(1)) is None
    kept = settings_of(network, "2 ms")
    assert [name for name, settings in kept if settings] == [
        "hub - leaf-0",
        "hub - leaf-2",
        "leaf-0 - leaf-1",
    ]
    links = {"hub - leaf-0": ["delay"], "hub - leaf-2": [], "leaf-0 - leaf-1": []}
    keep(network, hosts=list(network.hosts), links=links, delay="2 ms")
    assert [link.settings.given["delay"] for link in network.links] == ["1 ms", "2 ms", "2 ms"]
    assert network.links[2].settings_back.given["delay"] == "2 ms"
    assert usual_delay(star(2, delay=lambda now: 0.1)) is None


@pytest.mark.parametrize("neighbours", [2, 3, 4])
def test_in_the_place_of_a_router_there_are_links_as_long_as_the_ways_over_it(neighbours: int) -> None:
    network = star(neighbours)
    hosts = list(network.hosts)
    keep(network, hosts=hosts, links=dict(settings_of(network)), bypass=["hub"])
    assert list(network.hosts) == hosts[1:]
    expected = [
        (f"leaf-{a}", f"leaf-{b}", {"delay": pytest.approx((a + b + 2) / 1000)})
        for a in range(neighbours)
        for b in range(a + 1, neighbours)
    ]
    assert given(network) == expected


def test_directions_stay_what_they_were() -> None:
    network = Network()
    for name in "ab":
        network.host(name)
    network.router("hub")
    network.link("a", "hub", delay=0.1, loss="1 %", back={"delay": 0.2, "loss": 0.0})
    network.link("hub", "b", delay=0.3, back={"delay": 0.4, "rate": "1 Mbit/s"})
    keep(network, hosts=["a", "b", "hub"], links=dict(settings_of(network)), bypass=["hub"])
    (link,) = network.links
    there, back = link.settings.given, link.settings_back.given
    assert (there["delay"], there["loss"], there["rate"]) == (pytest.approx(0.4), "1 %", None)
    assert (back["delay"], back["loss"], back["rate"]) == (pytest.approx(0.6), 0.0, "1 Mbit/s")


def test_what_is_more_than_a_router_cannot_be_bypassed() -> None:
    assert can_be_bypassed(star(2), "hub") and not can_be_bypassed(star(2), "leaf-0")
    assert not can_be_bypassed(star(1), "hub") and not can_be_bypassed(star(5), "hub")
    assert not can_be_bypassed(star(2, loss="1 %"), "hub")  # no link can lose like two
    assert not can_be_bypassed(star(2, one_way=True), "hub")
    assert not can_be_bypassed(star(2, delay=lambda now: 0.1), "hub")
    busy = star(2)
    busy.hosts["hub"].run(lambda: None)
    assert not can_be_bypassed(busy, "hub")
    network = Network()
    for name in "ab":
        network.host(name)
    network.nat("nat")
    network.router("wall", rules=[Rule("deny", protocol="udp")])
    for name in ("nat", "wall"):
        network.link("a", name)
        network.link(name, "b")
        assert not can_be_bypassed(network, name)


def test_mistakes_are_explained() -> None:
    with pytest.raises(UsageError, match="there is no host 'lef-0'; did you mean"):
        keep(star(2), hosts=["lef-0"], links={})
    with pytest.raises(UsageError, match=r"keep\(links=\{'hub - leaf': ...\}\)"):
        keep(star(2), hosts=["hub"], links={"hub - leaf": []})
    with pytest.raises(UsageError, match="a link has no 'los'; did you mean 'loss'"):
        keep(star(2), hosts=["hub", "leaf-0"], links={"hub - leaf-0": ["los"]})
    with pytest.raises(UsageError, match="bypass='hub': it joins more than 4"):
        keep(star(5), hosts=list(star(5).hosts), links=dict(settings_of(star(5))), bypass=["hub"])


def test_a_plan_has_nothing_of_hosts_that_are_not_kept() -> None:
    crash = [Fault(Act(1.0, "host", name, "crash")) for name in ("leaf-0", "leaf-1")]
    cut = Fault(Act(1.0, "link", "hub - leaf-1", "cut"))
    network = star(2, loss="1 %")
    plan = Plan(
        parameters={},
        seconds=10.0,
        hosts=("hub", "leaf-0"),
        links=settings_of(network),
        faults=(*crash, cut),
        steps=(0, 3),
        breaking=frozenset({3}),
        bypass=("other",),
    )
    assert plan.links == (("hub - leaf-0", ("loss",)),) and plan.faults == (crash[0],)
    assert plan.bypass == () and plan.host_count == 2 and plan.fault_count == 2
    quiet = plan.quiet(plain=True)
    assert quiet.faults == () and quiet.steps == (0,) and quiet.links == (("hub - leaf-0", ()),)
    assert plan.quiet(plain=False).links == plan.links and quiet.key != plan.key
