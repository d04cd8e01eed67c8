"""The page of the Studio in a real browser, as people use it.

`pytest -m studio tests/studio` is the long form (``make test-studio``); it prints how many frames a second
were drawn. ``KAMAELIA_KEEP=1`` makes the pictures for the documentation anew: look at them before you commit
them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from .conftest import Shown
from .feed import MadeUp

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.one_core("compiled"),
    pytest.mark.needs("program:chromium", "module:playwright", "module:websockets"),
]

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
LARGEST = 200_000  # bytes of a picture
WAIT = 20_000  # milliseconds for anything at all
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # it reaches nobody but us
]  # fmt: skip
Show = Callable[..., Shown]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or "chromium", args=SWITCHES
        )
        yield browser
        browser.close()


class Page:
    """A page of the Studio, and what was wrong with it."""

    def __init__(self, chromium: Any, url: str, **options: Any) -> None:
        size = options.pop("size", (1280, 800))
        awaited = options.pop("wait_for", "#paper .part")
        self.excused: str | None = options.pop("excused", None)  # what it may complain of
        self.context = chromium.new_context(viewport={"width": size[0], "height": size[1]}, **options)
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(WAIT)
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.tab.on("console", self._hear)
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.asked.append(request.url))
        began = time.monotonic()
        self.tab.goto(url)
        self.tab.wait_for_selector(awaited)
        self.first_picture = time.monotonic() - began
        self.origin = url.partition("#")[0]

    def _hear(self, message: Any) -> None:
        if self.excused is not None and self.excused in message.text:
            return
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def evaluate(self, script: str, value: Any = None) -> Any:
        return self.tab.evaluate(script, value)

    def wait(self, script: str, value: Any = None) -> Any:
        """Wait until a script is true. (Playwright's own way is eval, which the policy forbids.)"""
        end = time.monotonic() + WAIT / 1000
        while not (found := self.tab.evaluate(script, value)):
            assert time.monotonic() < end, f"not within {WAIT / 1000:g} s: {script}"
            self.tab.wait_for_timeout(25)
        return found

    def places(self) -> dict[str, list[float]]:
        """Where each part stands in the picture, by its path; as the SVG has it."""
        found: dict[str, list[float]] = self.evaluate(
            """() => {
                const parts = [...studio.picture.views].filter(([id]) => id[0] === "c")
                return Object.fromEntries(parts.map(([, view]) => {
                    const at = view.el.transform.baseVal.consolidate().matrix
                    return [view.node.component.path, [at.e, at.f]]
                }))
            }"""
        )
        return found

    def axe(self) -> list[str]:
        """What a checker of accessibility says that is serious."""
        source = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text()
        self.evaluate(source)  # by the debugger: the policy of the page lets nothing else in
        found = self.evaluate("async () => (await axe.run(document)).violations")
        return [
            f"{one['id']}: {one['help']}: {node['html'][:200]} {node.get('failureSummary', '')[:300]}"
            for one in found
            if one["impact"] in ("serious", "critical")
            for node in one["nodes"]
        ]

    def close(self) -> None:
        """Leave it, and see that it asked nobody else, broke no policy, and complained of nothing."""
        violations = self.evaluate("studio.violations")
        self.context.close()
        assert violations == []
        assert self.complaints == []
        own = (self.origin, self.origin.replace("http", "ws"), "data:", "blob:")
        assert [url for url in self.asked if not url.startswith(own)] == []


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Page]]:
    pages: list[Page] = []

    def visit(url: str, **options: Any) -> Page:
        pages.append(Page(chromium, url, **options))
        return pages[-1]

    yield visit
    for page in pages:
        page.close()


def named(begin: str) -> str:
    """A script: how many parts of the picture have names that begin so."""
    return f"[...studio.scene.nodes.values()].filter(n => n.component.name.startsWith('{begin}')).length"


def keep(page: Page, name: str) -> None:
    """Keep a picture of the page for the documentation, if that is asked for."""
    picture = page.tab.screenshot()
    assert len(picture) < LARGEST
    if os.environ.get("KAMAELIA_KEEP") == "1":
        (PICTURES / f"studio-{name}.png").write_bytes(picture)


