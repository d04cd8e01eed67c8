"""Choosing what a client likes best: ``Accept`` and ``Accept-Encoding`` (RFC 9110, 12.5).

Such a header lists what a client takes, each with a weight from 0, not at all, to 1. What cannot be read of
it is passed over. All here are functions of their arguments.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MOST = 100  # elements that are read of one header

_WEIGHT = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")  # 12.4.2


def weighted(value: str) -> list[tuple[str, float]]:
    """Return what a list has, in lower case and without blanks, each with its weight.

    >>> weighted("text/html; level=1; q=0.5, */*")
    [('text/html;level=1', 0.5), ('*/*', 1.0)]
    """
    found = []
    for element in value.lower().split(",", MOST)[:MOST]:
        name, *parameters = [part.strip(" \t") for part in element.split(";")]
        weight = 1.0
        for number, parameter in enumerate(parameters):
            if parameter.startswith("q="):
                # What follows the weight was once called an extension of Accept, and is none of ours.
                weight = float(parameter[2:]) if _WEIGHT.fullmatch(parameter[2:]) else -1.0
                del parameters[number:]
                break
        if name and weight >= 0:
            found.append((";".join([name, *parameters]), weight))
    return found


def choose_coding(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return with which coding to send something; None for none at all (12.5.3).

    Arguments:
        accept: what ``Accept-Encoding`` says; None if there is no such header
        offered: codings, that which is liked best first

    >>> choose_coding("gzip;q=0.8, br, *;q=0.1", ["gzip", "deflate"])
    'gzip'
    """
    if not accept:
        return None
    weights = dict(weighted(accept))
    if "x-gzip" in weights:  # 8.4.1.3
        weights.setdefault("gzip", weights["x-gzip"])
    others = weights.get("*", 0.0)
    best, chosen = weights.get("identity", 0.0), None
    for coding in offered:
        weight = weights.get(coding, others)
        if weight > best or (chosen is None and weight == best > 0):
            best, chosen = weight, coding
    return chosen


def choose_type(accept: str | None, offered: Sequence[str]) -> str | None:
    """Return which type of content to send; None if the client takes none of them (12.5.1).

    Arguments:
        accept: what ``Accept`` says; None if there is no such header
        offered: types such as ``"text/html"``, that which is liked best first

    >>> choose_type("text/*;q=0.3, application/json", ["text/html", "application/json"])
    'application/json'
    """
    if not accept:
        return offered[0]
    weights = dict(weighted(accept))
    best, chosen = 0.0, None
    for kind in offered:
        exact = re.sub(r"[ \t]*;[ \t]*", ";", kind.strip().lower())
        plain = exact.partition(";")[0]
        for range_ in (exact, plain, f"{plain.partition('/')[0]}/*", "*/*"):
            if range_ in weights:  # the first of these that is there is the one that counts
                if weights[range_] > best:
                    best, chosen = weights[range_], kind
                break
    return chosen


__all__ = ["choose_coding", "choose_type", "weighted"]
