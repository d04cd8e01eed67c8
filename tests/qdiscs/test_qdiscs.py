"""What compares our links and queues with those of Linux, as an instrument.

Nothing here needs a kernel: what goes through a real qdisc is in `testbed/links/test_kernel_token_bucket.py`.
"""

from __future__ import annotations

import doctest
import json
import random
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kamaelia.testbed.links import DropTail, UniformLoss
from tools.qdiscs import __main__ as command
from tools.qdiscs import compare, ours, scenarios, streams, uml
from tools.qdiscs.real import Seen
from tools.qdiscs.scenarios import SCENARIOS, Finding
from tools.qdiscs.streams import MS, Packet, bursts, merged, shifted, steady

pytestmark = [pytest.mark.once, pytest.mark.one_core]


def seen(arrived: list[int], came: dict[int, int]) -> Seen:
    """Return packets of which some came out, at certain times."""
    return Seen(arrived, [(number, time, 0) for number, time in came.items()])


@pytest.mark.parametrize("module", [compare, scenarios], ids=lambda module: module.__name__)
def test_the_examples_are_right(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


# --- streams ------------------------------------------------------------------------------------------


def test_streams_have_the_rate_they_are_told() -> None:
    stream = steady(8e6, 2, 500, flow=3, ecn=2)
    assert sum(packet.size for packet in stream) * 8 == 16e6
    assert stream[:2] == [Packet(0, 500, 3, 2), Packet(500_000, 500, 3, 2)]
    assert shifted(stream, 7)[1].time == 500_007


def test_bursts_come_at_once_and_sizes_in_turn() -> None:
    assert bursts(3, 0.5, 2, (60, 700)) == [
        Packet(0, 60),
        Packet(0, 700),
        Packet(0, 60),
        Packet(500 * MS, 700),
        Packet(500 * MS, 60),
        Packet(500 * MS, 700),
    ]


def test_merged_streams_are_in_order_of_time() -> None:
    both = merged(steady(8e6, 0.01, 1000), steady(6e6, 0.01, 1000, flow=1))
    assert len(both) == 17
    assert both == sorted(both, key=lambda packet: packet.time)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_is_sent_in_a_scenario_can_be(scenario: Any) -> None:
    assert all(
        one.time <= other.time for one, other in zip(scenario.packets, scenario.packets[1:], strict=False)
    )
    sizes = {packet.size for packet in scenario.packets}
    assert streams.SMALLEST <= min(sizes) <= max(sizes) <= streams.LARGEST
    flows = {(packet.flow, packet.ecn) for packet in scenario.packets}
    assert len({flow for flow, _ in flows}) == len(flows), "a flow has one socket, and that one ECN field"


# --- ours ---------------------------------------------------------------------------------------------


def test_packets_go_through_a_link_as_large_as_they_are_with_ethernet() -> None:
    link = {"rate": "8 Mbit/s", "delay": "3 ms", "queue": DropTail(packets=1)}
    packets = [Packet(0, 1000), Packet(0, 60, flow=1), Packet(0, 700), Packet(0, 1500)]
    came = ours.through(link, packets, [0, 0, 0, 10 * MS])
    assert came.came == [(0, 4 * MS, 0), (1, 4 * MS + 60_000, 0), (3, 14 * MS + 500_000, 0)]
    assert came.counts == {"drops": 1, "lost": 0, "marks": 0}


def test_another_seed_loses_others() -> None:
    packets = steady(80e6, 0.1, 100)
    arrived = [packet.time for packet in packets]
    runs = [ours.through({"loss": UniformLoss(0.1)}, packets, arrived, seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert 900 < runs[0].counts["lost"] < 1100


# --- comparing ----------------------------------------------------------------------------------------


def test_packets_are_compared_one_by_one() -> None:
    arrived = [0, 10, 20, 30, 40]
    real = seen(arrived, {0: 5, 1: 17, 3: 47, 4: 61})
    model = seen(arrived, {0: 4, 1: 15, 2: 45, 4: 60})
    found = compare.shaped(real, model, [100] * 5)
    assert (found.dropped, found.unlike, found.apart) == ((1, 1), 2, 1)
    assert (found.early, found.late) == (-1, (1, 2, 2))
    assert found.throughput == pytest.approx((300 / 56) / (300 / 56))


def test_one_that_drops_more_and_more_is_seen() -> None:
    arrived = list(range(9))
    found = compare.shaped(
        seen(arrived, {0: 0, 3: 3, 6: 6}), seen(arrived, {n: n for n in range(9)}), [100] * 9
    )
    assert found.apart == 6


def test_losses_and_delays_are_those_of_the_packets_in_order() -> None:
    one = Seen([0, 10, 20, 30], [(2, 25, 0), (0, 26, 0), (2, 27, 0), (3, 31, 3)])
    assert compare.lost(one) == [False, True, False, False]
    assert compare.delays(one) == [26, 5, 1]
    assert compare.overtaken(one) == 1


def test_what_is_of_one_kind_is_called_alike_and_what_is_not_is_not() -> None:
    draw = random.Random(3).gauss
    one, other, wider = ([draw(0, width) for _ in range(2000)] for width in (1, 1, 1.5))
    assert compare.same_distribution(one, other) > 0.01
    assert compare.same_distribution(one, wider) < compare.ALPHA
    chance = random.Random(4).random
    few, same, more = ([chance() < share for _ in range(20_000)] for share in (0.01, 0.01, 0.02))
    assert compare.same_rate(few, same) > 0.01
    assert compare.same_rate(few, more) < compare.ALPHA


def test_as_many_losses_in_other_bursts_are_seen() -> None:
    chance = random.Random(5).random
    single = [chance() < 0.1 for _ in range(10_000)]
    double = [lost for _ in range(5000) for lost in [chance() < 0.1] * 2]
    assert compare.same_rate(single, double) > 0.01
    assert compare.same_numbers(compare.runs(single), compare.runs(double)) < compare.ALPHA


def test_none_and_some_are_different_lengths() -> None:
    assert compare.same_numbers([], []) == 1.0
    assert compare.same_numbers([], [1]) == 0.0


@pytest.mark.parametrize(
    ("figures", "agrees"), [((109, 100), True), ((111, 100), False), ((0, 0), True), ((1, 0), False)]
)
def test_figures_may_be_ten_per_cent_apart(figures: tuple[float, float], agrees: bool) -> None:
    assert scenarios.by_ratio("", figures, "{}").agrees is agrees


def test_times_may_be_apart_by_what_a_timer_is_late() -> None:
    assert scenarios.by_time("", (0.03, 0.0)) == Finding("", "0.03", "0.00", "", True)
    assert scenarios.by_time("", (2.0, 1.0)) == Finding("", "2.00", "1.00", "2.000 times", False)


# --- the other kernel ---------------------------------------------------------------------------------


def test_answers_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(folder: Path, init: Path, limit: float) -> None:
        jobs = json.loads((folder / "jobs").read_text())
        assert jobs == [{"qdiscs": ["pfifo"], "packets": [[0, 60, 0, 0]], "tail": 0.5}] * 2
        assert f"mount -t hostfs -o {folder} jobs /mnt" in init.read_text()
        answers = [{"arrived": [0], "came": [[0, 7, 3]], "counts": {"pfifo drops": 0}}, {"failed": "why"}]
        (folder / "answers").write_text("".join(json.dumps(one) + "\n" for one in answers))
        (folder / "version").write_text("6.1.176\n")

    monkeypatch.setattr(uml, "_boot", boot)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    version, answers = uml.run([uml.Job(["pfifo"], [Packet(0, 60)])] * 2)
    assert version == "6.1.176"
    assert answers == [uml.Answer(Seen([0], [(0, 7, 3)], {"pfifo drops": 0})), uml.Answer(None, "why")]


def test_a_kernel_that_has_not_done_all_is_no_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(folder: Path, init: Path, limit: float) -> None:
        (folder / "log").write_text("no module veth\n")

    monkeypatch.setattr(uml, "_boot", boot)
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(uml.Missing, match="has done 0 of 1 jobs, and said: no module veth"):
        uml.run([uml.Job(["pfifo"], [Packet(0, 60)])])


def test_without_the_kernel_it_says_what_provides_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(uml.Missing, match=r"no program linux\.uml: `make qdiscs-deps` installs user-mode"):
        uml.run([uml.Job(["pfifo"], [Packet(0, 60)])])


# --- what is kept -------------------------------------------------------------------------------------


def result(name: str, agrees: bool | None, reason: str = "", failed: str = "") -> command.Result:
    findings = [] if failed else [Finding("lost", "1 %", "2 %", "p = 0.5", agrees)]
    return command.Result(name, ["netem loss 1%", "pfifo"], "loss=0.01", reason, findings, failed)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (result("a", True), True),
        (result("a", None), True),
        (result("a", False), False),
        (result("a", False, "known"), True),
        (result("a", True, "known"), False),
        (result("a", None, failed="no such qdisc"), False),
    ],
)
def test_what_is_as_expected(one: command.Result, expected: bool) -> None:
    assert one.is_as_expected is expected


def test_the_tables() -> None:
    text = command.table([result("a", True), result("b", False), result("c", None, failed="none")])
    assert text.splitlines()[2:] == [
        "| a | lost | 1 % | 2 % | p = 0.5 | yes |",
        "| b | lost | 1 % | 2 % | p = 0.5 | **no** |",
        "| c | not run: none | | | | |",
    ]
    assert "| a | `netem loss 1%`, inside `pfifo` | `loss=0.01` |" in command.told([result("a", True)])


def test_the_page_has_what_is_kept(tmp_path: Path) -> None:
    data = json.loads(command.RESULTS.read_text())
    before, _, rest = command.PAGE.read_text().partition(command.BEGIN)
    kept, _, after = rest.partition(command.END)
    assert kept.strip() == command.text(data)
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    page.write_text(f"{before}{command.BEGIN}{command.END}{after}")
    command.write(data, page, results)
    assert page.read_text() == command.PAGE.read_text()
    assert results.read_text() == command.RESULTS.read_text()


def test_all_that_is_compared_is_kept_and_is_as_expected() -> None:
    data = json.loads(command.RESULTS.read_text())
    kept = [command.result_of(one) for one in data["uml"]]
    assert [one.name for one in kept] == [scenario.name for scenario in SCENARIOS]
    assert [one.qdiscs for one in kept] == [list(scenario.qdiscs) for scenario in SCENARIOS]
    everything = [*kept, *(command.result_of(one) for one in data["tbf"])]
    assert [one.name for one in everything if not one.is_as_expected] == []


def test_a_page_without_its_marks_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match=r"page\.md has not both"):
        command.write(json.loads(command.RESULTS.read_text()), page, tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()