@contextmanager
def running(system: str) -> Iterator[str]:
    """Run a system, and a Studio beside it, as people do; yields the address of the page."""
    command = [sys.executable, "-m", "tests.studio.systems", system]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            found = re.search(r"http://\S+#[0-9a-f]{32}", line)
            if found:
                break
        else:
            pytest.fail("no Studio was started")
        yield found[0]
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


# -- short: made-up systems ------------------------------------------------------------------------------


def test_rates_move_and_nothing_is_against_the_policy(show: Show, visit: Callable[..., Page]) -> None:
    shown = show(MadeUp(30))
    page = visit(shown.url)
    assert page.evaluate("location.hash") == ""  # the token is not left in the address bar
    assert page.tab.title() == "made_up.py \u2013 Kamaelia Studio"
    assert page.evaluate("document.querySelectorAll('#paper .part').length") == 30
    rates = "[...document.querySelectorAll('#paper .rate')].map(one => one.textContent).join(' ')"
    before = page.wait(f"/[0-9]\\/s/.test({rates}) && {rates}")
    page.wait(f"{rates} !== {json.dumps(before)}")
    width = "document.querySelector('#paper .line').getAttribute('stroke-width')"
    before = page.evaluate(width)
    page.wait(f"{width} !== {json.dumps(before)}")
    assert page.axe() == []
    page.tab.reload()  # the token is kept, for this tab only
    page.tab.wait_for_selector("#paper .part")


def test_who_has_not_the_whole_address_is_told_so(show: Show, visit: Callable[..., Page]) -> None:
    shown = show(MadeUp(3))
    page = visit(shown.url.partition("#")[0], wait_for="#news.gone", excused="403")
    page.wait("document.querySelector('#news').textContent.startsWith('the token is missing or wrong: open')")
    whole = visit(shown.url + ".")  # as it stands at the end of a sentence
    assert whole.evaluate("document.querySelectorAll('#paper .part').length") == 3


def test_known_parts_keep_their_places_when_others_come_and_go(
    show: Show, visit: Callable[..., Page]
) -> None:
    shown = show(MadeUp(40))
    page = visit(shown.url)
    before = page.places()
    made = shown.made
    parts = list(made.components)
    added: list[int] = []

    def add() -> None:
        for number in range(10):
            parent = parts[0] if number < 3 else None
            added.append(made.add_part(f"new-{number}", parent))
            made.add_link(parts[number + 3], added[-1])

    shown.feed.do(add)
    page.wait(f"{named('new-')} === 10")
    now = page.places()
    assert len(now) == len(before) + 10
    leaves = {path for path in before if "part-" in path}
    assert {path: now[path] for path in leaves} == {path: before[path] for path in leaves}
    rects = page.evaluate(
        "[...studio.scene.nodes.values()].filter(n => !n.frame && n.depth === 0)"
        ".map(n => studio.places.rects.get(n.n))"
    )
    for one in range(len(rects)):  # and none lies on another
        for two in range(one):
            a, b = rects[one], rects[two]
            apart = (
                a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"] or a["y"] + a["h"] <= b["y"]
                or b["y"] + b["h"] <= a["y"]
            )  # fmt: skip
            assert apart, (a, b)
    shown.feed.do(lambda: made.remove(*added))
    page.wait(f"{named('new-')} === 0")
    assert page.places() == before
    page.tab.mouse.move(400, 400)  # also over a reload
    page.evaluate("new Promise(done => setTimeout(done, 400))")
    page.tab.reload()
    page.tab.wait_for_selector("#paper .part")
    again = page.places()
    assert {path: [round(x) for x in again[path]] for path in leaves} == {
        path: [round(x) for x in before[path]] for path in leaves
    }


@pytest.mark.studio
def test_folding_makes_room_and_gives_it_back(show: Show, visit: Callable[..., Page]) -> None:
    page = visit(show(MadeUp(30)).url)
    before = page.places()
    fold = "path => document.querySelector('#details .tools button:nth-child(2)').click()"
    page.evaluate("studio.tree.pick('stage-1')")
    page.evaluate(fold)
    folded = page.places()
    assert len(folded) == len(before) - 10
    page.evaluate(fold)
    assert page.places().keys() == before.keys()
    page.evaluate(fold)
    assert page.places() == folded
    inside = [path for path in before if path.startswith("stage-2/")]
    assert {path: folded[path] for path in inside} == {path: page.places()[path] for path in inside}


