"""Measures in whole simulations: links with known losses and delays, queues, tables, crashes."""

from __future__ import annotations

import asyncio
import json
import math
import pickle
import socket
from typing import Any

import pytest

from kamaelia import Component, component, sleep
from kamaelia.axon import UsageError, core
from kamaelia.flow import Interval, Map, Source, Take
from kamaelia.net import UDPReceiver, UDPSender
from kamaelia.observe import Gauge, Sketch, Summary, Tally, count, level, measure
from kamaelia.testbed import FlowMetrics, HostMetrics, LinkMetrics, Measure, Metrics, Network, Stamp
from kamaelia.testbed.links import RED, CoDel, GilbertElliott, LossList, TokenBucket
from kamaelia.testbed.measures_flow import Flow
from kamaelia.testbed.taps import add_tap

HEADERS = 28  # bytes of IP and UDP


def stream(messages: int, every: float = 0.01, size: int = 100, **link: Any) -> Network:
    """A sender of stamped messages, and a viewer that measures them; 128 bytes in each packet and more."""
    network = Network()
    sender = Interval(every) | Take(messages) | Map(lambda _: bytes(size)) | Stamp()
    network.host("studio").run(sender | UDPSender("viewer", 5004))
    network.host("viewer").run(UDPReceiver(5004, None) | Measure("film", stamp=True, stall="25 ms"))
    network.link("studio", "viewer", **link)
    return network


def film(trace: Any) -> FlowMetrics:
    found = trace.results["viewer"]
    assert isinstance(found, FlowMetrics)
    return found


# -- flows over links -------------------------------------------------------------------------------


def test_a_known_delay_and_nothing_lost() -> None:
    metrics = film(stream(101, delay="20 ms").simulate(seconds=5))
    assert (metrics.messages, metrics.bytes) == (101, 10_100)
    assert (metrics.delay.min, metrics.delay.max, metrics.jitter.max) == (0.02, 0.02, 0.0)
    assert (metrics.gaps.min, metrics.gaps.max, metrics.smoothed_jitter) == (0.01, 0.01, 0.0)
    assert (metrics.throughput, metrics.expected, metrics.lost) == (80_000.0, 101, 0)
    assert (metrics.first, metrics.last) == (0.02, 1.02)


def test_the_rate_of_a_link_is_part_of_the_delay() -> None:
    # 100 + 16 + 28 bytes at 1 Mbit/s take 1.152 ms
    metrics = film(stream(10, delay="20 ms", rate="1 Mbit/s").simulate(seconds=5))
    assert (metrics.delay.min, metrics.delay.max) == (0.021152, 0.021152)


def test_known_losses() -> None:
    trace = stream(20, delay="20 ms", loss=LossList([3, 4, 5, 8, 12, 13])).simulate(seconds=5)
    metrics = film(trace)
    assert (metrics.messages, metrics.expected, metrics.lost, metrics.loss) == (14, 20, 6, 0.3)
    assert metrics.bursts.sketch == Sketch([3, 1, 2])
    # gaps of 40 and 30 ms are stalls, where 3 and 2 in a row are missing; where 1 is, 20 ms are none
    assert (metrics.stalls.count, metrics.stalls.total, metrics.first_stall) == (2, 0.07, 0.03)
    assert trace.metrics.links["studio > viewer"].lost == 6


def test_what_is_lost_first_and_last_is_not_seen() -> None:
    metrics = film(stream(10, loss=LossList([1, 2, 6, 10])).simulate(seconds=5))
    assert (metrics.expected, metrics.lost) == (7, 1)


def test_everything_lost() -> None:
    metrics = film(stream(10, loss=1.0).simulate(seconds=5))
    assert (metrics.messages, metrics.expected) == (0, 0)
    assert math.isnan(metrics.loss)


def test_duplicates_and_disorder() -> None:
    trace = stream(300, delay="30 ms", duplicate=0.1, reorder=0.1).simulate(seconds=10, seed=3)
    metrics, link = film(trace), trace.metrics.links["studio > viewer"]
    assert metrics.duplicates == link.duplicated > 10
    assert metrics.lost == 0 < metrics.reordered
    assert metrics.messages == 300 + link.duplicated
    assert metrics.delay.count == 300


def test_bursts_are_those_of_the_model() -> None:
    network = stream(20_000, every=0.001, size=10, loss=GilbertElliott.from_rate(0.05, burst=4))
    metrics = film(network.simulate(seconds=30, seed=5))
    assert metrics.loss == pytest.approx(0.05, rel=0.15)
    assert metrics.bursts.mean == pytest.approx(4, rel=0.15)


