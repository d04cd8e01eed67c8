"""The Studio: a page in the browser that shows a system as it runs.

The system that is looked at serves its inspection socket and nothing else (`kamaelia.observe`). The Studio is
a process of its own, itself a small system of Kamaelia's parts: it serves the page, and for each browser it
carries requests to that socket and answers back. So a system that is stuck can still be looked at, and the
page costs it nothing but what the socket does.

| module | what is in it |
| --- | --- |
| `server` | the web server: pages, and the way to the socket |
| `guard` | who may come in: the token, ``Host``, ``Origin``; what browsers are told to refuse |
| `relay` | what one page may ask for, and how that gets to the socket |
| `service` | ``run(..., studio=True)``: the process beside a system |
| ``static/`` | the page: ES modules as they are, and in ``vendor/`` other people's scripts |

``kamaelia studio`` starts it; see `Studio`.
"""

from .server import Studio
from .service import serve

__all__ = ["Studio", "serve"]
