"""What simulated code finds in place of the machine's time, chance, sockets, threads and programs.

Theory
------
The seam of a simulation is the event loop. But code, and above all other people's libraries, also reaches
past the loop: `time.time()`, `random.random()`, `uuid.uuid4()`, `socket.socket()`. Each of these would make a
run differ from the next. So while a simulation runs, a *stand-in* stands in each of their places. When it is
called, it looks who calls:

- **Simulated code** gets an answer of its host's: virtual time, a draw from a stream that is seeded, a
  simulated socket; or, if there is no such answer, a `SimulationError` that says what to write instead.
- **Everybody else** gets the real thing: other threads, code around the simulation, and what still holds a
  stand-in when the simulation is over.

Code is simulated while the running event loop is a simulated host's, and in threads that work for one: that
of a script, those in which `asyncio.to_thread` runs something, and those that say so
(`this_thread_works_for`). See `where`.

**Where the stand-ins stand** (`places`). ``from time import monotonic`` makes a second reference to the same
function. So all loaded modules are searched for what is to be replaced, each of them once: later
simulations know where to look, and search only modules that are new or have got new names. References that
are held elsewhere, in a default argument or in a class, are not found. Two things are replaced where they
are defined, so no reference escapes: `datetime.datetime.now` and `datetime.datetime.utcnow`, and how
`random.Random` seeds itself.

Not replaced is what our own modules hold, for they take their time from the loop, nor what those modules of
the standard library hold that wait for threads, nor the test frameworks.

**What slips through** is refused where CPython tells audit hooks of it (`audit`): making, connecting and
binding real sockets, asking the machine for names, programs, forks, threads. So a real socket that was
passed into the simulation does not lead out of it. On Python 3.13 that goes for sleeping, too.

**Importing** a module is nobody's doing on a host: it happens once in a process, so the second simulation
would differ from the first. While a module is imported its code is not simulated.

**Chance** (`chance`). Each host has one stream for the functions of `random`, and one for what the operating
system draws for `os.urandom`, from which `secrets`, `uuid`, `random.SystemRandom` and ``random.Random()``
come. Both are made from the seed of the run and the host's name, so what one host draws does not depend on
what others do.

**Order** (`order`). Sets of objects are in the order of their addresses in memory. For futures, tasks,
protocols, transports and streams numbers stand in place of addresses.

Files are the machine's. So are process numbers, signals, the time zone, what C code draws by itself (the
keys of TLS, above all), and the time of threads that wait for each other.

What is asked of a host's loop
------------------------------
A loop is a simulated host's if it has ``is_simulated_host = True``. The stand-ins use of it

| what | for |
| --- | --- |
| ``time()``, ``skew`` | all clocks, and by how much the calendar is wrong; without ``skew`` it is right |
| ``stack.name`` | the host's name, in messages and streams |
| ``stack.simulation.seed`` | the streams; or ``seed``, if the loop has it: that of a host's restart |
| ``make_socket(family, type, proto, fileno)`` | ``socket.socket(...)``, where -1 stands for a default |
| ``poll(number)`` | `select`: of the socket with a number, as the bits of ``poll``, what it is ready for |
| ``next_number()`` | a number that an object is to have for its hash (`order`) |
| ``getaddrinfo``, ``getnameinfo`` | all that asks for names: coroutines which answer without waiting |

What ``make_socket`` returns has ``is_simulated_socket = True`` in its class; then ``isinstance(it,
socket.socket)`` is true.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from . import audit
from .modules import MODULES
from .places import Places
from .where import allowed, simulated_loop, this_thread_works_for

places = Places(MODULES)
"""Where the stand-ins of this process stand."""

_lock = threading.RLock()
_running = 0  # simulations


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Have the stand-ins stand in their places; the last to leave takes them away.

    Example:
        >>> import time
        >>> real = time.monotonic
        >>> with installed():
        ...     time.monotonic is real, time.monotonic() <= real()
        (False, True)
        >>> time.monotonic is real
        True
    """
    _count(1)
    try:
        yield
    finally:
        _count(-1)


def _count(change: int) -> None:
    global _running
    with _lock:
        _running += change
        if change > 0:
            audit.watch()
        try:
            if _running:
                places.put()
            else:
                places.take_back()
        except BaseException:
            _running -= change > 0
            if not _running:
                places.take_back()
            raise
        finally:
            audit.watching = bool(_running)


__all__ = ["allowed", "installed", "places", "simulated_loop", "this_thread_works_for"]
