"""What runs in worker processes: they have to find it by name."""

from __future__ import annotations

import time
from typing import Any

from kamaelia import component


@component
async def hang(inbox: Any, outbox: Any) -> None:
    async for _ in inbox:
        time.sleep(3600)  # noqa: ASYNC251  # which is wrong, as it is meant to be


@component
async def double(inbox: Any, outbox: Any) -> None:
    async for number in inbox:
        await outbox.send(2 * number)
