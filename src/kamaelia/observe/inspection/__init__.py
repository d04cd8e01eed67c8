"""The inspection socket: a running system can be looked at from another process, also when it is stuck.

``run(..., inspect=True)``, or ``KAMAELIA_INSPECT=1`` in the environment of a program, opens a socket that
only its owner can use. ``kamaelia top`` and the Studio look through it, and so can any program: what is said
there is JSON, one object a line, as the reference describes under "The inspection protocol".

| module | what is in it |
| --- | --- |
| `protocol` | the words: lines, requests, answers, streams |
| `places` | where sockets are, and who may use them |
| `server` | the thread that serves one (`target`: what is looked at; `answers`: what it can be asked) |
| `looking` | looks at a system while somebody wants to know (`frames`: what is new to whom) |
| `shown`, `details`, `logs` | messages, components and log lines, as they are shown |
| `waiting` | the messages that wait in a queue |
| `client` | those who ask |

>>> import os
>>> from kamaelia import background
>>> from kamaelia.flow import Map
>>> from kamaelia.observe.inspection import connect, running
>>> with background(Map(str.upper), inspect=True, announce=str):
...     for one in running():
...         if one.pid == os.getpid() and one.name == "Map":
...             with connect(one.path) as inspector:
...                 print(inspector.ask("diagnose")["sentence"])
nobody holds up anybody: of 1 components 1 waiting for messages
"""

from .client import AsyncInspector, Inspector, Running, connect, find, open_inspector, running
from .protocol import Arguments, InspectionError, RequestError
from .server import Server, serve, serve_target, server_of
from .shown import short, show
from .target import After, Later, Repeated, Stream, SystemTarget, Target

__all__ = [
    "After",
    "Arguments",
    "AsyncInspector",
    "InspectionError",
    "Inspector",
    "Later",
    "Repeated",
    "RequestError",
    "Running",
    "Server",
    "Stream",
    "SystemTarget",
    "Target",
    "connect",
    "find",
    "open_inspector",
    "running",
    "serve",
    "serve_target",
    "server_of",
    "short",
    "show",
]
