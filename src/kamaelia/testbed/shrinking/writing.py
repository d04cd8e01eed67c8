"""The file of Python that runs the smallest failing run again, and says in the clear what is left of it."""

from __future__ import annotations

import inspect
import os
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...axon import UsageError
from ..network import Network
from ..simulated import OWN, Simulated, can_be_written
from ..snapshot import as_written
from .acts import named_links
from .failure import Failure
from .plan import Plan
from .running import Subject

WIDTH = 106


class Place:
    """Where a function is to be imported from.

    Arguments:
        function: of a module or a file, at its top level
        what: how errors call it

    Raises `UsageError` for one that cannot be imported.
    """

    def __init__(self, function: Any, what: str) -> None:
        name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
        code = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
        if not name or "<" in name or code is None:
            raise UsageError(
                f"{what}={function!r}: a file cannot import it; let it be a function at the top level of a "
                "module"
            )
        self.name: str = name.partition(".")[0]
        """What is imported."""
        self.path: str = name
        """How the function is called then."""
        file = Path(code.co_filename).resolve()
        parts = module.split(".")
        if Path(*parts).parts != file.with_suffix("").parts[-len(parts) :]:
            parts = [file.stem]  # it was run, or loaded by its path
        self.module = ".".join(parts)
        """From where."""
        self.folder = file.parents[len(parts) - 1]
        """Where Python has to look for that."""


def code_of(
    subject: Subject,
    plan: Plan,
    network: Network,
    failure: Failure,
    title: str,
    path: Path,
    seed: int | str,
) -> str:
    """Return the text of the file.

    Arguments:
        subject: what fails
        plan: what of it is left
        network: that this is, to be looked at
        failure: how it fails
        title: a sentence about it
        path: where the file is to be
        seed: of the run

    Raises `UsageError` where something cannot be written down.
    """
    test = subject.test
    place = Place(test.body if test is not None else subject.scenario, "scenario")
    places = [place]
    if test is None and subject.fails is not None:
        places.append(Place(subject.fails, "fails"))
    for name, value in [*subject.fixed.items(), *plan.parameters.items(), *subject.options.items()]:
        if not can_be_written(value):
            raise UsageError(f"{name}={value!r}: it cannot be written down in a file of Python")
    plan = replace(plan, parameters={**subject.fixed, **plan.parameters})
    body = _test(subject, test, plan, place) if test is not None else _scenario(subject, plan, places)
    names = [name for name in ("altered", "find_link", "keep") if f"{name}(" in body + _kept(plan, network)]
    pieces = [
        _docstring(title, failure, path, test is None, seed),
        _imports(places, names, path),
        _function("smaller" if test is not None else "network", plan, network, place, test is not None),
        body,
        'if __name__ == "__main__":\n    scenario()\n',
    ]
    return "\n\n\n".join(piece.strip("\n") for piece in pieces).replace("\n\n\n", "\n\n", 1) + "\n"


def _docstring(title: str, failure: Failure, path: Path, is_scenario: bool, seed: int | str) -> str:
    lines = [f'"""{title}', "", f"    {failure}", ""]
    commands = [
        (f"python {path.name}", "runs it again"),
        (f"kamaelia simulate {path.name}", "likewise, and shows only what matters"),
    ]
    if is_scenario:
        commands.append(
            (f"kamaelia simulate {path.name}:network --seed={seed} --studio", "lets you watch it")
        )
    width = max(len(command) for command, _ in commands)
    lines += [f"{command:<{width}}  {what}" for command, what in commands]
    lines += ["", f"The packets of all its links are in {path.with_suffix('.pcapng').name}.", '"""']
    text = "\n".join(line.replace("\\", "\\\\") for line in lines)
    return text[:3] + text[3:-3].replace('"""', "'''") + text[-3:]


def _imports(places: list[Place], names: list[str], path: Path) -> str:
    here = path.resolve().parent
    folders = list(dict.fromkeys(place.folder for place in places if place.folder != here))
    standard: list[str] = []
    lines = [
        "from kamaelia.testbed import simulated",
        f"from kamaelia.testbed.shrinking import {', '.join(names)}",
    ]
    if folders:
        standard = ["import sys", "from pathlib import Path", ""]
        found = ", ".join(
            f'str((Path(__file__).parent / "{os.path.relpath(folder, here)}").resolve())'
            for folder in folders
        )
        lines += ["", f"sys.path[:0] = [{found}]"]
    after = "  # noqa: E402" if folders else ""
    by_module: dict[str, list[str]] = {}
    for place in places:
        by_module.setdefault(place.module, []).append(place.name)
    lines.append("")
    for module, wanted in by_module.items():
        lines.append(f"from {module} import {', '.join(dict.fromkeys(map(_imported, wanted)))}{after}")
    return "\n".join([*standard, *lines])