def test_what_comes_from_the_system_is_text_whatever_it_looks_like(
    show: Show, visit: Callable[..., Page]
) -> None:
    script = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
    made = MadeUp(4)
    made.add_part(script)
    made.components[1]["type"] = script
    box = dict.fromkeys(("name", "type", "state", "doc"), script)
    box |= {"direction": "in", "size": 1, "waiting": 1, "passed": 1, "dropped": 1, "discarded": 0}
    made.details = {
        "doc": script, "arguments": {script: script}, "code": script, "boxes": [box], "where": script,
        "log": [{"level": script, "text": script}], "events": [[1, 1.0, "failed", script, script]],
    }  # fmt: skip
    made.messages = [
        {"type": script, "size": 3, "kind": kind, "text": script, "cut": True, "media_type": script}
        for kind in ("text", "json", "hex", "picture", "samples", "repr", script)
    ]
    made.diagnosis = {"kind": "slow-consumer", "sentence": script, "culprit": script, "where": script,
                      "held": [script], "group": []}  # fmt: skip
    made.events = [[1, 1.0, "failed", script, script], [2, 1.0, script, script, script]]
    page = visit(show(made).url)
    page.wait("document.getElementById('diagnosis-text').textContent.includes('<script>')")
    page.evaluate("path => studio.tree.pick(path)", script)
    page.wait("document.querySelector('#details .doc')?.textContent.includes('<script>')")
    page.tab.fill("#search", "<img")
    page.wait("document.querySelector('#found').textContent.includes('<script>')")
    page.evaluate("studio.details.tell('choose', {box: 'part.inbox'})")
    page.wait("document.querySelectorAll('.messages li').length >= 7")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('img, main script, header script').length") == 0


@pytest.mark.studio
def test_all_kinds_of_messages_are_shown(show: Show, visit: Callable[..., Page]) -> None:
    dot = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    made = MadeUp(4)
    made.messages = [
        {"type": "builtins.str", "size": 5, "kind": "text", "text": "hello", "cut": False},
        {"type": "builtins.dict", "size": None, "kind": "json", "text": '{"n":1}', "cut": False},
        {"type": "builtins.bytes", "size": 18, "kind": "hex", "text": "41" * 17 + "0a", "cut": False},
        {"type": "Image", "size": 9, "kind": "picture", "text": dot, "media_type": "image/png", "cut": False},
        {"type": "Samples", "size": 3, "kind": "samples", "text": "[[0,1,-1]]", "cut": False},
    ]
    shown = show(made)
    page = visit(shown.url)
    page.evaluate("studio.tree.pick('stage-0/part-1')")
    page.tab.click("#details table button.link >> nth=0")
    page.wait("document.querySelectorAll('.messages li').length >= 10")
    page.tab.click("text=Pause")
    texts = page.evaluate("[...document.querySelectorAll('.message')].map(one => one.innerText)")
    assert any("hello" in text for text in texts) and any('{\n  "n": 1\n}' in text for text in texts)
    assert any(re.search(r"0000  (41 ){15}41  A{16}\n0010  41 0a +A\.", text) for text in texts), texts[:5]
    assert page.evaluate("document.querySelector('.message.picture img').complete")
    assert page.evaluate("document.querySelector('.wave polyline').getAttribute('points')") == (
        "0.0,28.0 140.0,0.0 280.0,56.0"
    )
    page.tab.fill(".tap input", "hello")
    shown_now = "[...document.querySelectorAll('.messages li')].map(one => one.textContent)"
    assert all("hello" in text for text in page.evaluate(shown_now))
    with page.tab.expect_download() as download:
        page.tab.click("text=Export")
    saved = Path(download.value.path()).read_text().splitlines()
    assert len(saved) >= 2 and all(json.loads(line)["text"] == "hello" for line in saved)
    assert page.axe() == []


