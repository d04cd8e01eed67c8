"""Our own HTTP: server and client, and our client with the server of aiohttp."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cases import Pair, every_case
from .pairs import of

pytestmark = pytest.mark.one_core("compiled")


@every_case
@pytest.mark.parametrize("pair", of("ours"), ids=str)
def test_ours(pair: Pair, case: Callable[[Pair], None]) -> None:
    case(pair)