# -- links and queues -------------------------------------------------------------------------------


class Burst(Component):
    """Send packets of 1000 bytes at some times, several at each."""

    inbox = None

    def __init__(self, *rows: tuple[float, int], tos: int = 0) -> None:
        self.rows = rows
        self.tos = tos

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)
        )
        if self.tos:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self.tos)
        now = 0.0
        for time, packets in self.rows:
            await sleep(time - now)
            now = time
            for _ in range(packets):
                transport.sendto(bytes(1000 - HEADERS), ("b", 5004))
        await sleep(10 - now)
        transport.close()


def burst(*rows: tuple[float, int], tos: int = 0, **link: Any) -> Network:
    """At 1 Mbit/s each packet takes 8 ms."""
    network = Network()
    network.host("a").run(Burst(*rows, tos=tos))
    network.host("b")
    network.link("a", "b", rate="1 Mbit/s", **link)
    return network


def queue_of(network: Network, **options: Any) -> Any:
    options = {"seconds": 20, "measure": "queues", **options}
    return network.simulate(**options).metrics.links["a > b"].queue


def test_nobody_looks_at_queues_unless_asked() -> None:
    assert queue_of(burst((0, 3)), measure=()) is None


def test_a_queue_by_hand() -> None:
    queue = queue_of(burst((1, 5), (2, 1)))
    # the five wait for 0, 8, 16, 24, and 32 ms of the 10 s; six are sent for 8 ms each
    assert queue.packets == pytest.approx(0.080 / 10)
    assert queue.bytes == pytest.approx(80 / 10)
    assert (queue.most_packets, queue.most_bytes) == (4, 4000)
    assert queue.delay.sketch == Sketch([0, 0, 8_000_000, 16_000_000, 24_000_000, 32_000_000])
    assert queue.utilisation == pytest.approx(0.048 / 10)


def test_what_is_lost_takes_its_time_and_what_is_dropped_takes_none() -> None:
    lossy = queue_of(burst((1, 5), loss=LossList([1, 2, 3, 5]), delay="1 s"))
    assert lossy == queue_of(burst((1, 5), loss=1.0)) == queue_of(burst((1, 5), delay="3 s"))
    full = queue_of(burst((1, 5), queue="2 packets"))
    assert (full.most_packets, full.delay.count) == (2, 3)
    assert full.utilisation == pytest.approx(0.024 / 10)


def test_what_has_not_been_sent_at_the_end_counts_as_far_as_it_goes() -> None:
    network = burst((0, 10))
    queue = queue_of(network, seconds=0.02, grace=0)
    # at 20 ms the third is half sent; it and the second have waited 8 and 16 ms, seven others 20 ms each
    assert queue.packets == pytest.approx((8 + 16 + 7 * 20) / 20)
    assert queue.delay.sketch == Sketch([0, 8_000_000, 16_000_000])
    assert queue.utilisation == 1.0


def test_a_link_that_gets_faster_while_packets_wait() -> None:
    @component
    async def changes(inbox: Any, outbox: Any, link: Any) -> None:
        await sleep(1.012)
        link.set(rate="4 Mbit/s")

    network = burst((1, 4))
    network.hosts["b"].run(changes(network.links[0]))
    queue = queue_of(network)
    # the second goes at 8 ms, and takes its 8 ms; those that still wait go at 16 and 18 ms, for 2 ms each
    assert queue.delay.sketch == Sketch([0, 8_000_000, 16_000_000, 18_000_000])
    assert queue.packets == pytest.approx(0.042 / 10)
    assert queue.utilisation == pytest.approx(0.020 / 10)


ROWS = ((0.5, 7), (0.51, 1), (0.52, 3), (2, 1), (3, 30), (3.1, 2))


@pytest.mark.parametrize(
    "other",
    [
        CoDel(target="100 s"),
        RED(limit=1000, minimum=500, maximum=900),
        TokenBucket(rate="1 Gbit/s", burst="1 MB"),
    ],
    ids=repr,
)
def test_an_active_queue_that_does_nothing_is_like_a_plain_one(other: Any) -> None:
    assert queue_of(burst(*ROWS, queue=other)) == queue_of(burst(*ROWS))


def test_a_rate_that_changes_by_itself_and_does_not() -> None:
    network = burst(*ROWS)
    network.links[0].set(rate=lambda time: 1e6)
    changing, plain = queue_of(network), queue_of(burst(*ROWS))
    assert changing.delay.count == plain.delay.count
    assert changing.utilisation == pytest.approx(plain.utilisation)
    assert changing.packets == pytest.approx(plain.packets)