@pytest.mark.studio
def test_silence_and_the_end_are_said(show: Show, visit: Callable[..., Page]) -> None:
    shown = show(MadeUp(5))
    page = visit(shown.url)
    page.wait("document.getElementById('news').textContent === 'live'")
    shown.made.silent = True
    page.wait("/^no news for [0-9.]+ s$/.test(document.getElementById('news').textContent)")
    shown.made.silent = False
    page.wait("document.getElementById('news').textContent === 'live'")
    shown.feed.close()
    page.wait("document.getElementById('news').textContent === 'the system has ended. Trying again.'")


def test_all_of_it_is_done_with_the_keyboard(show: Show, visit: Callable[..., Page]) -> None:
    page = visit(show(MadeUp(30)).url)
    press = page.tab.keyboard.press
    press("/")
    page.tab.keyboard.type("part-17")
    press("Enter")
    page.wait("document.querySelector('#details h2')?.textContent === 'part-17'")
    assert page.evaluate("document.querySelector('.chosen .name').textContent") == "part-17"
    page.evaluate("document.activeElement.blur()")
    press("n")
    page.wait("!document.getElementById('focused').hidden")
    dimmed = page.evaluate("document.querySelectorAll('#paper .part.dimmed').length")
    assert 20 < dimmed < 30
    press("Escape")
    assert page.evaluate("document.querySelectorAll('#paper .dimmed').length") == 0
    for _ in range(60):  # to the list, by Tab alone
        press("Tab")
        if page.evaluate("document.activeElement.getAttribute('role') === 'treeitem'"):
            break
    assert page.evaluate("document.activeElement.dataset.path") == "stage-0"
    press("ArrowRight")
    press("ArrowDown")
    press("Enter")
    page.wait("document.querySelector('#details .path')?.textContent === 'stage-0/part-1'")
    press("Home")
    press("ArrowLeft")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false"
    page.tab.focus("#paper")
    press("0")
    page.wait("studio.picture.fitted")
    before = page.evaluate("studio.picture.view.x")
    press("ArrowLeft")
    page.wait("x => studio.picture.view.x === x + 60", before)
    near = page.evaluate("studio.picture.view.k")
    press("+")
    page.wait("k => studio.picture.view.k > k", near)
    press("0")
    page.wait("k => studio.picture.view.k === k", near)
    press("Space")
    assert page.evaluate("document.getElementById('freeze').getAttribute('aria-pressed')") == "true"
    press("Space")
    press("?")
    assert page.evaluate("document.getElementById('keys').open")
    assert page.axe() == []


@pytest.mark.studio
def test_a_narrow_dark_page_is_usable_and_accessible(show: Show, visit: Callable[..., Page]) -> None:
    page = visit(show(MadeUp(10)).url, size=(390, 780), color_scheme="dark", reduced_motion="reduce")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.axe() == []
    page.tab.click("nav >> text=Parts")
    page.tab.click("[role=treeitem] >> nth=2")
    page.wait("document.querySelector('#details h2')?.offsetWidth > 0")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.axe() == []


@pytest.mark.studio
def test_dragging_a_part_takes_its_links_along(show: Show, visit: Callable[..., Page]) -> None:
    page = visit(show(MadeUp(5, grouped=False)).url)
    line = "[...studio.picture.views].find(([id]) => id[0] === 'w')[1].line.getAttribute('d')"
    before, d = page.places(), page.evaluate(line)
    box = page.tab.locator("#paper .part .shape").nth(0).bounding_box()
    page.tab.mouse.move(box["x"] + box["width"] / 2, box["y"] + 10)
    page.tab.mouse.down()
    page.tab.mouse.move(box["x"] + box["width"] / 2 + 40, box["y"] + 70, steps=4)
    page.tab.mouse.up()
    after = page.places()
    assert [path for path in before if before[path] != after[path]] == ["part-0"]
    assert page.evaluate(line) != d
    # A drag that begins on a link moves the picture, and no part.
    x = page.evaluate("studio.picture.view.x")
    page.tab.mouse.move(20, 150)
    page.tab.mouse.down()
    page.tab.mouse.move(70, 150, steps=3)
    page.tab.mouse.up()
    page.wait("x => studio.picture.view.x === x + 50", x)
    assert page.places() == after


