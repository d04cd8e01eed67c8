"""All that a run has come to, as numbers with names.

| name | what it is |
| --- | --- |
| ``links.lost``, ``links.sent``, ... | the sum over all directions of links; ``links.loss`` is the share |
| ``hosts.received``, ... | the sum over all hosts |
| ``film.delay.p95``, ``shown.total``, ... | of a measure called film, all of its kind together |
| ``results.mean``, ``.min``, ``.max``, ``.count`` | of what hosts returned, where that is a number |
| ``seconds`` | virtual time at the end |

The same by single links, hosts and components is there as long as there are few of them, see `DETAILS`:
``server > phone-3: lost``, ``phone-3: received``, ``phone-3/Pipeline/Measure: film.lost``, ``phone-3:
result``. What is not a number, such as the mean of nothing, is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from ...axon.errors import shorten

if TYPE_CHECKING:
    from ..measures_network import Metrics
    from ..trace import Trace

DETAILS = 20
"""Of how many links, hosts and components each has figures of its own, at most."""
MOST = 2000
"""Figures of a run, at most; how many more there were is ``figures left out``."""


def figures(trace: Trace, details: int = DETAILS) -> dict[str, float]:
    """Return all figures of a run.

    Arguments:
        trace: the run
        details: of how many links, hosts and components each has its own

    >>> from kamaelia.testbed import Network
    >>> network = Network()
    >>> _ = network.host("server")
    >>> figures(network.simulate())["links.sent"]
    0
    """
    found: dict[str, float] = {}
    left_out = 0
    for name, value in _all(trace, details):
        if len(found) < MOST:
            found[name] = value
        else:
            left_out += 1
    if left_out:
        found["figures left out"] = left_out
    return found


def checked_outcome(outcome: Any) -> dict[str, float]:
    """Return what a user's function has made of a trace. Raises `UsageError` if that is no mapping of
    numbers.

    >>> checked_outcome({"glitches": 3, "went well": True})
    {'glitches': 3, 'went well': 1}
    """
    if not isinstance(outcome, Mapping):
        raise UsageError(f"outcome= returned {shorten(outcome)}: return numbers by their names")
    found: dict[str, float] = {}
    for name, value in outcome.items():
        number = _number(value)
        if not isinstance(name, str) or not name or (number is None and value is not None):
            raise UsageError(f"outcome= returned {shorten(name)}: {shorten(value)}: return numbers by names")
        if number is not None and not isnan(number):
            found[name] = number
    return found


def _all(trace: Trace, details: int) -> Iterator[tuple[str, float]]:
    metrics = trace.metrics
    yield "seconds", metrics.seconds
    yield from _of_links(metrics, details)
    yield from _of_hosts(metrics, details)
    yield from _of_measures(metrics, details)
    yield from _of_results(trace.results, details)


def _of_links(metrics: Metrics, details: int) -> Iterator[tuple[str, float]]:
    sums: dict[str, float] = {}
    rows = {direction: link.as_dict() for direction, link in metrics.links.items()}
    for row in rows.values():
        for name, value in row.items():
            if name != "queue":
                sums[name] = sums.get(name, 0) + value
    for name in sums or ("sent", "lost", "dropped"):
        yield f"links.{name}", sums.get(name, 0)
    if sums.get("sent"):
        yield "links.loss", (sums["lost"] + sums["dropped"]) / sums["sent"]
    if len(rows) <= details:
        for direction, row in rows.items():
            yield from _flat(f"{direction}: ", row)


def _of_hosts(metrics: Metrics, details: int) -> Iterator[tuple[str, float]]:
    rows = {host: one.as_dict() for host, one in metrics.hosts.items()}
    names = next(iter(rows.values()), {})
    for name in names:
        yield f"hosts.{name}", sum(row[name] for row in rows.values())
    if len(rows) <= details:
        for host, row in rows.items():
            yield from _flat(f"{host}: ", row)


def _of_measures(metrics: Metrics, details: int) -> Iterator[tuple[str, float]]:
    names = dict.fromkeys(
        name for paths in metrics.measures.values() for results in paths.values() for name in results
    )
    for name in names:
        rows = metrics.find(name)
        if len({type(row) for row in rows.values()}) == 1:  # else they cannot be added up
            yield from _flat(f"{name}.", metrics.total(name).as_dict())
        if 1 < len(rows) <= details:
            for where, row in rows.items():
                yield from _flat(f"{where}: {name}.", row.as_dict())


def _of_results(results: Mapping[str, Any], details: int) -> Iterator[tuple[str, float]]:
    numbers = {}
    for host, value in results.items():
        number = _number(value)
        if number is not None and not isnan(number):
            numbers[host] = number
    if numbers:
        values = numbers.values()
        yield "results.count", len(values)
        yield "results.mean", sum(values) / len(values)
        yield "results.min", min(values)
        yield "results.max", max(values)
    if len(numbers) <= details:
        for host, value in numbers.items():
            yield f"{host}: result", value
    if len(results) <= details:
        for host, value in results.items():
            if isinstance(value, Mapping):
                yield from _flat(f"{host}: result.", value)


def _flat(prefix: str, values: Mapping[Any, Any]) -> Iterator[tuple[str, float]]:
    """Yield the numbers among some values, and in those that are mappings themselves."""
    for name, value in values.items():
        number = _number(value)
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        elif number is not None and not isnan(number):
            yield f"{prefix}{name}", number


def _number(value: Any) -> float | None:
    """Return a number as Python's own; None for what is none.

    >>> _number(True), _number("7"), _number(2.5)
    (1, None, 2.5)
    """
    if isinstance(value, (bool, int)):
        return int(value) if abs(value) < 2**63 else None
    if isinstance(value, float):
        return float(value)
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__float__"):
        return None
    try:
        return float(value)  # such as NumPy's, fractions, decimals
    except (TypeError, ValueError, OverflowError):
        return None


__all__ = ["DETAILS", "MOST", "checked_outcome", "figures"]
