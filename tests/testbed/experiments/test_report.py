"""The report: one page that says all, asks nobody, and is the same each time; in a real browser, too.

`KAMAELIA_KEEP=1` makes the picture for the documentation anew: look at it before you commit it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.cli import main
from kamaelia.testbed.experiments import Experiment, InlineExecutor, Run, Study, interval
from kamaelia.testbed.experiments.plot import SERIES, Series, plot
from kamaelia.testbed.experiments.report import FAILURES, page
from kamaelia.testbed.links import RandomStream

from .scenarios import coin, drawn

pytestmark = pytest.mark.one_core

ROOT = Path(__file__).resolve().parents[3]
PICTURE = ROOT / "docs" / "pictures" / "experiment.png"
LARGEST = 200_000  # bytes of a picture
EVIL = "<script>alert('x')</script>\"&"
ABOUT = {
    "name": f"queues {EVIL}",
    "scenario": "star.py:queues",
    "description": "A studio sends to viewers behind one slow link.\n\nNot shown.",
    "seconds": 60.0,
    "key": "0123456789abcdef",
    "options": {"keep": 0},
    "sources": {"star.py": f"# {EVIL}\n" + "x = 1\n" * 30},
    "journal": ".kamaelia/experiments/queues-0123456789ab/runs.jsonl",
    "hypotheses": [
        {
            "hypothesis": EVIL,
            "expected": "",
            "at": "2026-11-23 01:00:00 UTC",
            "runs": 0,
            "bytes": 900,
            "hash": "ab" * 32,
        },
        {
            "hypothesis": "CoDel",
            "expected": "half",
            "at": "2026-11-23 02:00:00 UTC",
            "runs": 9,
            "bytes": 990,
            "hash": "cd" * 32,
        },
    ],
    "sessions": [
        {
            "at": "2026-11-23 01:00:00 UTC",
            "runs": 60,
            "executor": "processes",
            "versions": {"kamaelia": "2.0.0", "python": "3.11.7"},
            "machine": {"platform": "Linux", "processors": "2", "core": "compiled"},
            "revision": None,
        }
    ],
}


def study(failures: int = 2) -> Study:
    """A study with all that there can be in one."""
    points = [
        {"queue": queue, "load": load, "viewers": 10}
        for queue in ("drop-tail", "codel")
        for load in (0.5, 1.0, 1.5)
    ]
    runs = []
    for point in points:
        for seed in range(10):
            stream = RandomStream(seed, "made up")
            late = 0.02 + (0.3 if point["queue"] == "drop-tail" else 0.05) * max(
                0.0, float(point["load"]) - 0.8
            )
            values = {"p95": late * stream.uniform(0.9, 1.1), EVIL: stream.random()}
            failed = len(runs) < failures
            runs.append(
                Run(
                    point,
                    seed,
                    {} if failed else values,
                    {"links.lost": stream.random()},
                    f"ValueError: {EVIL}" if failed else None,
                    f"kamaelia simulate star.py:queues --seed={seed}" if failed else "",
                    0.5,
                )
            )
    return Study(ABOUT, points, list(range(10)), runs)


class Read(HTMLParser):
    """What is in a page: elements, their attributes, and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


# -- what is in it ----------------------------------------------------------------------------------------


def test_the_page_says_everything() -> None:
    read = Read(page(study()))
    assert read.open == []
    for said in (
        "6 combinations with 10 seeds each",
        "60 s of virtual time",
        "Written down 2026-11-23 01:00:00 UTC, before the first run. The first 900 bytes",
        "It was changed:",
        "when 9 runs had been made",
        "2 runs of 60 failed",
        "kamaelia simulate star.py:queues --seed=1",
        "p95: queue against drop-tail, in pairs of the same seed",
        "p (Holm) is for all 3 comparisons of this table",
        "95 of a hundred such intervals",
        "Means of everything else that was measured",
        "0 to 9",
        "30.0 s, 0.5 s each",
        "compiled",
        "0123456789abcdef",
        "x = 1",
    ):
        assert said in read.text, said
    assert "Not shown" not in read.text


def test_what_comes_from_outside_stays_text() -> None:
    read = Read(page(study()))
    assert not [tag for tag, _ in read.elements if tag in ("script", "img", "iframe", "object", "link", "a")]
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert read.text.count(EVIL) >= 7  # name, title, hypothesis, two failures, a measure, the code


