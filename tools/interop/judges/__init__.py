"""The judges, in the order of the page."""

from ..judge import Judge
from . import aiohttp, curl, httpx, netcat, nginx, standard, starlette, uvicorn, wrk

MODULES = (curl, netcat, wrk, nginx, aiohttp, httpx, standard, starlette, uvicorn)

JUDGES: list[Judge] = [module.judge for module in MODULES]
