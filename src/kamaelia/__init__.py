"""Kamaelia: small concurrent components, wired into systems.

Here are the names that nearly every program needs. The rest is in rooms: `kamaelia.flow` (everyday parts),
`kamaelia.chassis` (ways to put parts together), `kamaelia.file`, `kamaelia.net` (transports),
`kamaelia.protocol`, `kamaelia.ui`, `kamaelia.testing` (one component alone) and `kamaelia.testbed` (simulated
networks). `kamaelia.axon` is the framework under all of them, and the place to start reading.
"""

from .axon import (
    Cancelled,
    Component,
    Graphline,
    Inbox,
    Outbox,
    Pipeline,
    ScriptInbox,
    ScriptOutbox,
    background,
    clock,
    component,
    random,
    run,
    select,
    sleep,
)

__version__ = "2.0.0.dev0"

__all__ = [
    "Cancelled",
    "Component",
    "Graphline",
    "Inbox",
    "Outbox",
    "Pipeline",
    "ScriptInbox",
    "ScriptOutbox",
    "background",
    "clock",
    "component",
    "random",
    "run",
    "select",
    "sleep",
]
