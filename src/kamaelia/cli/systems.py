"""What ``kamaelia run`` can make a system of: a file, a module's component, an expression.

An expression is read before it is evaluated: only the rooms whose names it uses are imported, and a name that
nobody knows is answered with those that are like it.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import importlib
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import kamaelia
from kamaelia.axon import Component, ComponentFunction, Link, UsageError, as_part, report
from kamaelia.axon.errors import LIKENESS, suggestion

MODULE_AND_NAME = re.compile(r"(?P<module>[^\W\d][\w.]*):(?P<name>[^\W\d][\w.]*)")
FILE_AND_NAME = re.compile(r"(?P<file>.+\.py)(?::(?P<name>[^\W\d][\w.]*))?", re.DOTALL)


COMMAND_LINE = "<command line>"  # the file, as Python sees it, that an expression is read from

_ours: list[str] = []  # the folders that we have put on Python's path


class NotASystem(Exception):
    """A text of the command line names no system; the message says why, and what would."""


def find_system(text: str) -> Component:
    """Make a system of one argument of the command line.

    Raises `NotASystem`, and whatever the user's own code raises.

    >>> find_system("Take(3)")
    Take(3)
    """
    found = FILE_AND_NAME.fullmatch(text)
    if found and ("(" not in text or os.path.exists(found["file"])):
        module = load_file(found["file"])
        return the_named(module, found["name"], text) if found["name"] else the_system_of(module, text)
    found = MODULE_AND_NAME.fullmatch(text)
    if found:
        if os.path.isfile(found["module"]):
            raise NotASystem(not_python(found["module"]))
        return the_named(load_module(found["module"], text), found["name"], text)
    if not text.isidentifier() and os.path.exists(text):
        raise NotASystem(not_python(text))
    return evaluate(text)


def not_python(path: str) -> str:
    """Say why a path that exists is no system."""
    if os.path.isdir(path):
        return f"{path} is a folder: name a Python file in it"
    return f"{path} is a file, but no Python file: its name does not end in .py"


# -- files and modules ------------------------------------------------------------------------------


def load_file(name: str) -> ModuleType:
    """Import a file by its path, as a module: what is below ``if __name__ == "__main__"`` does not run."""
    path = Path(name)
    if not path.is_file():
        if path.is_dir():
            raise NotASystem(not_python(name))
        files = [one.name for one in path.parent.glob("*.py") if one.is_file()]
        near = difflib.get_close_matches(path.name, files, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        raise NotASystem(f"there is no file {name}{hint}")
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as for `python chat.py`: the file may import its neighbours
        _ours.append(folder)
    # A file called random.py must not take the place of the module that others import.
    known = path.stem in sys.modules or path.stem in sys.stdlib_module_names
    module_name = f"kamaelia_run_{path.stem}" if known or not path.stem.isidentifier() else path.stem
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except (SyntaxError, ValueError) as error:
        if getattr(error, "filename", None) is not None or b"\0" not in path.read_bytes():
            raise
        # Here alone Python does not say where, and up to 3.11.3 it is a ValueError.
        located = SyntaxError(str(error))
        located.filename = name
        raise located from None
    return module


def load_module(name: str, text: str) -> ModuleType:
    """Import a module by its name, also from the current folder."""
    if "" not in sys.path:
        sys.path.insert(0, "")
        _ours.append("")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # it is there, but something that it imports is not
        raise NotASystem(
            f"{text}: there is no module {error.name!r}. A module is looked for in this folder and among "
            "what is installed; for a file write its path, such as chat.py"
        ) from None


def import_standard(name: str) -> ModuleType:
    """Import a module of the standard library, whatever is called like it in the folders of the systems.

    Only what one of these systems has already imported itself, under that name, is taken as it is.
    """
    known = sys.modules.get(name)
    if known is not None:
        return known
    here = os.getcwd()  # which ``python -m kamaelia`` has put on the path
    before = list(sys.path)
    sys.path[:] = [folder for folder in before if folder not in _ours and folder not in ("", here)]
    try:
        return importlib.import_module(name)
    finally:
        sys.path[:] = before


def the_named(module: ModuleType, name: str, text: str) -> Component:
    """Return the component of a module that has a name."""
    found: Any = module
    where, system = module.__name__, text.removesuffix(name)
    for part in name.split("."):
        if not hasattr(found, part):
            if isinstance(found, Component):
                raise NotASystem(
                    f"{text}: {where} is a component already, and {part!r} is not in it; "
                    f"write {system.removesuffix('.')}"
                )
            inside = getattr(found, "__dict__", {})
            known = [other for other, value in inside.items() if could_be_system(value)]
            raise NotASystem(f"{text}: {part!r} is not in {where}; {suggestion(part, known)}")
        found = getattr(found, part)
        where, system = f"{where}.{part}", f"{system}{part}."
    return made_of(found, text)


def the_system_of(module: ModuleType, text: str) -> Component:
    """Return the component of a module that is meant when no name is given."""
    for name in ("system", "main"):
        if could_be_system(vars(module).get(name)):
            return made_of(vars(module)[name], text)
    names = {id(value): name for name, value in vars(module).items() if isinstance(value, Component)}
    values = [value for value in vars(module).values() if isinstance(value, Component)]
    used = {id(part) for value in values for part in parts_in(value._recipe)}
    found = [value for value in values if value._axon.parent is None and id(value) not in used]
    if len(found) > 1:
        several = ", ".join(names[id(value)] for value in found)
        raise NotASystem(
            f"{text} has several components at its top level: {several}. Call the one to run 'system', "
            f"or say which: {text}:{names[id(found[0])]}"
        )
    if not found:
        raise NotASystem(
            f"{text} has no component at its top level: write one there, such as system = Echo() | ... "
            "(what is below if __name__ == \"__main__\" is for 'python', not for 'kamaelia run')"
        )
    return found[0]


def could_be_system(value: Any) -> bool:
    """Say whether a component can be made of something."""
    is_class = isinstance(value, type) and issubclass(value, Component) and value is not Component
    return isinstance(value, (Component, ComponentFunction)) or is_class


def parts_in(value: Any) -> Iterator[Component]:
    """Yield the components among the arguments that another one was made with."""
    if isinstance(value, Component):
        yield value
    elif isinstance(value, Link):
        for end in (value.source, value.target):
            owner = getattr(end, "owner", None)
            if owner is not None:
                yield owner.component
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from parts_in(one)
    elif isinstance(value, dict):
        yield from parts_in(list(value.values()))


def made_of(value: Any, text: str) -> Component:
    """Return a component as it is; of a class or function component, make one."""
    try:
        return as_part(value)
    except UsageError as error:
        raise NotASystem(f"{text}: {error}") from None


# -- expressions ------------------------------------------------------------------------------------


def evaluate(text: str) -> Component:
    """Make a system of an expression. What is wrong with it is a `NotASystem` that points at the place."""
    source = text.strip()
    tree = parse(source)
    names: dict[str, Any] = {}
    for name, used_as_module in names_in(tree).items():
        alone = source == name
        try:
            names[name] = look_up(name, used_as_module, alone)
        except NotASystem as error:
            if alone:
                raise
            uses = [one for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id == name]
            first = min(uses, key=lambda one: (one.lineno, one.col_offset))
            raise NotASystem(pointed(str(error), source, first)) from None
    # Where a traceback looks for the line that it shows.
    linecache.cache[COMMAND_LINE] = (len(source), None, source.splitlines(keepends=True), COMMAND_LINE)
    try:
        return as_part(eval(compile(tree, COMMAND_LINE, "eval"), names))
    except Exception as error:  # of any kind: whatever the expression calls may raise
        if report.shows_all():
            raise
        from .pointing import explain

        raise NotASystem(explain(error, tree, source, names, COMMAND_LINE)) from error


def pointed(said: str, source: str, at: ast.AST | SyntaxError) -> str:
    """Return what is to be said about a place of an expression, and that place."""
    from .pointing import Mark, point

    mark = Mark.of_syntax(at, source) if isinstance(at, SyntaxError) else Mark.of(at)
    return "\n".join([said, *point(source, [mark])])


def parse(source: str) -> ast.Expression:
    """Read an expression, which may go over several lines as it could within parentheses.

    >>> ast.unparse(parse("Echo()\\n| Echo()"))
    'Echo() | Echo()'
    """
    lines = source.splitlines()
    several = len(lines) > 1
    try:
        tree = ast.parse(f"(\n{source}\n)" if several else source, mode="eval")
    except SyntaxError as error:
        found = misread(lines) if several and "#" not in source else None
        if found is None:
            found = error
            found.lineno = (error.lineno or 1) - several
            found.end_lineno = (error.end_lineno or 1) - several
        said = f"{source!r} is no file, no module:name and no expression: {found.msg}"
        raise NotASystem(pointed(said, source, found)) from None
    if several:
        ast.increment_lineno(tree, -1)
    return tree


def misread(lines: list[str]) -> SyntaxError | None:
    """Return what Python says of lines that are one expression: it knows best without parentheses around."""
    try:
        ast.parse("\\\n".join(lines), mode="eval")
    except SyntaxError as error:
        return error
    return None


def names_in(tree: ast.AST) -> dict[str, bool]:
    """Return the names that an expression does not bind itself, and whether ``name.something`` is in it.

    >>> names_in(ast.parse("Map(lambda line: json.loads(line))", mode="eval"))
    {'Map': False, 'json': True}
    """
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    used: dict[str, bool] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used[node.value.id] = True
        elif isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                used.setdefault(node.id, False)
            else:
                bound.add(node.id)
    return {name: dotted for name, dotted in used.items() if name not in bound}


def look_up(name: str, used_as_module: bool, alone: bool) -> Any:
    """Find what a name of an expression stands for: ours, Python's, another package's, or a module."""
    from kamaelia import catalogue

    if name in kamaelia.__all__:
        return getattr(kamaelia, name)
    known: set[str] = set(kamaelia.__all__)
    for room in catalogue.ROOMS:
        offered = names_of(room)
        if name in offered:
            return getattr(importlib.import_module(f"kamaelia.{room}"), name)
        if room != "axon":  # what is only there is for who writes parts
            known.update(offered)
    if hasattr(builtins, name):
        return getattr(builtins, name)
    if name in catalogue.ROOMS or name == "kamaelia":
        return importlib.import_module("kamaelia" if name == "kamaelia" else f"kamaelia.{name}")
    if name in sys.stdlib_module_names:
        # A file of the user's that has the same name is not meant: see load_file.
        try:
            return import_standard(name)
        except ImportError:  # of another platform, such as winreg
            pass
    foreign = {part.name: part.thing for group in catalogue.foreign_groups() for part in group.parts}
    if name in foreign:
        return foreign[name]
    if used_as_module:
        try:
            return load_module(name, name)
        except NotASystem:
            pass
    if alone and os.path.exists(name):
        raise NotASystem(not_python(name))
    if Path(f"{name}.py").is_file():
        raise NotASystem(f"{name!r} is not known; did you mean the file {name}.py?")
    known |= foreign.keys()
    if difflib.get_close_matches(name, known, cutoff=LIKENESS):
        raise NotASystem(f"{name!r} is not known; {suggestion(name, known)}")
    if alone:
        raise NotASystem(f"{name!r} is no file, no module:name, and no part: see kamaelia list")
    raise NotASystem(f"{name!r} is not known; no public part is called like that: see kamaelia list")


def names_of(room: str) -> Iterable[str]:
    """Return the public names of a room, without importing it: they are read in its source."""
    source = Path(kamaelia.__file__).parent.joinpath(*room.split("."), "__init__.py")
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except OSError:  # this room is not there, or it is in a zip file
        return []
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return []