# -- long: real systems, and many parts -------------------------------------------------------------------

FRAMES = """async seconds => await new Promise(done => {
  const {picture} = studio
  let frames = 0, before = performance.now()
  const began = before
  let longest = 0
  const step = now => {
    frames++
    longest = Math.max(longest, now - before)
    before = now
    picture.pan(9 * Math.cos(now / 400), 6 * Math.sin(now / 300))
    if (now - began > seconds * 1000) done({fps: frames * 1000 / (now - began), longest})
    else requestAnimationFrame(step)
  }
  requestAnimationFrame(step)
})"""


@pytest.mark.studio
@pytest.mark.parametrize(("parts", "least"), [(300, 45), (1000, 30)])
def test_many_parts_are_drawn_fast_enough(
    show: Show, visit: Callable[..., Page], parts: int, least: float
) -> None:
    shown = show(MadeUp(parts, grouped=False))
    shown.feed.every = 0.2
    page = visit(shown.url)
    assert page.evaluate("studio.scene.nodes.size") == parts
    for what, zoom in (("all", None), ("near", 0.8)):
        page.evaluate("k => k ? studio.picture.zoom(k / studio.picture.view.k) : studio.picture.fit()", zoom)
        page.evaluate("new Promise(done => setTimeout(done, 500))")
        found = page.evaluate(FRAMES, 4)
        print(f"\n{parts} parts, {what}: {found['fps']:.0f} frames a second, ", end="")
        print(f"longest {found['longest']:.0f} ms, first picture after {page.first_picture:.2f} s")
        assert found["fps"] >= least
    assert page.first_picture < 2


@pytest.mark.studio
def test_a_newcomer_finds_the_part_that_holds_up_fifty(visit: Callable[..., Page]) -> None:
    with running("fifty") as url:
        page = visit(url)
        sentence = "document.getElementById('diagnosis-text').textContent"
        page.wait(f"{sentence}.startsWith('weather/archive/disk holds up')")
        page.wait("document.querySelector('#paper .guilty .name')?.textContent === 'disk'")
        page.wait("document.querySelectorAll('#paper .held').length > 20")
        keep(page, "fifty")
        page.tab.click("#diagnosis-show")
        page.wait("document.querySelector('#details h2')?.textContent === 'disk'")
        page.wait("/systems.py:\\d+ in archive/.test(document.querySelector('#details .where')?.textContent)")
        keep(page, "stalled")
        page.tab.click("#details table button.link >> nth=0")
        page.wait("document.querySelector('.message.json')?.textContent.includes('\"celsius\"')")
        page.wait("document.querySelector('.uplot') !== null")
        page.evaluate("document.querySelector('.plot').scrollIntoView({block: 'start'})")
        page.wait("document.querySelectorAll('.message').length > 1")
        keep(page, "tap")
        assert page.axe() == []
        dark = visit(url, color_scheme="dark")
        dark.wait("document.querySelector('#paper .guilty') !== null")
        keep(dark, "dark")


@pytest.mark.studio
def test_a_frozen_loop_does_not_freeze_the_page(visit: Callable[..., Page]) -> None:
    with running("stuck") as url:
        page = visit(url, size=(390, 780))
        page.wait("document.getElementById('diagnosis-kind').textContent === 'A step lasts.'")
        assert "Pipeline/frozen holds up everybody" in page.evaluate(
            "document.getElementById('diagnosis-text').textContent"
        )
        assert page.evaluate("document.getElementById('news').textContent") == "live"
        page.wait("document.querySelector('#paper .guilty .name')?.textContent === 'frozen'")
        keep(page, "phone")


@pytest.mark.studio
def test_real_parts_come_and_go_and_nobody_else_moves(visit: Callable[..., Page]) -> None:
    with running("changing") as url:
        page = visit(url)
        page.wait(f"{named('extra-')} >= 10")
        steady = {
            path: at for path, at in page.places().items() if "extra" not in path and "Spawner" not in path
        }
        page.wait(f"{named('extra-')} === 0")
        page.wait(f"{named('extra-')} >= 10")
        now = page.places()
        assert len(steady) >= 3
        assert {path: now[path] for path in steady} == steady


