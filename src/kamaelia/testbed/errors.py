"""What goes wrong in a simulation that is nobody's failure on the network."""

from __future__ import annotations

from ..axon.errors import KamaeliaError


class SimulationError(KamaeliaError, RuntimeError):
    """Simulated code asked for what would lead out of the simulation; the message says what to write instead.

    Example:
        >>> import time
        >>> from kamaelia import component
        >>> from kamaelia.testbed import Network
        >>> @component
        ... async def nap(inbox, outbox):
        ...     time.sleep(0.5)
        >>> network = Network()
        >>> host = network.host("phone").run(nap)
        >>> error = network.simulate(errors="collect").errors["phone"].exceptions[0]
        >>> type(error).__name__, str(error)[:41]
        ('SimulationError', 'time.sleep(0.5) on simulated host phone: ')
    """


class EmulationError(KamaeliaError, RuntimeError):
    """A network could not be emulated, or a program on one of its hosts has failed; the message says why.

    Example:
        >>> from kamaelia.testbed import EmulationError
        >>> issubclass(EmulationError, RuntimeError)
        True
    """


__all__ = ["EmulationError", "SimulationError"]
