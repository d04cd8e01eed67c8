"""Which parts are installed, and what each is: boxes, arguments, an example, specimens.

A *part* is a component class, or a `component` function, that a room offers: one that the ``__all__`` of its
module names. The rooms of Kamaelia are known here by name; other packages announce theirs by an entry point
of the group ``kamaelia.parts``, whose name is that of the group of parts, and whose value the module::

    [project.entry-points."kamaelia.parts"]
    kitchen = "kitchen.parts"

Everything that is told of a part is read in the part itself. Its boxes are its declarations, its arguments
those of its ``__init__``; what they mean, the text and the example come from its docstring:

- The first paragraph is the summary, one sentence.
- Below a line ``Arguments:`` stands, indented, ``name: what it means`` for each; below ``Example:`` a session
  of Python's prompt.
- The rest is the text.

So there is one source for ``kamaelia list``, ``kamaelia describe``, the pages of the reference, and whoever
else wants to show what there is.

>>> from kamaelia.catalogue import find
>>> part = find("Take")
>>> part.call(), part.arguments[0].meaning
('Take(count: int)', 'how many messages to pass on')
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from kamaelia.axon import Component, ComponentFunction, Inbox, UsageError
from kamaelia.axon.errors import shorten
from kamaelia.axon.specimen import Specimen
from kamaelia.axon.typecheck import name_of

ENTRY_POINTS = "kamaelia.parts"

# Rooms with parts, from the general to the particular. Of those that come later not all need be there.
ROOMS = (
    *("flow", "chassis", "axon", "observe", "file", "process", "net"),
    *("protocol", "protocol.http", "protocol.websocket", "ui", "testbed"),
)

SECTION = re.compile(r"(Arguments|Example):")
ENTRY = re.compile(r"\*{0,2}(\w+): *(.*)", re.DOTALL)
DEFAULT_WIDTH = 60  # letters of a default that are shown


# -- one part -----------------------------------------------------------------------------------------


class PartBox(NamedTuple):
    """A box that a part declares. A chassis may have more, which come from what it is made of."""

    name: str
    is_inbox: bool
    type: str
    """Of the messages, as one writes it."""
    doc: str
    """What the messages are."""
    size: str = ""
    """Of an inbox, at how much a sender waits: ``"100 messages"``, ``"64 KiB"``."""
    held: bool = False
    """An inbox that stays open although nothing is linked to it."""
    optional: bool = False
    """An outbox that need not have a reader."""


class Argument(NamedTuple):
    """An argument that a part is made with."""

    name: str
    type: str
    """Its annotation; nothing where there is none."""
    default: str | None
    """What it is if it is not given; None for one that has to be."""
    kind: str
    """How it is given, as `inspect.Parameter.kind` says it: ``"positional or keyword"``, ..."""
    meaning: str
    """What the docstring says about it."""

    @property
    def text(self) -> str:
        """The argument as it stands in a signature.

        >>> Argument("size", "int", "10", "positional or keyword", "how many").text
        'size: int = 10'
        """
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(self.kind, "")
        text = f"{stars}{self.name}" + (f": {self.type}" if self.type else "")
        if self.default is None:
            return text
        return f"{text} = {self.default}" if self.type else f"{text}={self.default}"


@dataclass(frozen=True)
class Part:
    """A part, described."""

    name: str
    group: str
    """The room, such as ``"flow"``; of other packages' parts the name of their entry point."""
    module: str
    """Where one imports it from."""
    thing: type[Component] | ComponentFunction[...] = field(repr=False)
    """The part itself."""
    summary: str = field(repr=False)
    text: str = field(repr=False)
    """The docstring without its summary, arguments and example."""
    boxes: tuple[PartBox, ...] = field(repr=False)
    arguments: tuple[Argument, ...] = field(repr=False)
    unknown: tuple[str, ...] = field(repr=False)
    """Arguments that the docstring tells of, and that there are not."""
    example: str = field(repr=False)
    """A session of Python's prompt."""

    def call(self, columns: int | None = None) -> str:
        """Return how it is made: ``Batch(size: int, seconds: float | None = None)``.

        Where that would be longer than so many columns, each argument has a line of its own.

        >>> print(find("Batch").call(columns=20))
        Batch(
            size: int,
            seconds: float | None = None,
        )
        """
        shown: list[str] = []
        before = ""  # the kind of the argument before
        for one in self.arguments:
            if before == "positional-only" != one.kind:
                shown.append("/")
            if one.kind == "keyword-only" and before not in ("keyword-only", "variadic positional"):
                shown.append("*")
            shown.append(one.text)
            before = one.kind
        if before == "positional-only":
            shown.append("/")
        on_one_line = f"{self.name}({', '.join(shown)})"
        if columns is None or len(on_one_line) <= columns:
            return on_one_line
        return "\n".join([f"{self.name}(", *(f"    {one}," for one in shown), ")"])

    def specimens(self) -> tuple[Specimen, ...]:
        """Return the specimens of the part; none if nobody has made any.

        They are in the module ``specimens`` of the package that offers the part, or in that module itself if
        it is no package.

        >>> find("Take").specimens()[0].gives
        {'outbox': ('a', 'b')}
        """
        module = importlib.import_module(self.module)
        if _is_there(f"{self.module}.specimens"):
            module = importlib.import_module(f"{self.module}.specimens")
        return tuple(getattr(module, "SPECIMENS", {}).get(self.name, ()))

    def about(self) -> dict[str, Any]:
        """Return the description as plain values, for programs."""
        return {
            "name": self.name,
            "group": self.group,
            "module": self.module,
            "summary": self.summary,
            "call": self.call(),
            "boxes": [box._asdict() for box in self.boxes],
            "arguments": [argument._asdict() for argument in self.arguments],
            "text": self.text,
            "example": self.example,
        }


