"""aiohttp: its server and its client, and its client with our server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cases import Pair, every_case
from .pairs import of

pytestmark = pytest.mark.one_core("compiled")


@every_case
@pytest.mark.parametrize("pair", of("aiohttp"), ids=str)
def test_aiohttp(pair: Pair, case: Callable[[Pair], None]) -> None:
    case(pair)
