from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

prometheus = pytest.importorskip("prometheus_client.openmetrics.parser")

from kamaelia import Component, Inbox, background, component, run, sleep  # noqa: E402
from kamaelia.axon import System  # noqa: E402
from kamaelia.flow import Collect, Interval, OneShot, Source, Take  # noqa: E402
from kamaelia.observe import OPENMETRICS, OpenMetrics, openmetrics  # noqa: E402
from kamaelia.observe.openmetrics import METRICS, escaped  # noqa: E402
from kamaelia.observe.snapshot import BoxSnapshot, Snapshot, StuckSnapshot  # noqa: E402
from kamaelia.protocol.http import HTTPServer, Response  # noqa: E402

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> Values:
    """Read a text as Prometheus does: samples by name and labels."""
    found: Values = {}
    for family in prometheus.text_string_to_metric_families(text):
        assert METRICS[family.name][0] == family.type
        assert METRICS[family.name][1] == family.unit
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def key(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset(labels.items())


def busy_system() -> Snapshot:
    """Return a snapshot of a system in which there is something of everything."""
    shots: list[Snapshot] = []

    class Look(Component):
        inbox = Inbox[bytes]("bytes", size="1 KiB")

        async def main(self) -> None:
            self.system.snapshot()
            await self.inbox.receive()
            await sleep(0.01)
            shots.append(self.system.snapshot())
            async for _ in self.inbox:
                pass

    run(Source([b"one", b"two", b"three"] * 300) | Look())
    return shots[0]


def test_what_is_written_is_read_again_with_the_same_values() -> None:
    shot = busy_system()
    found = parsed(openmetrics(shot))
    for one in shot.components:
        assert found.pop(key("kamaelia_component_state", path=one.path, state=one.state)) == 1
        assert found.pop(key("kamaelia_component_steps_total", path=one.path)) == one.steps
        assert found.pop(key("kamaelia_component_running_seconds_total", path=one.path)) == one.running
        assert found.pop(key("kamaelia_component_blocked_seconds_total", path=one.path)) == one.blocked
        assert found.pop(key("kamaelia_component_restarts_total", path=one.path)) == one.restarts
        assert found.pop(key("kamaelia_component_failures_total", path=one.path)) == one.failures
        for box in one.boxes:
            if not box.boundary:
                pop_box(found, one.path, box)
    assert found.pop(key("kamaelia_system_info", name=shot.name, core=shot.core)) == 1
    states = [one.state for one in shot.components]
    for state in set(states):
        assert found.pop(key("kamaelia_components", state=state)) == states.count(state)
    assert found.pop(key("kamaelia_components_started_total")) == shot.started
    assert found.pop(key("kamaelia_components_ended_total")) == shot.ended
    assert found.pop(key("kamaelia_components_failed_total")) == shot.failed
    assert found.pop(key("kamaelia_components_left_out")) == 0
    assert found.pop(key("kamaelia_steps_total")) == shot.steps
    assert found.pop(key("kamaelia_watched_seconds")) == shot.watched
    assert found == {}


def pop_box(found: Values, path: str, box: BoxSnapshot) -> None:
    labels = {"path": path, "box": box.name}
    for name, value in (("messages", box.passed), ("dropped", box.dropped), ("discarded", box.discarded)):
        assert found.pop(key(f"kamaelia_box_{name}_total", direction=box.direction, **labels)) == value
    if box.direction == "in":
        for name, value in (("waiting", box.waiting), ("mark", box.size), ("peak", box.peak)):
            assert found.pop(key(f"kamaelia_inbox_{name}_{box.unit}", **labels)) == value


def test_bytes_and_messages_are_different_metrics() -> None:
    found = parsed(openmetrics(busy_system()))
    assert found[key("kamaelia_inbox_mark_bytes", path="Pipeline/Look", box="inbox")] == 1024
    assert key("kamaelia_inbox_mark_messages", path="Pipeline/Look", box="inbox") not in found


def test_a_step_that_lasts_is_told_of_and_nothing_is_made_up_where_nobody_has_looked() -> None:
    shot = busy_system()
    values = shot.as_dict()
    values["stuck"] = {"path": "Pipeline/Look", "seconds": 2.5, "where": "here"}
    values["watched"] = None
    for one in values["components"]:
        one["running"] = one["blocked"] = one["blocked_on"] = None
    import json

    text = openmetrics(Snapshot.from_json(json.dumps(values)))
    found = parsed(text)
    assert found[key("kamaelia_stuck_step_seconds", path="Pipeline/Look")] == 2.5
    assert not any("running" in name or "watched" in name for name, _ in found)
    assert StuckSnapshot  # the type of what is in there


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "new\nline", "caf\xe9", "a\\nb", "\\", '"', " "])
def test_whatever_a_path_is_it_comes_through(name: str) -> None:
    text = f'# TYPE a gauge\na{{path="{escaped(name)}"}} 1\n# EOF\n'
    (family,) = prometheus.text_string_to_metric_families(text)
    assert family.samples[0].labels == {"path": name}


def test_of_too_many_components_the_outermost_come_first_and_the_others_are_counted() -> None:
    shot = busy_system()  # a pipeline with two parts in it
    every = sum(map(len, [shot.components]))
    assert every == 3
    for limit, paths in ((0, set()), (6, {"Pipeline"}), (10_000, {one.path for one in shot.components})):
        found = parsed(openmetrics(shot, limit=limit))
        steps = {dict(labels)["path"] for name, labels in found if name == "kamaelia_component_steps_total"}
        assert steps == paths
        assert found[key("kamaelia_components_left_out")] == every - len(paths)
        assert sum(value for (name, _), value in found.items() if name == "kamaelia_components") == every
        assert sum(1 for name, labels in found if "path" in dict(labels)) <= limit


def test_a_limit_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        OpenMetrics(-1)
    with pytest.raises(TypeError, match="limit"):
        openmetrics(busy_system(), limit="many")  # type: ignore[arg-type]


def test_the_part_sends_a_text_for_each_message() -> None:
    texts = run(Source("ab") | OpenMetrics() | Collect())
    assert len(texts) == 2
    for text in texts:
        assert key("kamaelia_component_steps_total", path="Pipeline/OpenMetrics") in parsed(text)


def test_counters_only_grow_from_one_scrape_to_the_next() -> None:
    first, *_, last = map(parsed, run(Interval(0.01) | OpenMetrics() | Take(5) | Collect()))
    counters = [name for name in first if name[0].endswith("_total") and name in last]
    assert len(counters) > 10
    assert [name for name in counters if first[name] > last[name]] == []
    assert first[key("kamaelia_steps_total")] < last[key("kamaelia_steps_total")]


@pytest.mark.needs("program:curl")
def test_a_web_server_shows_it_to_curl_and_to_prometheus() -> None:
    @component
    async def work(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            pass

    page = Response(OneShot("now") | OpenMetrics(), type=OPENMETRICS)
    with background(HTTPServer({"/metrics": page}, port=0, quiet=True)) as server:
        host, port = server.receive("listening")
        curl = [str(shutil.which("curl")), "-sS", "-i", f"http://{host}:{port}/metrics"]
        done = subprocess.run(curl, capture_output=True, timeout=20, check=True)
        assert isinstance(server._system, System)
    head, _, body = done.stdout.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 200")
    assert f"content-type: {OPENMETRICS}" in head.lower()
    found = parsed(body)
    assert found[key("kamaelia_component_state", path="HTTPServer", state="receiving")] == 1
    assert any("OpenMetrics" in dict(labels).get("path", "") for _, labels in found)
