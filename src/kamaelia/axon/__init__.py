"""Axon: components, boxes, links, the postman and the scheduler.

Read in this order to see how it works; each of these opens with its theory:

| module | what is in it |
| --- | --- |
| `component` | what a user writes; `graph` puts components together, `body` has the three kinds |
| `box` | what inboxes and outboxes are; `inbox`: receiving, `outbox`: sending |
| `choice` | `select`: from several inboxes; `hold`: keeping one open; `signal`: waiting for something else |
| `outlet` | inlets and outlets: where a system meets transports and whatever else calls back |
| `queue` | the messages of an inbox, and the lines of those who wait |
| `postman` | links and what travels along them: routes, ends, failures (`link`, `typecheck`, `tap`) |
| `core` | the forms, plain and compiled (and on `tasks`), of what every message passes through |
| `scheduler` | who runs when; `process` is what it steps, `script` a body with its own thread |
| `lifecycle` | how components begin, end, fail and are stopped; `seat`, a place that is taken again |
| `system` | a whole run of them: `run`, `background`, rest and deadlock (`interrupt`, `names`, `report`) |
| `arguments` | what the arguments of parts have to be, and what to say about others |
| `clock` | real and virtual time; `here` is the time and chance of the running component |
| `specimen` | parts ready-made, for tests and pictures (`specimens`: those of this room) |
| `units` | quantities as people write them, for whoever takes some as an argument |

Nothing here imports anything from the rest of Kamaelia.
"""

from typing import TYPE_CHECKING

from . import core, postman
from .choice import Select, select
from .clock import VirtualClock, VirtualLoop
from .component import Component, ComponentFunction, as_part, component, make
from .errors import (
    BrokenLink,
    Cancelled,
    ClosedBox,
    ComponentsFailed,
    Deadlock,
    EndOfMessages,
    GraceExceeded,
    KamaeliaError,
    LinkError,
    LocalProtocolError,
    NameTaken,
    ProtocolError,
    RemoteProtocolError,
    SourceFailed,
    UsageError,
    WouldBlock,
)
from .graph import Graphline, Pipeline
from .here import clock, current_component, random, sleep
from .hold import Hold
from .inbox import Inbox, ScriptInbox
from .lifecycle import Failure
from .link import Link, WhenFull
from .outbox import Outbox, ScriptOutbox
from .seat import Seat
from .signal import Signal
from .system import Handle, System, background, run
from .tap import Tap, Tapped

core.choose()

if not TYPE_CHECKING:
    sleep = core.best_sleep()

__all__ = [
    "BrokenLink",
    "Cancelled",
    "ClosedBox",
    "Component",
    "ComponentFunction",
    "ComponentsFailed",
    "Deadlock",
    "EndOfMessages",
    "Failure",
    "GraceExceeded",
    "Graphline",
    "Handle",
    "Hold",
    "Inbox",
    "KamaeliaError",
    "Link",
    "LinkError",
    "LocalProtocolError",
    "NameTaken",
    "Outbox",
    "Pipeline",
    "ProtocolError",
    "RemoteProtocolError",
    "ScriptInbox",
    "ScriptOutbox",
    "Seat",
    "Select",
    "Signal",
    "SourceFailed",
    "System",
    "Tap",
    "Tapped",
    "UsageError",
    "VirtualClock",
    "VirtualLoop",
    "WhenFull",
    "WouldBlock",
    "as_part",
    "background",
    "clock",
    "component",
    "core",
    "current_component",
    "make",
    "postman",
    "random",
    "run",
    "select",
    "sleep",
]
