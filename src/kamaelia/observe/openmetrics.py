"""OpenMetrics: the figures of a running system, for Prometheus and whatever else reads that format.

`openmetrics` writes a snapshot as text (OpenMetrics 1.0), and the part `OpenMetrics` does so for each message
that it receives. A server of a few lines makes a page of that for Prometheus to scrape.

| metric | kind | labels | |
| --- | --- | --- | --- |
| `kamaelia_system` | info | `name`, `core` | which system it is |
| `kamaelia_components` | gauge | `state` | how many there are that do this or that |
| `kamaelia_components_started`, `_ended`, `_failed` | counter | | since somebody looks |
| `kamaelia_components_left_out` | gauge | | of which there are no figures, see below |
| `kamaelia_steps` | counter | | of all components |
| `kamaelia_watched_seconds` | gauge | | for how long somebody has looked |
| `kamaelia_stuck_step_seconds` | gauge | `path` | a step that lasts, while it does |
| `kamaelia_component_state` | gauge | `path`, `state` | 1, for the state that it is in |
| `kamaelia_component_steps` | counter | `path` | how often it has gone on |
| `kamaelia_component_running_seconds` | counter | `path` | in which its code ran; not in virtual time |
| `kamaelia_component_blocked_seconds` | counter | `path` | in which it waited for room |
| `kamaelia_component_restarts`, `_failures` | counter | `path` | |
| `kamaelia_box_messages` | counter | `path`, `box`, `direction` | that have come in or gone out |
| `kamaelia_box_dropped`, `_discarded` | counter | `path`, `box`, `direction` | lost at the mark, or unread |
| `kamaelia_inbox_waiting_messages`, `_bytes` | gauge | `path`, `box` | in the queue |
| `kamaelia_inbox_mark_messages`, `_bytes` | gauge | `path`, `box` | at which senders wait |
| `kamaelia_inbox_peak_messages`, `_bytes` | gauge | `path`, `box` | the most that has been seen |

A counter's sample is called after it, with ``_total`` at the end.

**How many there are** is bounded: who scrapes keeps each series for weeks, and a server has a component for
each visitor. Up to a limit the outermost components are told of first; of the others it is said how many
there are. What is counted of all of them, such as those that failed, has them in it.

>>> from kamaelia.axon import current_component
>>> from kamaelia import component, run
>>> from kamaelia.flow import Source
>>> from kamaelia.observe import openmetrics
>>> @component
... async def look(inbox, outbox):
...     await inbox.receive()
...     return openmetrics(current_component().system.snapshot())
>>> text = run(Source("abc") | look())
>>> [line for line in text.splitlines() if line.startswith("kamaelia_inbox_waiting")]
['kamaelia_inbox_waiting_messages{path="Pipeline/look",box="inbox"} 2']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten

from .snapshot import BoxSnapshot, ComponentSnapshot, Snapshot
from .watch import take_snapshot

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
"""What the text is, as the header ``Content-Type`` of an answer says it."""

LIMIT = 10_000  # samples of components and their boxes

Sample = tuple[str, dict[str, str], float]  # metric, labels, value

# Metric: kind, unit, help. In this order they are written.
METRICS = {
    "kamaelia_system": ("info", "", "Which system this is."),
    "kamaelia_components": ("gauge", "", "Components, by what they do."),
    "kamaelia_components_started": ("counter", "", "Components that have been started since somebody looks."),
    "kamaelia_components_ended": ("counter", "", "Components that have ended since somebody looks."),
    "kamaelia_components_failed": ("counter", "", "Of those, components that have failed."),
    "kamaelia_components_left_out": (
        "gauge",
        "",
        "Components beyond the limit, of which there are no figures.",
    ),
    "kamaelia_steps": ("counter", "", "Steps of all components."),
    "kamaelia_watched_seconds": ("gauge", "seconds", "For how long somebody has looked."),
    "kamaelia_stuck_step_seconds": (
        "gauge",
        "seconds",
        "For how long a step has lasted that holds up all others.",
    ),
    "kamaelia_component_state": ("gauge", "", "1 for the state that a component is in."),
    "kamaelia_component_steps": ("counter", "", "How often a component has gone on."),
    "kamaelia_component_running_seconds": ("counter", "seconds", "Time in which a component's code ran."),
    "kamaelia_component_blocked_seconds": (
        "counter",
        "seconds",
        "Time in which a component waited for room.",
    ),
    "kamaelia_component_restarts": ("counter", "", "How often another has taken its place."),
    "kamaelia_component_failures": ("counter", "", "Failures in it, or in its place."),
    "kamaelia_box_messages": (
        *("counter", ""),
        "Messages that have come into an inbox, or gone out of an outbox.",
    ),
    "kamaelia_box_dropped": ("counter", "", "Messages dropped at links that may drop."),
    "kamaelia_box_discarded": ("counter", "", "Messages that nobody has read."),
    "kamaelia_inbox_waiting_messages": ("gauge", "messages", "What is in the queue of an inbox."),
    "kamaelia_inbox_waiting_bytes": ("gauge", "bytes", "What is in the queue of an inbox that counts bytes."),
    "kamaelia_inbox_mark_messages": ("gauge", "messages", "At how much senders wait."),
    "kamaelia_inbox_mark_bytes": ("gauge", "bytes", "At how much senders wait."),
    "kamaelia_inbox_peak_messages": ("gauge", "messages", "The most that has been seen in the queue."),
    "kamaelia_inbox_peak_bytes": ("gauge", "bytes", "The most that has been seen in the queue."),
}


def openmetrics(snapshot: Snapshot, *, limit: int = LIMIT) -> str:
    """Return a snapshot as OpenMetrics text.

    Arguments:
        snapshot: as `System.snapshot` returns it
        limit: how many samples there may be of components and their boxes. The outermost components come
            first; one that does not fit is left out as a whole, and counted
    """
    check_whole(f"openmetrics(limit={shorten(limit)})", limit, "how many samples", 0)
    samples: dict[str, list[str]] = {name: [] for name in METRICS}
    count, left_out = 0, 0
    for one in sorted(snapshot.components, key=lambda one: one.path.count("/")):
        found = list(_samples_of(one))
        if count + len(found) > limit:
            left_out += 1
            continue
        count += len(found)
        for name, labels, value in found:
            samples[name].append(_line(name, labels, value))
    for name, labels, value in _samples_of_all(snapshot, left_out):
        samples[name].append(_line(name, labels, value))
    lines: list[str] = []
    for name, (kind, unit, text) in METRICS.items():
        if samples[name]:
            lines.append(f"# TYPE {name} {kind}")
            if unit:
                lines.append(f"# UNIT {name} {unit}")
            lines.append(f"# HELP {name} {text}")
            lines += samples[name]
    return "\n".join([*lines, "# EOF\n"])


def _samples_of_all(snapshot: Snapshot, left_out: int) -> Iterator[Sample]:
    yield "kamaelia_system", {"name": snapshot.name, "core": snapshot.core}, 1
    for state, count in sorted(Counter(one.state for one in snapshot.components).items()):
        yield "kamaelia_components", {"state": state}, count
    yield "kamaelia_components_started", {}, snapshot.started
    yield "kamaelia_components_ended", {}, snapshot.ended
    yield "kamaelia_components_failed", {}, snapshot.failed
    yield "kamaelia_components_left_out", {}, left_out
    yield "kamaelia_steps", {}, snapshot.steps
    if snapshot.watched is not None:
        yield "kamaelia_watched_seconds", {}, snapshot.watched
    if snapshot.stuck is not None:
        yield "kamaelia_stuck_step_seconds", {"path": snapshot.stuck.path}, snapshot.stuck.seconds


def _samples_of(one: ComponentSnapshot) -> Iterator[Sample]:
    path = {"path": one.path}
    yield "kamaelia_component_state", {**path, "state": one.state}, 1
    yield "kamaelia_component_steps", path, one.steps
    if one.running is not None:
        yield "kamaelia_component_running_seconds", path, one.running
    if one.blocked is not None:
        yield "kamaelia_component_blocked_seconds", path, one.blocked
    yield "kamaelia_component_restarts", path, one.restarts
    yield "kamaelia_component_failures", path, one.failures
    for box in one.boxes:
        if not box.boundary:  # which is but a wire: what passes is counted where it arrives
            yield from _samples_of_box(path, box)


def _samples_of_box(path: dict[str, str], box: BoxSnapshot) -> Iterator[Sample]:
    labels = {**path, "box": box.name}
    directed = {**labels, "direction": box.direction}
    yield "kamaelia_box_messages", directed, box.passed
    yield "kamaelia_box_dropped", directed, box.dropped
    yield "kamaelia_box_discarded", directed, box.discarded
    if box.direction == "in":
        yield f"kamaelia_inbox_waiting_{box.unit}", labels, box.waiting
        yield f"kamaelia_inbox_mark_{box.unit}", labels, box.size
        yield f"kamaelia_inbox_peak_{box.unit}", labels, box.peak


def _line(name: str, labels: dict[str, str], value: float) -> str:
    kind = METRICS[name][0]
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    text = ",".join(f'{label}="{escaped(said)}"' for label, said in labels.items())
    return f"{name}{suffix}{{{text}}} {value!r}" if text else f"{name}{suffix} {value!r}"


def escaped(text: str) -> str:
    """Return a text as it stands in the value of a label.

    >>> escaped('a "b" \\\\ c\\nd')
    'a \\\\"b\\\\" \\\\\\\\ c\\\\nd'
    """
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


class OpenMetrics(Component):
    """Tells how the system is in which it runs: for each message that it receives, in all figures.

    Times, and counts of failures, begin when somebody looks for the first time; so the first text has them at
    0, unless somebody has looked before.

    Inbox: ``inbox``, anything; each message asks for a text. Outbox: ``outbox``, the texts, each complete.

    Ending: with its inbox. Failure: as usual. Stop: what it was asked for is answered. Back-pressure: it
    waits for who reads. It holds nothing open.

    Arguments:
        limit: how many samples there may be of components and their boxes, see `openmetrics`

    Example:
        A file for the text collector of Prometheus' node exporter, every ten seconds:

        >>> from kamaelia.flow import Encode, Interval
        >>> from kamaelia.observe import OpenMetrics
        >>> texts = Interval(10) | OpenMetrics() | Encode()
    """

    inbox = Inbox[Any]("whenever the figures are wanted")
    outbox = Outbox[str]("all of them, as OpenMetrics text")

    def __init__(self, limit: int = LIMIT) -> None:
        check_whole(f"OpenMetrics(limit={shorten(limit)})", limit, "how many samples", 0)
        self.limit = limit

    async def main(self) -> None:
        async for _ in self.inbox:
            await self.outbox.send(openmetrics(take_snapshot(self.system), limit=self.limit))


__all__ = ["OPENMETRICS", "OpenMetrics", "openmetrics"]