def test_a_link_may_get_another_queue_meanwhile() -> None:
    @component
    async def changes(inbox: Any, outbox: Any, link: Any) -> None:
        for queue in (CoDel(target="100 s"), "150 kB", CoDel(target="50 s")):
            await sleep(0.02)
            link.set(queue=queue)

    network = burst((0, 12))
    network.hosts["b"].run(changes(network.links[0]))
    trace = network.simulate(seconds=20, measure="queues")
    queue = trace.metrics.links["a > b"].queue
    assert trace.metrics.links["a > b"].delivered == 12
    assert queue.delay.count == 12
    assert queue.utilisation == pytest.approx(0.096 / 10)
    # however often they moved, one was sent every 8 ms, so they have waited 0 + 8 + ... + 88 ms in all
    assert queue.packets == pytest.approx(0.528 / 10)


@pytest.mark.parametrize("queue", ["150 kB", CoDel(), RED()], ids=repr)
def test_looking_changes_nothing(queue: Any) -> None:
    network = burst(*ROWS, queue=queue, loss=0.1, jitter="1 ms", delay="5 ms")
    looked, not_looked = network.simulate(seed=4, measure=["queues"]), network.simulate(seed=4)
    assert looked.fingerprint == not_looked.fingerprint
    ours = {name: {**one.as_dict(), "queue": None} for name, one in looked.metrics.links.items()}
    assert ours == {name: {**one.as_dict(), "queue": None} for name, one in not_looked.metrics.links.items()}


@pytest.mark.parametrize(
    "queue", [CoDel(ecn=True, target="1 ms"), RED(ecn=True, limit=100, minimum=2, maximum=40)], ids=repr
)
def test_marks_are_counted(queue: Any) -> None:
    rows = [(n / 250, 1) for n in range(500)]  # twice of what the link carries
    capable = burst(*rows, queue=queue, tos=2).simulate(seconds=20).metrics.links["a > b"]
    others = burst(*rows, queue=queue).simulate(seconds=20).metrics.links["a > b"]
    assert capable.marked > 3
    assert (others.marked, others.dropped > 3) == (0, True)
    watched = burst(*rows, queue=queue, tos=2).simulate(seconds=20, measure="queues").metrics.links["a > b"]
    assert watched.marked == capable.marked


def test_marks_of_a_queue_that_was_replaced_stay() -> None:
    @component
    async def changes(inbox: Any, outbox: Any, link: Any) -> None:
        await sleep(1.5)
        link.set(queue="150 kB")

    network = burst(*[(n / 250, 1) for n in range(300)], queue=CoDel(ecn=True, target="1 ms"), tos=2)
    network.hosts["b"].run(changes(network.links[0]))
    assert network.simulate(seconds=20).metrics.links["a > b"].marked > 3


def test_duplicated_and_corrupted_are_counted() -> None:
    link = burst((0, 10), duplicate=1.0, corrupt=1.0).simulate().metrics.links["a > b"]
    assert (link.sent, link.duplicated, link.corrupted, link.delivered) == (10, 10, 20, 20)


def test_several_may_look_at_a_channel() -> None:
    class Looks:
        def __init__(self) -> None:
            self.seen: list[str] = []

        def out(self, channel: Any, packet: Any) -> None:
            self.seen.append("out")

        def into(self, channel: Any, packet: Any) -> None:
            self.seen.append("into")

        def dropped(self, channel: Any, packet: Any, why: int) -> None:
            self.seen.append("dropped")

    looks = Looks()

    @component
    async def begins(inbox: Any, outbox: Any, network: Any) -> None:
        add_tap(next(network.simulation.each_channel()), looks)

    network = burst((0.5, 3), queue="1 packets")
    network.hosts["b"].run(begins(network))
    assert queue_of(network).delay.count == 2
    assert looks.seen == ["out", "out", "dropped", "into", "into"]


@pytest.mark.parametrize("measure", ["queue", ["queues", "moods"], 7])
def test_what_cannot_be_measured_is_refused(measure: Any) -> None:
    with pytest.raises((UsageError, TypeError)):
        burst((0, 1)).simulate(measure=measure)


# -- measures of components -------------------------------------------------------------------------


@component
async def viewer(inbox: Any, outbox: Any, seconds: float = 3) -> None:
    """Measure something of each kind."""
    level("waiting", 2, "frames")
    count("starts")
    measure("patience", seconds, "s")
    await sleep(seconds)