def test_nothing_in_it_leads_elsewhere() -> None:
    text = page(study())
    read = Read(text)
    assert not {"src", "href", "style", "action", "srcset"} & {
        name for _, some in read.elements for name in some
    }
    assert "http" not in text.replace("http-equiv", "") and "url(" not in text and "@import" not in text
    (policy,) = [some["content"] for tag, some in read.elements if some.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-")


def test_every_table_has_a_caption_and_every_plot_is_told_in_words() -> None:
    read = Read(page(study()))
    tags = [tag for tag, _ in read.elements]
    assert tags.count("table") == tags.count("caption") > 5
    pictures = [some for tag, some in read.elements if tag == "svg" and some.get("role") == "img"]
    assert len(pictures) == 4 == tags.count("desc")
    ids = [some["id"] for _, some in read.elements if "id" in some]
    assert len(ids) == len(set(ids))
    for one in pictures:
        assert set(str(one["aria-labelledby"]).split()) <= set(ids)
    assert re.search(r"load=1\.5: at drop-tail 0\.2\d+ \[0\.\d+, 0\.\d+\]; at codel 0\.05\d+", read.text)


def test_the_same_study_makes_the_same_bytes() -> None:
    experiment = Experiment(coin, add=[0, 1, 2], seeds=3, outcome=drawn)
    made = experiment.run(folder=None, executor=InlineExecutor())
    assert page(made) == page(made)
    assert page(study()) == page(study())


def test_a_report_is_written_whole_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    study().report(path, of=["p95"])
    assert path.read_text(encoding="utf-8") == page(study(), ["p95"])
    assert [one.name for one in tmp_path.iterdir()] == ["study.html"]
    with pytest.raises(UsageError, match="no run has measured 'p59'"):
        study().report(path, of=["p59"])


def test_of_many_failures_some_are_shown() -> None:
    text = Read(page(study(failures=FAILURES + 5))).text
    assert f"The first {FAILURES} are shown" in text
    assert text.count("ValueError:") == FAILURES


@pytest.mark.parametrize(
    "made",
    [
        Study({}, [{}], [0], []),
        Study({"name": "one"}, [{}], [0], [Run({}, 0, {"p95": 1.0})]),
        Study({"name": "all failed"}, [{"a": 1}, {"a": 2}], [0], [Run({"a": 1}, 0, error="no")]),
        Study(
            {"name": "odd"},
            [{"a": None}, {"a": True}],
            [0, 1],
            [Run({"a": None}, 0, {"p95": float("inf")}), Run({"a": True}, 1, {"p95": -1e300})],
        ),
    ],
    ids=["no runs", "one run", "all failed", "odd values"],
)
def test_there_is_a_page_of_whatever_there_is(made: Study) -> None:
    assert Read(page(made)).open == []


# -- plots ------------------------------------------------------------------------------------------------


def test_a_plot_shows_means_intervals_and_runs() -> None:
    points = tuple((value, interval([value, value + 2.0]), (value, value + 2.0)) for value in (1, 10, 100))
    read = Read(plot([Series("", points)], "viewers", "p95", "x"))
    classes = [some.get("class") for _, some in read.elements]
    assert classes.count("s0 dot") == 6 and classes.count("s0 bar") == 3 and classes.count("s0 mark") == 3
    assert classes.count("s0 line") == 1
    marks = [float(str(some["cx"])) for tag, some in read.elements if tag == "circle" and "class" not in some]
    assert marks[1] - marks[0] == pytest.approx(marks[2] - marks[1], abs=0.2)  # steps are factors
    assert {"1", "10", "100", "viewers"} <= set(read.texts)


def test_words_stand_side_by_side_and_are_not_joined() -> None:
    points = tuple(
        (value, interval([1.0, 2.0]), ()) for value in ("drop-tail", "codel", "a very long name indeed")
    )
    read = Read(plot([Series("", points)], "queue", "p95", "x"))
    assert not [some for _, some in read.elements if some.get("class") == "s0 line"]
    assert {"drop-tail", "codel", "a very long name..."} <= set(read.texts)


def test_series_differ_in_their_marks() -> None:
    points = ((1, interval([1.0, 2.0]), ()),)
    text = plot([Series(f"{number}", points) for number in range(SERIES)], "viewers", "p95", "x")
    shapes = re.findall(r'<g class="s(\d) mark"><(\w+) (?:points="([^"]*)")?', text)
    assert [place for place, _, _ in shapes] == [str(number) for number in range(SERIES)]


def test_more_series_than_can_be_told_apart_are_one() -> None:
    points = [{"a": a, "b": b} for a in (1, 2) for b in range(SERIES + 1)]
    runs = [Run(point, seed, {"v": float(point["a"])}) for point in points for seed in (0, 1)]
    read = Read(page(Study({"name": "many"}, points, [0, 1], runs)))
    assert "v by a: means over all values of b" in read.text


# -- in a browser -----------------------------------------------------------------------------------------

SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
]  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=SWITCHES
        )
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.needs("program:chromium", "module:playwright")
def test_a_browser_asks_for_nothing_else_and_has_nothing_to_complain(chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "study.html"
    study().report(path)
    for scheme, width in (("light", 1200), ("dark", 375)):
        context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab = context.new_page()
        asked: list[str] = []
        said: list[str] = []
        tab.on("request", lambda request, asked=asked: asked.append(request.url))
        tab.on("console", lambda message, said=said: said.append(message.text))
        tab.on("pageerror", lambda error, said=said: said.append(str(error)))
        tab.goto(path.as_uri())
        assert asked == [path.as_uri()]
        assert said == []
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        shown = tab.evaluate("getComputedStyle(document.body).backgroundColor")
        paper = "rgb(255, 255, 255)" if scheme == "light" else "rgb(18, 23, 29)"
        assert shown == paper  # the style sheet is let in
        tab.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        tab.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
        found = tab.evaluate("async () => (await axe.run(document)).violations")
        assert [f"{one['id']}: {one['nodes'][0]['html'][:100]}" for one in found] == []
        context.close()


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.needs("program:chromium", "module:playwright")
def test_the_picture_in_the_documentation_is_there(
    chromium: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.environ.get("KAMAELIA_KEEP") == "1":
        guide = (ROOT / "docs" / "how-to" / "run-an-experiment.md").read_text(encoding="utf-8")
        (tmp_path / "twice.py").write_text(guide.split('title="twice.py"')[1].split("```")[0])
        monkeypatch.chdir(tmp_path)
        words = ["--set=again=None,1,10", "--set=burst=1.5,5", "--outcome=missing", "--seconds=25"]
        assert main(["experiment", "twice.py:stream", *words, "--report=study.html"]) == 0
        tab = chromium.new_page(viewport={"width": 1000, "height": 640})
        tab.goto((tmp_path / "study.html").as_uri())
        tab.screenshot(path=PICTURE)
    assert 10_000 < PICTURE.stat().st_size < LARGEST
