"""Where stand-ins stand: each place that holds something of the machine's is found once, and filled often.

To search a thousand modules takes some milliseconds, to fill the places that were found some microseconds.
So it is remembered for each module how many names it had when it was searched; while it is the same module
and has as many, it is not searched again.
"""

from __future__ import annotations

import functools
import gc
import pkgutil
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .where import simulated_loop

SPARED = (
    "_pytest",
    "asyncio",
    "concurrent.futures",
    "hypothesis",
    "kamaelia",
    "multiprocessing",
    "pytest",
    "pytest_timeout",
    "queue",
    "selectors",
    "subprocess",
    "tempfile",
    "threading",
)
"""Modules that keep what they hold: ours, those that wait for threads, and those that run tests. `tempfile`
keeps its own chance, for it needs names that nobody else has given to a file."""


OURS = __name__.rpartition(".")[0]  # the modules in which stand-ins are made


class StandIn:
    """A function that is the machine's, and in simulated code another.

    It is no Python function, since those become methods where a class holds them: ``timer = time.monotonic``.

    Arguments:
        module: the name of the module where it belongs
        name: its name there
        real: what is called for everybody else
        simulated: what is called for simulated code, with the host's loop before the arguments
        everywhere: also in modules that are `SPARED`
    """

    def __init__(
        self,
        module: str,
        name: str,
        real: Callable[..., Any],
        simulated: Callable[..., Any],
        *,
        everywhere: bool = False,
    ) -> None:
        functools.update_wrapper(self, real)
        self.place = f"{module}:{name}"
        self.real = real
        self.simulated = simulated
        self.everywhere = everywhere

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        loop = simulated_loop()
        if loop is None:
            return self.real(*args, **kwargs)
        return self.simulated(loop, *args, **kwargs)

    def __reduce__(self) -> Any:
        return pkgutil.resolve_name, (self.place,)

    def __repr__(self) -> str:
        return f"<stand-in for {self.place.replace(':', '.')}>"


class InClass:
    """A stand-in for what a class defines: there it is replaced itself, wherever the class is held.

    Arguments:
        owner: the class
        name: what is replaced, or what the class has inherited
        stand_in: what stands there, a function or a descriptor
    """

    def __init__(self, owner: type[Any], name: str, stand_in: Any) -> None:
        self.owner = owner
        self.name = name
        self.real = owner.__dict__.get(name)
        self.stand_in = stand_in

    def put(self) -> None:
        """Put it there, if the real thing is there."""
        if self.owner.__dict__.get(self.name) is self.real:
            _set_in_class(self.owner, self.name, self.stand_in)

    def take_back(self) -> None:
        """Put the real thing there."""
        if self.owner.__dict__.get(self.name) is not self.stand_in:
            return
        if self.real is None:
            delattr(self.owner, self.name)
        else:
            _set_in_class(self.owner, self.name, self.real)


class _Place(NamedTuple):
    """A name in a module."""

    names: dict[str, Any]
    name: str
    real: Any
    stand_in: Any


class Places:
    """Where stand-ins stand in this process.

    Arguments:
        modules: by the name of a module, what returns its stand-ins; called when somebody has imported it
    """

    def __init__(self, modules: Mapping[str, Callable[[], list[Any]]]) -> None:
        self.searched = 0
        """How many modules were searched the last time."""
        self.stand_ins: list[Any] = []
        """All there are; of classes, what has taken their place."""
        self._modules = dict(modules)
        self._by_id: dict[int, Any] = {}  # of the real thing, and of the stand-in itself
        self._in_classes: list[InClass] = []
        # By the name of a module: what it was when it was searched, its names, and how many these were.
        self._known: dict[str, tuple[Any, dict[str, Any], int]] = {}
        self._filled: dict[str, list[_Place]] = {}  # of those modules in which there are any

    def put(self) -> None:
        """Put all stand-ins in their places; those that are there already stay."""
        self._search()
        for places in self._filled.values():
            for names, name, real, stand_in in places:
                if names.get(name) is real:
                    names[name] = stand_in
        for one in self._in_classes:
            one.put()

    def take_back(self) -> None:
        """Put the real things in all places, also in those that have come meanwhile."""
        self._search()
        for places in self._filled.values():
            for names, name, real, stand_in in places:
                if names.get(name) is stand_in:
                    names[name] = real
        for one in self._in_classes:
            one.take_back()

    def _search(self) -> None:
        """Find places in modules that are new, or have other names than before."""
        self._make_stand_ins()
        self.searched = 0
        known = self._known
        for name, module in list(sys.modules.items()):
            entry = known.get(name)
            if entry is None or entry[0] is not module or entry[2] != len(entry[1]):
                self._search_module(name, module)

    def _make_stand_ins(self) -> None:
        for name in list(self._modules):
            module = sys.modules.get(name)
            if module is None or getattr(module.__spec__, "_initializing", False):
                continue
            for one in self._modules.pop(name)():
                if isinstance(one, InClass):
                    self._in_classes.append(one)
                else:
                    self._by_id[id(one)] = self._by_id[id(one.real)] = one
                self.stand_ins.append(one)
            self._known.clear()  # everybody may hold what is in it
            self._filled.clear()

    def _search_module(self, module_name: str, module: Any) -> None:
        self.searched += 1
        names = _names_in(module)
        places = []
        spared = any(module_name == one or module_name.startswith(one + ".") for one in SPARED)
        for name, value in list(names.items()):
            found = self._by_id.get(id(value))
            if found is None:
                continue
            if not spared or found.everywhere:
                places.append(_Place(names, name, found.real, found))
            elif value is found and not module_name.startswith(OURS):  # it was imported during a simulation
                names[name] = found.real
        self._known[module_name] = module, names, len(names)
        self._filled.pop(module_name, None)
        if places:
            self._filled[module_name] = places


def _names_in(module: Any) -> dict[str, Any]:
    """Return the names in a module, without waking one that is loaded only when it is asked for something.

    What only stands where modules do, and perhaps says that it is one, is not looked into.
    """
    if not issubclass(type(module), types.ModuleType):
        return {}
    return object.__getattribute__(module, "__dict__")  # type: ignore[no-any-return]


def _set_in_class(owner: type[Any], name: str, value: Any) -> None:
    """Set an attribute of a class, even of one that is written in C.

    The interpreter lets nobody do that, since such classes are shared by all subinterpreters. But `datetime`
    values are made everywhere, also in C, and are to be the same before, during and after a simulation: so
    another class in the place of this one would not do.
    """
    try:
        setattr(owner, name, value)
        return
    except TypeError:
        pass
    try:
        import ctypes
    except ImportError:
        warnings.warn(
            f"{owner.__module__}.{owner.__name__} tells simulated code the machine's time, for this Python "
            "has no ctypes; write kamaelia.axon.here.calendar() there",
            RuntimeWarning,
            stacklevel=2,
        )
        return
    (attributes,) = (one for one in gc.get_referents(owner.__dict__) if isinstance(one, dict))
    attributes[name] = value
    ctypes.pythonapi.PyType_Modified(ctypes.py_object(owner))


__all__ = ["SPARED", "InClass", "Places", "StandIn"]