def _imported(name: str) -> str:
    """Return how something is imported that may have a name that the file itself uses."""
    return f"{name} as {_local(name)}" if _local(name) != name else name


def _local(name: str) -> str:
    taken = ("scenario", "network", "smaller", "keep", "altered", "find_link", "simulated", "sys", "Path")
    return f"the_{name}" if name in taken else name


def _called(place: Place) -> str:
    """Return how a function is called in the file."""
    first, dot, rest = place.path.partition(".")
    return f"{_local(first)}{dot}{rest}"


def _arguments(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in parameters.items())


def _function(name: str, plan: Plan, network: Network, place: Place, is_test: bool) -> str:
    if is_test:
        head = ["def smaller(network):", '    """Take everything away that the failure does not need."""']
    else:
        call = f"{_called(place)}({_arguments(plan.parameters)})"
        head = ["def network():", '    """Return the smallest network that was found to fail."""']
        head.append(f"    network = {call}")
    return "\n".join([*head, textwrap.indent(_kept(plan, network), "    "), "    return network"])


def _kept(plan: Plan, network: Network) -> str:
    """Return the lines that take the rest away, and say what goes wrong."""
    lines = ["keep(", "    network,"]
    lines += _listing("hosts=", plan.hosts)
    if plan.links:
        lines.append("    links={")
        for name, wanted in plan.links:
            remark = _remark(name, plan, network)
            lines.append(f'        "{name}": {_list(wanted)},' + (f"  # {remark}" if remark else ""))
        lines.append("    },")
    else:
        lines.append("    links={},")
    if plan.delay is not None and plan.links:
        lines.append(f"    delay={plan.delay!r},".replace("'", '"'))
    if plan.steps:
        lines += _listing("steps=", plan.steps)
    if plan.bypass:
        lines += _listing("bypass=", plan.bypass)
    lines.append(")")
    for fault in plan.faults:
        lines += [act.code() for act in fault.acts]
    return "\n".join(lines)


def _remark(name: str, plan: Plan, network: Network) -> str:
    """Say what a link is like, for readers."""
    link = named_links(network).get(name)
    if link is None:
        return ""
    wanted = list(dict.fromkeys(["delay", *dict(plan.links)[name]]))
    said = [f"{one} {as_written(link.settings.given[one])}" for one in wanted]
    for one in wanted:
        back = link.settings_back.given[one]
        if not link.one_way and back != link.settings.given[one]:
            said.append(f"{one} back {as_written(back)}")
    return ", ".join(said)


def _list(items: Iterable[Any]) -> str:
    return "[" + ", ".join(f'"{one}"' if isinstance(one, str) else repr(one) for one in items) + "]"


def _listing(begin: str, items: Iterable[Any]) -> list[str]:
    line = f"    {begin}{_list(items)},"
    if len(line) < WIDTH:
        return [line]
    rows = textwrap.wrap(_list(items)[1:-1], WIDTH - 8, break_long_words=False, break_on_hyphens=False)
    return [f"    {begin}[", *(f"        {row}" for row in rows), "    ],"]


def _decorator(subject: Subject, plan: Plan) -> str:
    options = {"seconds": plan.seconds, **subject.options}
    return f"@simulated(seeds=[{subject.seed!r}], {_arguments(options)})"


def _scenario(subject: Subject, plan: Plan, places: list[Place]) -> str:
    lines = [_decorator(subject, plan), "def scenario():", '    """Run it, and fail as it has failed."""']
    if subject.fails is None:
        lines.append("    return network()")
    else:
        lines += ["    trace = yield network()", f"    said = {_called(places[1])}(trace)"]
        lines.append("    assert not said, said")
    return "\n".join(lines)


def _test(subject: Subject, test: Simulated, plan: Plan, place: Place) -> str:
    own = [name for name in OWN if name in inspect.signature(test.body).parameters]
    words = [f"{name}={name}" for name in own]
    if plan.parameters:
        words.append(_arguments(plan.parameters))
    lines = [_decorator(subject, plan), f"def scenario({', '.join(own)}):"]
    lines += ['    """Run the test with what is left, and fail as it has failed."""']
    lines.append(f"    made = {_called(place)}.simulated.body({', '.join(words)})")
    given = ["network=network"] if "network" in own else []
    if subject.number > 1:
        given.append(f"number={subject.number}")
    lines.append(f"    return altered({', '.join(['made', 'smaller', *given])})")
    return "\n".join(lines)
