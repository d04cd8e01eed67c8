"""Chance in simulated code: `random`, `os.urandom` and all that comes from it, `uuid`, numpy.

Each host has streams of its own, made from the seed of the run and its name when they are needed:

- ``SEED/HOST/random``: the functions of `random`; ``random.seed()`` and ``random.setstate()`` set this one.
- ``SEED/HOST/urandom``: ``os.urandom``, ``os.getrandom``, ``ssl.RAND_bytes``, and who asks these: `secrets`,
  ``uuid.uuid4``, ``random.SystemRandom``; without a seed ``random.Random()`` and numpy's ``default_rng()``.
- ``SEED/HOST/numpy``: the functions of `numpy.random`.

So one who makes a `random.Random` does not change what ``random.random()`` draws, as in real life.

The bytes are as good as Mersenne Twister's: a secret that was drawn in a simulation is none.
"""

from __future__ import annotations

import os
import random as random_module
import sys
from collections.abc import Callable
from random import Random
from typing import Any

from ...axon.clock import EPOCH
from .places import InClass, StandIn
from .times import host_calendar_ns
from .where import simulated_loop

SEED_BYTES = 32  # of a random.Random() without a seed
GREGORIAN = 0x01B21DD213814000  # 100 ns between 1582-10-15, when the time of UUIDs begins, and 1970
MULTICAST = 1 << 40  # set in a network address that is none (RFC 9562, 6.10)


class Chance:
    """The streams of one host.

    Arguments:
        seed: that of the run
        host: the host's name

    Example:
        >>> Chance(7, "phone").urandom.randbytes(2) == Chance(7, "phone").urandom.randbytes(2)
        True
    """

    __slots__ = ("_name", "_node", "_numpy", "_random", "_urandom", "last_uuid1")

    def __init__(self, seed: int | str, host: str) -> None:
        self._name = f"{seed}/{host}"
        self._random: Random | None = None
        self._urandom: Random | None = None
        self._numpy: Any = None
        self._node: int | None = None
        self.last_uuid1 = int(EPOCH)
        """The time in the last UUID that has one; no two have the same."""

    @property
    def random(self) -> Random:
        """The stream of the functions of `random`."""
        if self._random is None:
            self._random = Random(f"{self._name}/random")
        return self._random

    @property
    def urandom(self) -> Random:
        """The stream of what the operating system draws."""
        if self._urandom is None:
            self._urandom = Random(f"{self._name}/urandom")
        return self._urandom

    @property
    def numpy(self) -> Any:
        """The ``numpy.random.RandomState`` of the functions of `numpy.random`."""
        if self._numpy is None:
            words = Random(f"{self._name}/numpy")
            numpy = sys.modules["numpy.random"]  # only who has imported it comes here
            self._numpy = numpy.RandomState([words.getrandbits(32) for _ in range(SEED_BYTES // 4)])
        return self._numpy

    @property
    def node(self) -> int:
        """The network address in its UUIDs, which is nobody's."""
        if self._node is None:
            self._node = self.urandom.getrandbits(48) | MULTICAST
        return self._node


def chance_of(loop: Any) -> Chance:
    """Return the streams of a host."""
    found: Chance | None = vars(loop).get("chance")
    if found is None:
        seed = vars(loop).get("seed", loop.stack.simulation.seed)
        found = loop.chance = Chance(seed, loop.stack.name)
    return found


def of_random() -> list[Any]:
    """Return the stand-ins of `random`.

    Its functions are methods of a generator that it has. How others seed themselves is replaced in their
    class; `random.SystemRandom`, which has no seed, asks `os.urandom`.
    """
    real_seed = Random.seed

    def seed(self: Random, a: Any = None, version: int = 2) -> None:
        """Initialize internal state from a seed."""
        if a is None:
            loop = simulated_loop()
            if loop is not None:
                a = chance_of(loop).urandom.randbytes(SEED_BYTES)
        real_seed(self, a, version)

    its_own: Any = vars(random_module)["_inst"]
    return [
        InClass(Random, "seed", seed),
        *(
            StandIn("random", name, value, _method("random", name))
            for name, value in vars(random_module).items()
            if getattr(value, "__self__", None) is its_own
        ),
    ]


def _method(stream: str, name: str) -> Any:
    """Return what calls a method of a host's stream."""

    def draw(loop: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(getattr(chance_of(loop), stream), name)(*args, **kwargs)

    return draw


def _urandom(loop: Any, size: int, flags: int = 0) -> bytes:
    if size < 0:
        raise ValueError("negative argument not allowed")
    drawn: bytes = chance_of(loop).urandom.randbytes(size)
    return drawn


def _pseudo_bytes(loop: Any, size: int) -> tuple[bytes, bool]:
    return _urandom(loop, size), True


def of_os() -> list[Any]:
    """Return the stand-ins of `os`."""
    names = [name for name in ("urandom", "getrandom") if hasattr(os, name)]
    return [StandIn("os", name, getattr(os, name), _urandom) for name in names]


def of_ssl() -> list[Any]:
    """Return the stand-ins of `ssl`. What OpenSSL draws by itself, such as keys, nobody can seed."""
    ssl = sys.modules["ssl"]
    simulated: dict[str, Callable[..., Any]] = {"RAND_bytes": _urandom, "RAND_pseudo_bytes": _pseudo_bytes}
    return [
        StandIn("ssl", name, getattr(ssl, name), one) for name, one in simulated.items() if hasattr(ssl, name)
    ]


def of_uuid() -> list[Any]:
    """Return the stand-ins of `uuid`: the others either ask `os.urandom`, or are not made by chance."""
    import uuid

    def getnode(loop: Any) -> int:
        return chance_of(loop).node

    def uuid1(loop: Any, node: int | None = None, clock_seq: int | None = None) -> uuid.UUID:
        chance = chance_of(loop)
        when = max(host_calendar_ns(loop) // 100 + GREGORIAN, chance.last_uuid1 + 1)
        chance.last_uuid1 = when
        if clock_seq is None:
            clock_seq = chance.urandom.getrandbits(14)
        low, middle, high = when & 0xFFFFFFFF, (when >> 32) & 0xFFFF, (when >> 48) & 0x0FFF
        fields = (low, middle, high, (clock_seq >> 8) & 0x3F, clock_seq & 0xFF)
        return uuid.UUID(fields=(*fields, chance.node if node is None else node), version=1)

    return [
        StandIn("uuid", "getnode", uuid.getnode, getnode),
        StandIn("uuid", "uuid1", uuid.uuid1, uuid1),
    ]


def of_numpy() -> list[Any]:
    """Return the stand-ins of `numpy.random`: its functions that draw from one generator for all."""
    numpy = sys.modules["numpy.random"]
    its_own = sys.modules["numpy.random.mtrand"]._rand
    same_as = {"ranf": "random_sample", "sample": "random_sample", "seed": "seed"}
    methods = {
        name: same_as.get(name, name)
        for name, value in vars(numpy).items()
        if name in same_as or getattr(value, "__self__", None) is its_own
    }
    return [
        StandIn("numpy.random", name, getattr(numpy, name), _method("numpy", method))
        for name, method in methods.items()
    ]


__all__ = ["Chance", "chance_of", "of_numpy", "of_os", "of_random", "of_ssl", "of_uuid"]
