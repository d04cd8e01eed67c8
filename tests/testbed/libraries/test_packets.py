"""The libraries again, with connections that are packets, as Linux sends them.

Each connection is slow here when packets are lost, which libraries' own time-outs notice; so few are lost,
and the case that asks for many losses is left out. Ports are kept for a second after closing only, for the
cases ask whether anything is left.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from kamaelia.testbed import LinuxTCP, Network

from . import cases
from .cases import CASES, LINK, Pair
from .pairs import of

pytestmark = pytest.mark.one_core("compiled")

PAIRS = [one for name in ("aiohttp", "httpx", "ours", "websockets") for one in of(name)]


@pytest.mark.parametrize(
    "case", [one for one in CASES if one is not cases.large], ids=lambda one: one.__name__
)
@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_libraries_work_on_packets(
    pair: Pair, case: Callable[[Pair], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    tcp = LinuxTCP(time_wait="1 s", fin_timeout="1 s")
    monkeypatch.setattr(cases, "Network", functools.partial(Network, tcp=tcp))
    monkeypatch.setattr(cases, "LINK", {**LINK, "loss": "0.05 %"})
    case(pair)
