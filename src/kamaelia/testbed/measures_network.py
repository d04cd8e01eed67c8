"""What a run has come to in numbers: counts of links and hosts, and what components have measured.

All of it is data: frozen, comparable, and with `as_dict` plain values for JSON. As text it is tables for
people. A table of up to 20 rows has all of them. Of more, it begins with the sum and with how the rows are
distributed, and has the ten that are most likely to interest; ``table(all=True)`` has all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from math import ceil, isfinite, nan
from typing import TYPE_CHECKING, Any

from kamaelia.axon import UsageError
from kamaelia.axon.errors import suggestion
from kamaelia.observe import Gauge, Summary, Tally, measures, total
from kamaelia.observe.sketch import SHOWN, name_of
from kamaelia.observe.tables import percent, quantity, table

from .measures_flow import FlowMetrics
from .measures_queue import QueueMetrics

if TYPE_CHECKING:
    from .channel import Channel
    from .hostrun import HostRun
    from .stack import Stack

MANY = 20  # rows of a table that is shown as a whole
WORST = 10  # rows that are shown of others
SPREAD = (("min", 0.0), *((name_of(share), share) for share in (0.5, 0.95)), ("max", 1.0))


@dataclass(frozen=True)
class LinkMetrics:
    """Counts of one direction of a link.

    Of the packets that were sent, and of those that were duplicated, what is neither delivered, lost nor
    dropped was under way at last.
    """

    sent: int
    """Packets that were to go over it."""
    delivered: int
    """Packets that came out at the other end."""
    lost: int
    """Packets that were lost on the way."""
    dropped: int
    """Packets that found its queue full, were dropped by an active queue, or could not enter."""
    bytes: int
    """Bytes that were to go over it, with all headers."""
    marked: int = 0
    """Packets that an active queue has marked as having met congestion, instead of dropping them."""
    duplicated: int = 0
    """Packets that became two on the way."""
    corrupted: int = 0
    """Packets that were changed on the way."""
    queue: QueueMetrics | None = None
    """How full its queue was, and how busy it was itself; with ``simulate(measure="queues")`` only."""

    @property
    def loss(self) -> float:
        """The share of the packets that was lost or dropped; not a number when there were none."""
        return (self.lost + self.dropped) / self.sent if self.sent else nan

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        values = {name: getattr(self, name) for name in _LINK_COUNTS}
        return values if self.queue is None else {**values, "queue": self.queue.as_dict()}


_LINK_COUNTS = ("sent", "delivered", "lost", "dropped", "marked", "duplicated", "corrupted", "bytes")


@dataclass(frozen=True)
class HostMetrics:
    """Counts of one host."""

    sent: int
    """Packets sent, and sent again."""
    received: int
    """Packets that have arrived here."""
    bytes_sent: int
    """Bytes in those sent, with all headers."""
    bytes_received: int
    """Bytes in those received, with all headers."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Metrics:
    """What a run has come to in numbers; as text, tables.

    Example:
        >>> from kamaelia import component
        >>> from kamaelia.observe import count
        >>> from kamaelia.testbed import Network
        >>> @component
        ... async def talk(inbox, outbox, words):
        ...     for word in words.split():
        ...         count("words")
        >>> network = Network()
        >>> for name, words in (("anna", "a b c"), ("bert", "d e")):
        ...     _ = network.host(name).run(talk(words))
        >>> metrics = network.simulate().metrics
        >>> metrics.find("words")
        {'anna/talk': Tally(total=3, calls=3, unit=''), 'bert/talk': Tally(total=2, calls=2, unit='')}
        >>> print(metrics.total("words"))
        5
    """

    seconds: float
    """Virtual time at the end, in seconds."""
    links: dict[str, LinkMetrics]
    """By direction: ``"server > phone-3"``."""
    hosts: dict[str, HostMetrics]
    """By name."""
    measures: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    """What components have measured: by host, by path of the component, and by name of the measure. Each is a
    `FlowMetrics` of a `Measure`, or a `Tally`, `Summary` or `Gauge`, see `kamaelia.observe`."""

    def find(self, name: str) -> dict[str, Any]:
        """Return all measures of a name, by host and path: ``"phone-3/Pipeline/Measure"``.

        Raises `UsageError` when there are none.
        """
        found = {where: result for where, one, result in self._measures() if one == name}
        if not found:
            known = dict.fromkeys(one for _, one, _ in self._measures())
            raise UsageError(f"nobody has measured {name!r}; {suggestion(name, known)}")
        return found

    def total(self, name: str) -> Any:
        """Return what all measures of a name are together: a sum, or what all their values were like.

        Raises `UsageError` when there are none, or they are of several kinds.
        """
        return total(self.find(name).values())

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "seconds": self.seconds,
            "links": {name: one.as_dict() for name, one in self.links.items()},
            "hosts": {name: one.as_dict() for name, one in self.hosts.items()},
            "measures": {
                host: {
                    path: {name: result.as_dict() for name, result in results.items()}
                    for path, results in paths.items()
                }
                for host, paths in self.measures.items()
            },
        }

    def table(self, *, all: bool = False) -> str:
        """Return it as text.

        Arguments:
            all: show every row, however many there are
        """
        tables = [_of_links(self.links, all), _of_hosts(self.hosts, all), *self._tables_of_measures(all)]
        return "\n".join([*tables, f"{self.seconds:g} s of virtual time\n"])

    def _tables_of_measures(self, all: bool) -> Iterator[str]:
        groups: dict[tuple[str, type[Any]], list[tuple[str, Any]]] = {}
        for where, name, result in self._measures():
            groups.setdefault((name, type(result)), []).append((where, result))
        for (name, kind), rows in groups.items():
            if kind in _KINDS:
                columns_of, key, words = _KINDS[kind]
                whole = total(one for _, one in rows)
                columns = columns_of(getattr(whole, "unit", ""))
                yield overview(name, rows, columns, key, words, all=all, whole=whole)

    def _measures(self) -> Iterator[tuple[str, str, Any]]:
        for host, paths in self.measures.items():
            for path, results in paths.items():
                for name, result in results.items():
                    yield f"{host}/{path}", name, result

    def __str__(self) -> str:
        return self.table()


