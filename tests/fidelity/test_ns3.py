"""What has ns-3 judge TCP, as an instrument. Nothing here needs ns-3: a script stands for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools.fidelity import ns3
from tools.fidelity.dumbbell import Bulk, Dumbbell, Flows
from tools.fidelity.ns3 import Missing

pytestmark = [pytest.mark.once, pytest.mark.one_core]

COUNTS: dict[str, Any] = {
    "version": "3.37",
    "segments": 100,
    "retransmitted": 3,
    "timeouts": 1,
    "recoveries": 2,
    "packets": 101,
    "lost": 2,
    "dropped": 1,
}
BELL = Dumbbell(20e6, 0.02, 50_000, "reno", frozenset({12, 7, 100}))


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have a script instead of the program: it prints a line, and keeps what it was told."""
    build = tmp_path / "build"
    build.mkdir()
    monkeypatch.setattr(ns3, "BUILD", build)

    def make(line: dict[str, Any] | None, code: int = 0) -> Path:
        script = build / "dumbbell"
        told = "" if line is None else json.dumps(line)
        script.write_text(
            f"#!/bin/sh\necho \"$*\" > {build}/words\ncat > {build}/numbers\necho 'a warning' >&2\n"
            f"echo '{told}'\necho 'no such queue' >&2\nexit {code}\n"
        )
        script.chmod(0o755)
        return build

    return make


def test_bulk_is_told_all_and_read_whole(stand_in: Any) -> None:
    build = stand_in({**COUNTS, "received": 24_003_496, "seconds": 10.0})
    assert ns3.bulk(BELL) == Bulk(**COUNTS, received=24_003_496, seconds=10.0)
    assert (build / "words").read_text() == (
        "bulk --seconds=10.0 --rate=20000000 --rtt=20000000 --queue=50000 --congestion=reno\n"
    )
    assert (build / "numbers").read_text() == "7 12 100"


def test_goodput_is_in_bits_per_second() -> None:
    assert Bulk(**COUNTS, received=5_000_000, seconds=2.0).goodput == 20e6


def test_flows_are_told_all_and_read_whole(stand_in: Any) -> None:
    build = stand_in({**COUNTS, "took": [0.0342, None]})
    assert ns3.flows(BELL, 10_000, 2, pause=0, limit=30) == Flows(**COUNTS, took=(0.0342, None))
    assert (
        (build / "words")
        .read_text()
        .startswith("flows --size=10000 --repeats=2 --pause=0.0 --limit=30.0 --rate=")
    )


def test_what_fails_says_why(stand_in: Any) -> None:
    stand_in(None, code=2)
    with pytest.raises(Missing, match=r"dumbbell\.cc failed with 2: no such queue"):
        ns3.bulk(BELL)


def test_without_ns3_it_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ns3, "BUILD", tmp_path / "none")
    monkeypatch.setattr(ns3, "HEADER", tmp_path / "none.h")
    with pytest.raises(Missing, match="`make fidelity-deps` installs libns3-dev"):
        ns3.bulk(BELL)


def test_without_a_compiler_it_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ns3, "BUILD", tmp_path / "none")
    monkeypatch.setattr(ns3, "HEADER", Path(__file__))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing, match=r"no compiler g\+\+"):
        ns3.bulk(BELL)


@pytest.mark.parametrize(
    ("what", "value", "said"),
    [
        ("rate", 0, "rate=0: give bits per second"),
        ("rate", float("inf"), "rate=inf"),
        ("rtt", -0.01, "rtt=-0.01: give seconds"),
        ("rtt", float("nan"), "rtt=nan"),
        ("queue", 1499, "queue=1499: give whole bytes, 1500 at least"),
        ("queue", 1500.5, r"queue=1500\.5: give whole bytes"),
        ("congestion", "bbr", "congestion='bbr': it is one of cubic, cubic-repaired, reno"),
        ("lost", frozenset({-1}), "lost=-1: packets are numbered from 0 on"),
    ],
)
def test_what_is_no_dumbbell_is_refused(what: str, value: Any, said: str) -> None:
    words: dict[str, Any] = {"rate": 20e6, "rtt": 0.02, "queue": 50_000, what: value}
    with pytest.raises(ValueError, match=said):
        Dumbbell(**words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"size": 0}, "size=0, repeats=1: give 1 at least"),
        ({"size": 1, "repeats": 0}, "size=1, repeats=0"),
        ({"size": 1, "pause": -1}, "pause=-1: give some seconds"),
        ({"size": 1, "limit": 0}, "limit=0: give some seconds"),
    ],
)
def test_what_are_no_flows_is_refused(words: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ns3.flows(BELL, **words)