def describe(thing: type[Component] | ComponentFunction[...], name: str, group: str, module: str) -> Part:
    """Describe a component class or function that a module offers under a name."""
    docstring = inspect.getdoc(thing)
    told = _read("" if docstring in (None, inspect.getdoc(Component)) else str(docstring))
    arguments = tuple(_arguments(thing, told.meanings))
    return Part(
        name=name,
        group=group,
        module=module,
        thing=thing,
        summary=told.summary,
        text=told.text,
        boxes=tuple(_boxes(thing)),
        arguments=arguments,
        unknown=tuple(sorted(told.meanings.keys() - {one.name for one in arguments})),
        example=told.example,
    )


def signature_of(thing: type[Component] | ComponentFunction[...]) -> inspect.Signature:
    """Return with which arguments a part is made.

    >>> from kamaelia.flow import Batch, Null
    >>> signature_of(Batch), signature_of(Null)
    (<Signature (size: 'int', seconds: 'float | None' = None)>, <Signature ()>)
    """
    if isinstance(thing, ComponentFunction):
        return thing.signature
    if thing.__init__ is object.__init__:
        return inspect.Signature()
    signature = inspect.signature(thing.__init__)
    without_self = list(signature.parameters.values())[1:]
    return signature.replace(parameters=without_self, return_annotation=inspect.Signature.empty)


def is_part(thing: Any) -> bool:
    """Say whether something is what a part can be.

    >>> from kamaelia.flow import LineDecoder, Lines
    >>> is_part(Lines), is_part(Lines()), is_part(LineDecoder)
    (True, False, False)
    """
    if isinstance(thing, ComponentFunction):
        return True
    return isinstance(thing, type) and issubclass(thing, Component) and thing is not Component


def _boxes(thing: type[Component] | ComponentFunction[...]) -> Iterator[PartBox]:
    kind: Any = thing.component_class if isinstance(thing, ComponentFunction) else thing
    for name, box in kind._box_declarations.items():
        if name.startswith("_"):  # the component's own affair
            continue
        options: dict[str, Any] = (
            {"size": _size_text(box.size, box.in_bytes), "held": box.held}
            if isinstance(box, Inbox)
            else {"optional": box.optional}
        )
        yield PartBox(name, box.is_inbox, name_of(box.type), box.doc, **options)


def _size_text(size: int, in_bytes: bool) -> str:
    if not in_bytes:
        return f"{size} message{'s' * (size != 1)}"
    for unit, factor in (("MiB", 1024**2), ("KiB", 1024)):
        if size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def _arguments(
    thing: type[Component] | ComponentFunction[...], meanings: dict[str, str]
) -> Iterator[Argument]:
    for one in signature_of(thing).parameters.values():
        yield Argument(
            one.name,
            "" if one.annotation is one.empty else _type_text(one.annotation),
            None if one.default is one.empty else _default_text(one.default),
            one.kind.description,
            meanings.get(one.name, ""),
        )


