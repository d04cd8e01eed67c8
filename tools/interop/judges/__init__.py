"""The judges, in the order of the page."""

from ..judge import Judge
from . import curl, netcat, nginx

JUDGES: list[Judge] = [module.judge for module in (curl, netcat, nginx)]
