"""What ``kamaelia simulate`` can run: a function that describes a network, a network, or a test."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from kamaelia.axon.errors import suggestion
from kamaelia.testbed import Network

from .systems import NotASystem, could_be_system, load_file, load_module

NAME = re.compile(r"(?P<where>.+?):(?P<name>[^\W\d][\w.]*)", re.DOTALL)
USUAL = ("scenario", "network")


class Scenario:
    """What describes a network, found by its address; calling it gives the network.

    It can be pickled, as the address.
    """

    def __init__(self, text: str, arguments: dict[str, Any]) -> None:
        self.text = text
        self.arguments = arguments
        self.on_made: Callable[[Network], object] | None = None
        """Is called with each network; not in other processes."""
        self._found: Any = None

    def __reduce__(self) -> Any:
        return Scenario, (self.text, self.arguments)

    def find(self) -> Any:
        """Return the function, network or test that is meant. Raises `NotASystem`."""
        if self._found is None:
            self._found = self._look_up()
        return self._found

    def __call__(self) -> Network:
        """Describe the network. Raises `NotASystem` for what is none, and what the function raises."""
        found = self.find()
        network = found if isinstance(found, Network) else found(**self.arguments)
        if not isinstance(network, Network):
            raise NotASystem(f"{self.text} has returned {network!r}, and no Network")
        if self.on_made is not None:
            self.on_made(network)
        return network

    def _look_up(self) -> Any:
        module, where, name = locate(self.text)
        known = [
            other
            for other, value in vars(module).items()
            if isinstance(value, Network)
            or (inspect.isfunction(value) and value.__module__ == module.__name__ and other[0] != "_")
        ]
        if not name:
            for usual in USUAL:
                if usual in known:
                    name = usual
                    break
            else:
                names = ", ".join(known) or "nothing that could be one"
                raise NotASystem(
                    f"{self.text}: say which function describes the network, such as {where}:stream; "
                    f"there is {names}"
                )
        found = named(module, where, name, self.text, known)
        test = getattr(found, "simulated", None)
        if could_be_system(found) or not (callable(found) or isinstance(found, Network)):
            raise NotASystem(f"{self.text} is {found!r}: neither a Network nor a function that describes one")
        self._check_arguments(found)
        return found if test is None else test

    def _check_arguments(self, found: Any) -> None:
        """See whether a function can be called with the arguments that were given."""
        parameters = {} if isinstance(found, Network) else dict(inspect.signature(found).parameters)
        kinds = {one.kind for one in parameters.values()}
        for name in self.arguments:
            if name not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
                raise NotASystem(
                    f"--param {name}=...: {self.text} has no such argument; {suggestion(name, parameters)}"
                )
        missing = [
            name
            for name, one in parameters.items()
            if one.default is one.empty
            and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
            and name not in self.arguments
        ]
        if missing:
            raise NotASystem(
                f"{self.text} needs arguments: {' '.join(f'--param {one}=...' for one in missing)}"
            )


def locate(text: str) -> tuple[ModuleType, str, str]:
    """Load the module that is meant; return it, where it is from, and the name of what is meant in it.

    The name is empty where none is said. Raises `NotASystem`, and what the module raises.

    >>> locate("os.path:basename")[1:]
    ('os.path', 'basename')
    """
    said = NAME.fullmatch(text)
    where, name = (said["where"], said["name"]) if said else (text, "")
    if not where.endswith(".py") and not re.fullmatch(r"[\w.]+", where):
        raise NotASystem(f"{where!r} is no file of Python, and no module: write such as star.py:stream")
    return load_file(where) if where.endswith(".py") else load_module(where, text), where, name


def named(module: ModuleType, where: str, name: str, text: str, known: Sequence[str]) -> Any:
    """Return what has a name in a module, with dots for what is in that. Raises `NotASystem` if none has."""
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            raise NotASystem(f"{text}: {part!r} is not in {where}; {suggestion(part, known)}")
        found = getattr(found, part)
    return found


def seed_of(text: str) -> int | str:
    """Return a seed of the command line: a whole number, or else the text.

    >>> seed_of("-3"), seed_of("storm")
    (-3, 'storm')
    """
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def parameters(texts: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of the command line.

    >>> parameters(["viewers=100", "loss=5 %", "names=['a']"])
    {'viewers': 100, 'loss': '5 %', 'names': ['a']}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise NotASystem(f"--param {text}: write NAME=VALUE, such as --param viewers=100")
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value
    return found
