"""aioquic: HTTP/3, its server and its client."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .cases import Pair, every_case
from .pairs import of

pytestmark = pytest.mark.one_core("compiled")


@every_case
@pytest.mark.parametrize("pair", of("aioquic"), ids=str)
def test_aioquic(pair: Pair, case: Callable[[Pair], None]) -> None:
    case(pair)