# -- how they are made ----------------------------------------------------------------------------------


def link_metrics(channel: Channel) -> LinkMetrics:
    """Return what has gone over a channel up to now."""
    one, specials = channel, channel.specials
    counts = (one.packets, one.delivered, one.lost, one.dropped, one.bytes)
    if specials is None:
        more = (0, 0, 0)
    else:
        waiting = 0 if specials.discipline is None else specials.discipline.marked
        more = (specials.marked + waiting, specials.duplicated, specials.corrupted)
    return LinkMetrics(*counts, *more, None if one.watch is None else one.watch.result())


def host_metrics(stack: Stack) -> HostMetrics:
    """Return what a host has sent and received up to now."""
    return HostMetrics(stack.sent, stack.received, stack.bytes_sent, stack.bytes_received)


def measures_of(runs: Iterable[HostRun]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what components have measured, by host; of one that was started again, in all its runs."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for run in runs:
        results = measures(run.system) if run.measures is None else run.measures
        if results:
            paths = found.setdefault(run.name, {})
            for path, named in results.items():
                row = paths.setdefault(path, {})
                for name, result in named.items():
                    row[name] = total([row[name], result]) if type(row.get(name)) is type(result) else result
    return found


# -- tables ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Column:
    """A column of a table: what it is called, and what of a row it shows."""

    title: str
    value: Callable[[Any], float]
    unit: str = ""
    """Of the values; ``%`` for shares."""
    sums: bool = False
    """The sum of all rows means something."""

    def show(self, value: float) -> str:
        """Return a value as text."""
        return percent(value) if self.unit == "%" else quantity(value, self.unit)


def overview(
    title: str,
    rows: Sequence[tuple[str, Any]],
    columns: Sequence[Column],
    key: Callable[[Any], Any],
    words: str,
    *,
    all: bool = False,
    whole: Any = None,
    is_idle: Callable[[Any], bool] = lambda row: False,
) -> str:
    """Return a table of rows, or, of many, the most important about them.

    Arguments:
        title: of the first column
        rows: each with its name
        columns: what is shown of each
        key: by which the worst are found: they have the least; None for what is none of them
        words: what the worst are
        all: show all rows, however many
        whole: what all rows are together, if that is more than sums
        is_idle: says of which rows there is nothing to tell; they are not among those that are compared
    """
    lines = [[title, *(column.title for column in columns)]]
    shown = list(rows)
    note = ""
    if len(rows) > MANY and not all:
        used = [row for _, row in rows if not is_idle(row)]
        idle = f", {len(rows) - len(used):,} idle" if len(used) < len(rows) else ""
        lines.append([f"all {len(rows):,}{idle}", *(_whole(column, rows, whole) for column in columns)])
        values = [sorted(v for row in used if isfinite(v := column.value(row))) for column in columns]
        for name, share in SPREAD:
            pairs = zip(columns, values, strict=True)
            lines.append([name, *(column.show(_quantile(known, share)) for column, known in pairs)])
        judged = [(key(row), place) for place, (_, row) in enumerate(rows)]
        worst = sorted((worth, place) for worth, place in judged if worth is not None)[:WORST]
        shown = [rows[place] for _, place in worst]
        if shown:
            note = f"(the {len(shown)} {words}; table(all=True) shows all)\n"
    lines += [[name, *(column.show(column.value(row)) for column in columns)] for name, row in shown]
    return table(lines) + note


def _whole(column: Column, rows: Sequence[tuple[str, Any]], whole: Any) -> str:
    if whole is not None:
        return column.show(column.value(whole))
    return column.show(sum(column.value(row) for _, row in rows)) if column.sums else ""


def _quantile(values: list[float], share: float) -> float:
    return values[max(0, ceil(share * len(values)) - 1)] if values else nan


def _count(name: str) -> Column:
    return Column(name.replace("_", " "), lambda row: getattr(row, name), sums=True)


def _of_queue(title: str, value: Callable[[QueueMetrics], float], unit: str = "") -> Column:
    return Column(title, lambda link: nan if link.queue is None else value(link.queue), unit)


_QUEUE_COLUMNS = (
    _of_queue("waiting", lambda queue: queue.packets),
    _of_queue("at most", lambda queue: queue.most_packets),
    _of_queue("wait p95", lambda queue: queue.delay.quantile(0.95), "s"),
    _of_queue("busy", lambda queue: queue.utilisation, "%"),
)


def _of_links(links: dict[str, LinkMetrics], all: bool) -> str:
    rare = ("marked", "duplicated", "corrupted")
    names = [
        name
        for name in _LINK_COUNTS
        if name not in rare or any(getattr(link, name) for link in links.values())
    ]
    columns = [_count(name) for name in names]
    if any(link.queue is not None for link in links.values()):
        columns += _QUEUE_COLUMNS
    words = "that lost or dropped the largest share"

    def key(link: LinkMetrics) -> float | None:
        return -link.loss if link.loss > 0 else None

    rows = list(links.items())
    return overview("link", rows, columns, key, words, all=all, is_idle=lambda link: not link.sent)


def _of_hosts(hosts: dict[str, HostMetrics], all: bool) -> str:
    columns = [_count(name) for name in ("sent", "received", "bytes_sent", "bytes_received")]
    words = "that received least, of those that received anything"

    def key(host: HostMetrics) -> int | None:
        return host.received or None

    rows = list(hosts.items())
    return overview(
        "host", rows, columns, key, words, all=all, is_idle=lambda one: not one.sent + one.received
    )


def _columns_of_flows(unit: str) -> Sequence[Column]:
    return (
        Column("messages", lambda flow: flow.messages),
        Column("throughput", lambda flow: flow.throughput, "bit/s"),
        Column("lost", lambda flow: flow.loss, "%"),
        Column("longest burst", lambda flow: flow.bursts.max),
        Column("delay p50", lambda flow: flow.delay.quantile(0.5), "s"),
        Column("delay p95", lambda flow: flow.delay.quantile(0.95), "s"),
        Column("jitter p95", lambda flow: flow.jitter.quantile(0.95), "s"),
        Column("gap p95", lambda flow: flow.gaps.quantile(0.95), "s"),
        Column("stalls", lambda flow: flow.stalls.count),
        Column("stalled", lambda flow: flow.stalls.total, "s"),
    )


def _columns_of_tallies(unit: str) -> Sequence[Column]:
    return (Column("total", lambda tally: tally.total, unit),)


def _columns_of_summaries(unit: str) -> Sequence[Column]:
    quantiles = [Column(name_of(share), partial(Summary.quantile, share=share), unit) for share in SHOWN]
    return (
        Column("count", lambda summary: summary.count),
        Column("mean", lambda summary: summary.mean, unit),
        Column("min", lambda summary: summary.min, unit),
        *quantiles,
        Column("max", lambda summary: summary.max, unit),
    )


def _columns_of_gauges(unit: str) -> Sequence[Column]:
    return (
        Column("mean", lambda gauge: gauge.mean, unit),
        Column("min", lambda gauge: gauge.min, unit),
        Column("max", lambda gauge: gauge.max, unit),
        Column("at 0", lambda gauge: gauge.empty, "%"),
    )


def _worst_flow(flow: FlowMetrics) -> Any:
    return (-flow.loss if flow.expected else 0.0, -flow.stalls.total, flow.messages)


# Of each kind of measure: its columns, by what the worst are found, and what those are.
_KINDS: dict[type[Any], tuple[Callable[[str], Sequence[Column]], Callable[[Any], Any], str]] = {
    FlowMetrics: (_columns_of_flows, _worst_flow, "that lost most, and then stalled longest"),
    Tally: (_columns_of_tallies, lambda tally: -tally.total, "that counted most"),
    Summary: (_columns_of_summaries, lambda summary: -summary.quantile(0.95), "with the largest p95"),
    Gauge: (_columns_of_gauges, lambda gauge: -gauge.empty, "that were at 0 for longest"),
}


__all__ = ["HostMetrics", "LinkMetrics", "Metrics", "host_metrics", "link_metrics", "measures_of"]
