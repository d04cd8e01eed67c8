"""The judges, in the order of the page."""

from ..judge import Judge
from . import aiohttp, curl, dig, httpx, netcat, nginx, openssl, socat, standard, starlette, uvicorn, wrk

MODULES = (curl, netcat, wrk, nginx, aiohttp, httpx, standard, starlette, uvicorn, openssl, socat, dig)

JUDGES: list[Judge] = [module.judge for module in MODULES]