def _type_text(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else name_of(annotation)


def _default_text(value: Any) -> str:
    if isinstance(value, Enum):
        return str(value)
    name = getattr(value, "__qualname__", None)  # of a class or a function
    return name if isinstance(name, str) else shorten(value, DEFAULT_WIDTH)


# -- docstrings ---------------------------------------------------------------------------------------


class _Told(NamedTuple):
    """What a docstring tells."""

    summary: str
    text: str
    meanings: dict[str, str]
    example: str


def _read(docstring: str) -> _Told:
    """Take a docstring apart.

    >>> _read("Add them.\\n\\nFast.\\n\\nArguments:\\n    one: a\\n        number\\n    other: too").meanings
    {'one': 'a number', 'other': 'too'}
    """
    sections: dict[str, list[str]] = {"": [], "Arguments": [], "Example": []}
    now = ""
    for line in docstring.splitlines():
        header = SECTION.fullmatch(line)
        if header:
            now = header[1]
        else:
            if line and not line.startswith(" "):
                now = ""  # a section ends where a line is not indented any more
            sections[now].append(line)
    summary, _, text = "\n".join(sections[""]).strip().partition("\n\n")
    meanings: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", inspect.cleandoc("\n".join(["", *sections["Arguments"]]))):
        found = ENTRY.fullmatch(entry)
        if found:
            meanings[found[1]] = " ".join(found[2].split())
    example = inspect.cleandoc("\n".join(["", *sections["Example"]]))
    return _Told(" ".join(summary.split()), re.sub(r"\n{3,}", "\n\n", text.strip()), meanings, example)


# -- all of them --------------------------------------------------------------------------------------


class Group(NamedTuple):
    """The parts that one module offers."""

    name: str
    module: str
    summary: str
    """The first line of the module's docstring."""
    parts: tuple[Part, ...]
    problem: str = ""
    """Why its parts cannot be had, if so."""


def groups() -> list[Group]:
    """Return everything that is installed; Kamaelia's own rooms come first.

    A module that cannot be imported is a group without parts, which says what the problem is: one broken
    package hides no other.
    """
    own = [room for room in ROOMS if _is_there(f"kamaelia.{room}")]
    return [*(_load(room, f"kamaelia.{room}") for room in own), *foreign_groups()]


def foreign_groups() -> list[Group]:
    """Return what other packages have announced."""
    from importlib.metadata import entry_points

    announced = {(one.name, one.value) for one in entry_points(group=ENTRY_POINTS)}
    return [_load(name, module) for name, module in sorted(announced)]


def parts() -> list[Part]:
    """Return all parts that are installed."""
    return [part for group in groups() for part in group.parts]


def find(name: str) -> Part:
    """Return a part by its name, which may have its group or module before it: ``flow.Lines``.

    Raises `UsageError`, which proposes names that are like it.
    """
    all_groups = groups()
    found = [
        part
        for group in all_groups
        for part in group.parts
        if name in (part.name, f"{part.group}.{part.name}", f"{part.module}.{part.name}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        several = " or ".join(f"{part.module}.{part.name}" for part in found)
        raise UsageError(f"several parts are called {name!r}: say which, {several}")
    import difflib

    known = [part.name for group in all_groups for part in group.parts]
    by_lower = {one.lower(): one for one in known}
    wanted = name.rpartition(".")[2].lower()
    near = [wanted] if wanted in by_lower else difflib.get_close_matches(wanted, by_lower, n=2)
    hint = f"did you mean {' or '.join(repr(by_lower[one]) for one in near)}?" if near else ""
    raise UsageError(
        f"there is no part called {name!r}; {hint or 'kamaelia list shows those that there are'}"
    )


def _load(name: str, module: str) -> Group:
    try:
        loaded = importlib.import_module(module)
        offered = [(one, getattr(loaded, one)) for one in loaded.__all__]
        found = tuple(describe(thing, one, name, module) for one, thing in offered if is_part(thing))
    except Exception as error:  # somebody else's module may raise anything
        return Group(name, module, "", (), f"{module} cannot be used: {type(error).__name__}: {error}")
    return Group(name, module, (inspect.getdoc(loaded) or "").partition("\n")[0], found)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # what it would be in is no package, or is not there
        return False


__all__ = [
    "Argument",
    "Group",
    "Part",
    "PartBox",
    "Specimen",
    "describe",
    "find",
    "foreign_groups",
    "groups",
    "is_part",
    "parts",
    "signature_of",
]