def test_measures_by_host_and_path() -> None:
    network = Network()
    network.host("one").run(viewer(1)).run(viewer(2))
    network.host("two").run(viewer())
    network.host("quiet").run(Source([]))
    metrics = network.simulate().metrics
    assert {host: list(paths) for host, paths in metrics.measures.items()} == {
        "one": ["viewer", "viewer-2"],
        "two": ["viewer"],
    }
    assert metrics.measures["one"]["viewer-2"] == {
        "waiting": Gauge(2, 2, 2, 0.0, 2.0, "frames"),
        "starts": Tally(1, 1),
        "patience": Summary(Sketch([2]), "s"),
    }
    assert list(metrics.find("starts")) == ["one/viewer", "one/viewer-2", "two/viewer"]
    assert metrics.total("starts") == Tally(3, 3)
    assert metrics.total("patience") == Summary(Sketch([1, 2, 3]), "s")
    with pytest.raises(UsageError, match="nobody has measured 'start'; did you mean 'starts'"):
        metrics.find("start")


def test_a_crash_is_the_end_of_what_was_measured_before() -> None:
    network = Network()
    host = network.host("one").run(viewer(10))
    network.host("other").run(viewer(20))

    @component
    async def breaks(inbox: Any, outbox: Any) -> None:
        await sleep(4)
        host.crash()
        await sleep(2)
        host.restart()

    network.host("breaks").run(breaks())
    metrics = network.simulate(seconds=30).metrics
    # 4 s until the crash, and 10 s more from the second start to the end
    assert metrics.measures["one"]["viewer"]["waiting"] == Gauge(2, 2, 2, 0.0, 14.0, "frames")
    assert metrics.measures["one"]["viewer"]["starts"] == Tally(2, 2)
    assert metrics.measures["other"]["viewer"]["waiting"].seconds == 20


def test_on_loopback_components_measure_as_well() -> None:
    network = Network()
    network.host("one").run(Source([b"a", b"b"]) | Stamp() | Measure("film", stamp=True))
    trace = network.loopback(seconds=5)
    assert trace.metrics.total("film").messages == 2
    assert trace.metrics.measures["one"]["Pipeline/Measure"]["film"] == trace.results["one"]


@pytest.mark.one_core
def test_both_forms_measure_the_same() -> None:
    def run(form: str) -> dict[str, Any]:
        core.use(form)
        network = stream(200, loss=0.1, delay="20 ms", jitter="5 ms", rate="100 kbit/s", queue=CoDel())
        return network.simulate(seconds=10, seed=9, measure="queues").metrics.as_dict()

    found = run("compiled")
    assert found == run("plain")
    assert found["measures"]["viewer"]["Pipeline/Measure"]["film"]["lost"] > 5


# -- as text and as data ----------------------------------------------------------------------------


def test_the_tables_of_a_small_network() -> None:
    network = stream(20, delay="20 ms", loss=LossList([3, 4]), duplicate=0)
    network.host("other").run(viewer(2))
    assert str(network.simulate(seconds=5).metrics) == (
        "link             sent  delivered  lost  dropped  bytes\n"
        "studio > viewer    20         18     2        0  2,880\n"
        "viewer > studio     0          0     0        0      0\n"
        "\n"
        "host    sent  received  bytes sent  bytes received\n"
        "studio    20         0       2,880               0\n"
        "viewer     0        18           0           2,592\n"
        "other      0         0           0               0\n"
        "\n"
        "film                     messages   throughput  lost  longest burst  delay p50  delay p95"
        "  jitter p95  gap p95  stalls  stalled\n"
        "viewer/Pipeline/Measure        18  71.6 kbit/s  10 %              2      20 ms      20 ms"
        "         0 s    30 ms       1    30 ms\n"
        "\n"
        "waiting           mean       min       max  at 0\n"
        "other/viewer  2 frames  2 frames  2 frames   0 %\n"
        "\n"
        "starts        total\n"
        "other/viewer      1\n"
        "\n"
        "patience      count  mean  min  p50  p95  p99  max\n"
        "other/viewer      1   2 s  2 s  2 s  2 s  2 s  2 s\n"
        "\n"
        "5 s of virtual time\n"
    )


def test_columns_of_what_is_rare_are_there_when_it_happens() -> None:
    text = str(burst((0, 3), duplicate=1.0).simulate(measure="queues").metrics)
    assert text.startswith(
        "link   sent  delivered  lost  dropped  duplicated  bytes  waiting  at most  wait p95    busy\n"
        "a > b     3          6     0        0           3  3,000   0.0024        2     16 ms  0.24 %\n"
        "b > a     0          0     0        0           0      0        0        0         -     0 %\n"
    )


