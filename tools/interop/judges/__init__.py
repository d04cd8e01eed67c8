"""The judges, in the order of the page."""

from ..judge import Judge
from . import (
    aiohttp,
    autobahn,
    browser,
    curl,
    dig,
    httpx,
    netcat,
    nginx,
    openssl,
    socat,
    standard,
    starlette,
    uvicorn,
    websockets,
    wrk,
)

MODULES = (
    curl,
    netcat,
    wrk,
    browser,
    nginx,
    aiohttp,
    httpx,
    standard,
    starlette,
    uvicorn,
    websockets,
    openssl,
    socat,
    dig,
    autobahn,
)

JUDGES: list[Judge] = [module.judge for module in MODULES]