@pytest.mark.studio
def test_a_simulated_link_is_cut_and_time_is_taken_by_the_hand(visit: Callable[..., Page]) -> None:
    with running("phones") as url:
        page = visit(url, wait_for="#network .host .kind")
        words = "[...document.querySelectorAll('#net-list .words')].map(one => one.textContent).join('|')"
        page.wait(f"/host, running, [1-9]/.test({words}) && /up, [1-9]/.test({words})")
        assert page.axe() == []
        page.tab.click("#net-list >> text=edge - phone-2")
        page.wait("studio.network.cable.packets > 0")
        # A worse link: the form, and what comes of it.
        page.tab.fill("#set-loss", "60 %")
        page.tab.click("text=Change it")
        page.wait("studio.network.cable.parameters.loss === '60 %'")
        lost = page.evaluate("studio.network.cable.lost")
        page.wait("lost => studio.network.cable.lost > lost + 3", lost)
        page.wait("/lost/.test(document.querySelector('#network .wire.chosen .queue').textContent)")
        keep(page, "loss")
        page.tab.fill("#set-delay", "no time at all")  # what is no delay is refused, in words
        page.tab.click("text=Change it")
        page.wait("document.querySelector('.answer').textContent !== ''")
        page.tab.click("text=Cut it")
        page.wait("document.querySelector('#network .wire.chosen .line').classList.contains('cut')")
        page.wait("/cut/.test(document.querySelector('#network .wire.chosen .rate').textContent)")
        page.wait("studio.network.cable.packets === 0")
        page.tab.click("text=Mend it")
        page.wait("studio.network.cable.up")
        # Time.
        page.tab.click("#time >> text=Pause")
        page.wait("studio.network.state === 'paused'")
        before = page.evaluate("studio.network.time")
        page.tab.click("#time >> text=0.1 s")
        page.wait("t => Math.abs(studio.network.time - t - 0.1) < 0.001", before)
        page.tab.fill("#time input", str(before + 3))
        page.tab.click("text=Run until")
        page.wait("t => Math.abs(studio.network.time - t) < 0.001", before + 3)
        assert page.evaluate("studio.network.state") == "paused"
        page.tab.click("#time >> text=Go on")
        page.wait("t => studio.network.time > t", before + 3)
        # A host: into it, and down.
        page.tab.click("#net-list >> text=phone-3 >> nth=0")
        page.tab.click("text=Look inside")
        page.wait(
            "[...document.querySelectorAll('#paper .name')].some(one => one.textContent === 'TCPClient')"
        )
        page.tab.click("text=Back to the network")
        page.tab.click("#net-list >> text=phone-3 >> nth=0")
        page.tab.click("text=Crash it")
        page.wait("studio.network.host.state === 'down'")
        assert page.axe() == []


@pytest.mark.studio
def test_parts_never_lie_on_each_other_however_they_are_folded(
    show: Show, visit: Callable[..., Page]
) -> None:
    page = visit(show(MadeUp(60)).url)
    overlaps = """() => {
        const {scene, places} = studio
        const nodes = [...scene.nodes.values()]
        return nodes.flatMap((a, n) => nodes.slice(0, n).filter(b => {
            if (a.parent !== b.parent) return false
            const [p, q] = [a, b].map(one => places.rects.get(one.n))
            return p.x < q.x + q.w && q.x < p.x + p.w && p.y < q.y + q.h && q.y < p.y + p.h
        }).map(b => [a.component.path, b.component.path]))
    }"""
    assert page.evaluate(overlaps) == []
    before = page.places()
    for stage in (0, 2, 4, 2, 1, 0, 4, 1, 3, 5, 3, 5):  # each of them twice
        page.evaluate("path => studio.details.tell('fold', studio.model.byPath.get(path))", f"stage-{stage}")
        assert page.evaluate(overlaps) == [], f"after stage-{stage}"
    assert page.places().keys() == before.keys()