def large(hosts: int) -> Metrics:
    """Metrics of so many viewers, of which number n has lost n of 10,000 packets."""
    links, counts, measures = {}, {}, {}
    for n in range(hosts):
        links[f"edge > viewer-{n}"] = LinkMetrics(10_000, 10_000 - n, n, 0, 1_000_000)
        links[f"viewer-{n} > edge"] = LinkMetrics(0, 0, 0, 0, 0)
        counts[f"viewer-{n}"] = HostMetrics(0, 10_000 - n, 0, 100 * (10_000 - n))
        flow = Flow("film")
        for number in range(0, 20):
            if number not in range(1, 1 + n % 15):
                flow.passed(number * 10**8, 100, number, 0)
        measures[f"viewer-{n}"] = {
            "Pipeline/Measure": {"film": flow.result(2 * 10**9)},
            "Pipeline/Decoder": {
                "decoded": Tally(n, n),
                "took": Summary(Sketch([n]), "s"),
                "buffer": Gauge(5.0, 0, 9, n / hosts, 10.0),
            },
        }
    return Metrics(60.0, links, counts, measures)


def test_the_tables_of_a_large_network_are_readable() -> None:
    metrics = large(1000)
    text = str(metrics)
    lines = text.splitlines()
    assert len(lines) < 130
    assert max(map(len, lines)) < 150
    found = {line.split("  ")[0]: line.split() for line in lines}
    assert found["all 2,000, 1,000 idle"][-5:] == ["10,000,000", "9,500,500", "499,500", "0", "1,000,000,000"]
    assert "edge > viewer-999" in found and "edge > viewer-990" in found
    assert "edge > viewer-989" not in found
    assert "(the 10 that lost or dropped the largest share; table(all=True) shows all)" in found
    links = lines[1:16]
    assert [line.split()[0] for line in links[1:5]] == ["min", "p50", "p95", "max"]
    assert [line.split()[3] for line in links[1:5]] == ["0", "499", "949", "999"]
    assert lines[6].startswith("edge > viewer-999 ")
    for title in ("film ", "decoded ", "took ", "buffer "):
        assert sum(line.startswith(title) for line in lines) == 1
    assert text.count("(the 10 that lost most, and then stalled longest;") == 1
    assert "viewer-999/Pipeline/Decoder" in found


def test_all_rows_are_shown_if_asked_for() -> None:
    metrics = large(50)
    whole = metrics.table(all=True)
    assert whole.count("\n") > 50 * 6
    for n in range(50):
        assert f"edge > viewer-{n} " in whole
    assert "shows all" not in whole
    assert large(10).table(all=True) == str(large(10))


def test_of_many_links_that_lose_nothing_none_is_worst() -> None:
    links = {f"a > b ({n})": LinkMetrics(5, 5, 0, 0, 500) for n in range(30)}
    text = str(Metrics(1.0, links, {}))
    assert text.startswith(
        "link    sent  delivered  lost  dropped   bytes\nall 30   150        150     0        0  15,000\n"
    )
    assert "a > b" not in text


def test_plain_values_for_json() -> None:
    metrics = large(3)
    values = json.loads(json.dumps(metrics.as_dict(), allow_nan=False))
    assert values["seconds"] == 60
    assert values["links"]["edge > viewer-2"] == {
        "sent": 10_000,
        "delivered": 9998,
        "lost": 2,
        "dropped": 0,
        "marked": 0,
        "duplicated": 0,
        "corrupted": 0,
        "bytes": 1_000_000,
    }
    assert values["hosts"]["viewer-1"]["received"] == 9999
    assert values["measures"]["viewer-2"]["Pipeline/Decoder"]["decoded"]["total"] == 2
    assert values["measures"]["viewer-2"]["Pipeline/Measure"]["film"]["lost"] == 2
    queue = burst((0, 3)).simulate(measure="queues").metrics.as_dict()["links"]["a > b"]["queue"]
    assert (queue["most_packets"], queue["delay"]["max"]) == (2, 0.016)
    json.dumps(queue, allow_nan=False)


def test_metrics_are_values() -> None:
    metrics = large(30)
    assert pickle.loads(pickle.dumps(metrics)) == metrics == large(30)
    assert metrics != large(29)


def test_the_loss_of_a_link() -> None:
    assert LinkMetrics(10, 6, 3, 1, 0).loss == 0.4
    assert math.isnan(LinkMetrics(0, 0, 0, 0, 0).loss)
