"""Pointing at the word of an expression that is at fault.

Python keeps for each instruction the place in the source that it was made of. So the traceback of an error
says which call, which ``|`` or which attribute it came from, and the syntax tree what that is made of: of a
call the argument that the message speaks of, of ``a | b`` the two that do not fit::

    kamaelia run: ... cannot be linked to ...
      Source([1]) | Lines() | Lines()
                    ~~~~~~~   ^^^^^^^
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import sys
import traceback
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kamaelia.axon import Component, ComponentFunction, KamaeliaError, LinkError, body
from kamaelia.axon.errors import shorten, suggestion, text_of
from kamaelia.catalogue import describe, is_part, signature_of

from .output import terminal_columns

FAULT, OTHER = "^", "~"  # what stands below the word at fault, and below another that has to do with it


@dataclass(frozen=True)
class Mark:
    """A stretch of the source to point at; lines count from 1, columns in bytes from 0, as Python counts."""

    line: int
    column: int
    end_line: int
    end_column: int
    sign: str = FAULT

    @staticmethod
    def of(node: ast.AST, sign: str = FAULT) -> Mark:
        """Return the mark of a piece of the syntax tree."""
        one: Any = node
        return Mark(one.lineno, one.col_offset, one.end_lineno, one.end_col_offset, sign)

    @staticmethod
    def of_syntax(error: SyntaxError, source: str) -> Mark:
        """Return the mark of what Python could not read, which it counts in letters, from 1."""
        lines = source.splitlines() or [""]
        line, start = error.lineno or 1, (error.offset or 1) - 1
        end_line, end = error.end_lineno or 0, (error.end_offset or 0) - 1
        if line > len(lines):  # it has noticed only at the end
            line, start = len(lines), len(lines[-1])
        if (end_line, end) <= (line, start) or end_line > len(lines):
            end_line, end = line, start + 1
        column, end_column = (
            len(lines[number - 1][:letters].encode()) for number, letters in ((line, start), (end_line, end))
        )
        return Mark(line, column, end_line, max(end_column, column + 1) if line == end_line else end_column)

    def covers(self, other: Mark) -> bool:
        """Say whether another stretch is within this one."""
        begins = (self.line, self.column) <= (other.line, other.column)
        return begins and (other.end_line, other.end_column) <= (self.end_line, self.end_column)


# -- finding the place --------------------------------------------------------------------------------


def explain(error: Exception, tree: ast.Expression, source: str, names: Mapping[str, Any], file: str) -> str:
    """Return what a user reads about an error that was raised when a component was made of an expression.

    Arguments:
        error: what was raised
        tree: what the expression was read as
        source: the expression
        names: what its names stand for
        file: what Python took it to be read from
    """
    step, inner = _last_step(error, file)
    place = _place(step)
    said = _words(error, inner)
    node = None if place is None else _node_at(tree, place)
    if isinstance(node, ast.Call):
        said, marks = _in_call(node, error, said, names)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        said, marks = _in_row(node, error, said, inner, names)
    elif isinstance(node, ast.Attribute) and isinstance(error, AttributeError):
        said, marks = _in_attribute(node, error, said)
    elif place is not None:
        marks = [place]
    else:  # of the whole no component could be made; or Python has kept no places, with -X no_debug_ranges
        said, marks = _made_of(tree.body, error, said, names)
    lines = [said, *point(source, marks)]
    for frame in traceback.extract_tb(inner):
        if body.is_users(frame.filename):  # a function of the user's own that the expression calls
            lines.append(f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}')
            if frame.line:
                lines.append(f"    {frame.line}")
    if error.__cause__ is not None:
        lines.append(f"  because of {type(error.__cause__).__name__}: {text_of(error.__cause__)}")
    return "\n".join(lines)


def _last_step(error: Exception, file: str) -> tuple[TracebackType | None, TracebackType | None]:
    """Return the innermost step of a traceback that is in the expression, and what it has called."""
    last = None
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            last = step
        step = step.tb_next
    return last, last.tb_next if last is not None else None


def _place(step: TracebackType | None) -> Mark | None:
    if step is None:
        return None
    positions = step.tb_frame.f_code.co_positions()
    line, end_line, column, end_column = next(itertools.islice(positions, step.tb_lasti // 2, None))
    if line is None or end_line is None or column is None or end_column is None:  # -X no_debug_ranges
        return None
    return Mark(line, column, end_line, end_column)


def _node_at(tree: ast.Expression, place: Mark) -> ast.expr | None:
    """Return the piece of the tree that stands at a place, which it may begin before.

    (Of a call of a method that goes over several lines, the place begins with the method from 3.12 on.)
    """
    found = None
    for node in ast.walk(tree):  # the outer ones come before those in them
        if isinstance(node, ast.expr):
            mark = Mark.of(node)
            if mark.covers(place) and (mark.end_line, mark.end_column) == (place.end_line, place.end_column):
                found = node
    return found


def _words(error: Exception, inner: TracebackType | None) -> str:
    """Return what an error says, and its kind, unless it is one of ours, whose words say enough."""
    said = text_of(error)
    while inner is not None and inner.tb_next is not None:
        inner = inner.tb_next
    ours = inner is not None and inner.tb_frame.f_globals.get("__name__", "").startswith("kamaelia.")
    return said if isinstance(error, KamaeliaError) or ours else f"{type(error).__name__}: {said}"


# -- what is wrong there ------------------------------------------------------------------------------


def _in_attribute(node: ast.Attribute, error: AttributeError, said: str) -> tuple[str, list[Mark]]:
    """``a.b``, where a has no b."""
    mark = Mark.of(node)
    start = mark.end_column - len(node.attr.encode())
    if error.obj is not None:  # as it is where the words are Python's
        known = [name for name in dir(error.obj) if not name.startswith("_")]
        hint = suggestion(node.attr, known)
        if hint.startswith("did"):
            said = f"{said}; {hint}"
    return said, [Mark(mark.end_line, start, mark.end_line, mark.end_column)]


def _in_row(
    node: ast.BinOp, error: Exception, said: str, inner: TracebackType | None, names: Mapping[str, Any]
) -> tuple[str, list[Mark]]:
    """``a | b``: for a link both, with the second at fault; else the one that is no component."""
    first, second = _last_of(node.left), _first_of(node.right)
    if isinstance(error, LinkError):
        if said.endswith("in a pipeline: put it last"):
            return said, [Mark.of(first)]
        return said, [Mark.of(first, OTHER), Mark.of(second)]
    if inner is not None:  # a component was asked to join something: it was the left one unless that was not
        wrong = first if inner.tb_frame.f_code.co_name == "__ror__" else second
        return _made_of(wrong, error, said, names)
    # Neither can join the other; Python names their types.
    kinds = re.search(r"for \|: '(\w+)' and '(\w+)'", said)
    if kinds is None:
        return said, [Mark.of(node)]
    known = {kind.__name__ for kind in _kinds_of(Component)} | {ComponentFunction.__name__}
    wrong_ones = [
        (kind, one)
        for kind, one in zip(kinds.groups(), (first, second), strict=True)
        if kind not in known and not is_part(_called(one, names))
    ]
    what = " and ".join(f"{ast.unparse(one)}, of type {kind}," for kind, one in wrong_ones)
    said = f"{what} cannot be joined with |: that is for components, such as Map(function) or Source(items)"
    return said, [Mark.of(one) for _, one in wrong_ones] or [Mark.of(node)]


def _made_of(node: ast.expr, error: Exception, said: str, names: Mapping[str, Any]) -> tuple[str, list[Mark]]:
    """Something of which no component could be made. A class was called for that, without arguments."""
    called = _called(node, names)
    if isinstance(error, TypeError) and is_part(called):
        call = ast.copy_location(ast.Call(node, [], []), node)
        misfit = _misfit(call, _signature(called) or inspect.Signature(), called)
        if misfit is not None:
            return misfit
    return said, [Mark.of(node)]


def _last_of(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        node = node.right
    return node


def _first_of(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        node = node.left
    return node


def _kinds_of(kind: type[Component]) -> Iterator[type[Component]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds_of(one)


def _in_call(node: ast.Call, error: Exception, said: str, names: Mapping[str, Any]) -> tuple[str, list[Mark]]:
    """A call: the argument that cannot be given, or that the message speaks of."""
    called = _called(node.func, names)
    signature = _signature(called)
    if signature is None:
        return said, [Mark.of(node)]
    if isinstance(error, TypeError):
        misfit = _misfit(node, signature, called)
        if misfit is not None:
            return misfit
    given = dict(_given(node, signature))
    # As in "Batch(seconds=-1): give ..." or "longest=0: give ...": what is meant is the last that is named.
    head = said.partition(": ")[0]
    for name in reversed(re.findall(r"(\w+)=", head)):
        if name in given:
            return said, [Mark.of(given[name])]
    # As in "Batch(0): give ...".
    about = re.fullmatch(rf"{re.escape(ast.unparse(node.func).rpartition('.')[2])}\((.*)\)", head)
    if about:
        for one in given.values():
            if len(given) == 1 or _shown(one) == about[1]:
                return said, [Mark.of(one)]
    return said, [Mark.of(node)]


def _called(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return what a name or ``module.name`` stands for; None for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        return getattr(_called(node.value, names), node.attr, None)
    return None


def _signature(called: Any) -> inspect.Signature | None:
    try:
        return signature_of(called) if is_part(called) else inspect.signature(called)
    except (TypeError, ValueError):  # it is unknown what was called, or what that takes
        return None


def _given(node: ast.Call, signature: inspect.Signature) -> Iterator[tuple[str, ast.expr | ast.keyword]]:
    """Yield the parameters that are given in a call, and where."""
    places = [one.name for one in signature.parameters.values() if one.kind in BY_PLACE]
    for name, argument in zip(places, node.args, strict=False):
        if isinstance(argument, ast.Starred):
            break
        yield name, argument
    for keyword in node.keywords:
        if keyword.arg is not None:
            yield keyword.arg, keyword


BY_PLACE = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _misfit(node: ast.Call, signature: inspect.Signature, called: Any) -> tuple[str, list[Mark]] | None:
    """Return what is wrong with how a call gives its arguments, in our words; None if it is all right."""
    if any(isinstance(one, ast.Starred) for one in node.args) or not all(one.arg for one in node.keywords):
        return None
    try:
        signature.bind(*node.args, **{str(one.arg): one for one in node.keywords})
        return None
    except TypeError:
        pass
    name = f"{ast.unparse(node.func)}()"
    parameters = signature.parameters
    if not parameters:
        return f"{name} takes no arguments", [Mark.of([*node.args, *node.keywords][0])]
    kinds = {one.kind for one in parameters.values()}
    for keyword in node.keywords:
        if keyword.arg not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
            hint = suggestion(str(keyword.arg), parameters)
            return f"{name} has no argument {keyword.arg!r}; {hint}", [Mark.of(keyword)]
    places = [one.name for one in parameters.values() if one.kind in BY_PLACE]
    if len(node.args) > len(places) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        named = [one.name for one in parameters.values() if one.kind is one.KEYWORD_ONLY]
        takes = f"{name} takes {len(places)} argument{'s' * (len(places) != 1)}"
        if named:
            takes += f" by place, and by name {', '.join(map(repr, named))}"
        return takes, [Mark.of(node.args[len(places)])]
    for place in places[: len(node.args)]:
        for keyword in node.keywords:
            if keyword.arg == place:
                return f"{name} is given {place!r} twice, once by its place", [Mark.of(keyword)]
    given = {*places[: len(node.args)], *(one.arg for one in node.keywords)}
    missing = [
        one.name
        for one in parameters.values()
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
        and one.name not in given
    ]
    if not missing:  # what else there is Python may say
        return None
    meanings = _meanings(called)
    needs = " and ".join(
        f"{one!r} ({meanings[one].rstrip('.')})" if meanings.get(one) else repr(one) for one in missing
    )
    return f"{name} needs {needs}", [Mark.of(node)]


def _meanings(called: Any) -> dict[str, str]:
    if not is_part(called):
        return {}
    return {one.name: one.meaning for one in describe(called, "", "", "").arguments}


def _shown(node: ast.expr | ast.keyword) -> str | None:
    """Return a literal as an error message shows it."""
    try:
        return shorten(ast.literal_eval(node.value if isinstance(node, ast.keyword) else node))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


# -- showing it ---------------------------------------------------------------------------------------


def point(source: str, marks: Iterable[Mark]) -> Iterator[str]:
    """Yield the lines of a source that have marks, each with its marks below it.

    >>> print("\\n".join(point("Take('x')", [Mark(1, 5, 1, 8)])))
      Take('x')
           ^^^
    """
    columns = terminal_columns(sys.stderr)
    below: dict[int, list[tuple[int, int, str]]] = {}
    lines = source.splitlines()
    for mark in marks:
        for number in range(mark.line, mark.end_line + 1):
            line = lines[number - 1]
            start = _letters(line, mark.column) if number == mark.line else len(line) - len(line.lstrip())
            end = _letters(line, mark.end_column) if number == mark.end_line else len(line.rstrip())
            below.setdefault(number, []).append((start, max(end, start + 1), mark.sign))
    for number, stretches in sorted(below.items()):
        line, stretches = _cut(lines[number - 1], sorted(stretches), columns)
        yield f"  {line}"
        signs = ""
        at = 0
        for start, end, sign in stretches:
            signs += _blank(line[at:start]) + sign * max(1, len(_blank(line[start:end])))
            at = end
        yield f"  {signs}"


def _letters(line: str, column: int) -> int:
    return len(line.encode()[:column].decode(errors="ignore"))


def _cut(
    line: str, stretches: Sequence[tuple[int, int, str]], columns: int | None
) -> tuple[str, list[tuple[int, int, str]]]:
    """Return the piece of a line around its marks that fits into a terminal, and the marks in it.

    >>> _cut("0123456789" * 5, [(20, 22, "^")], 22)
    ('...78901234567890...', [(6, 8, '^')])
    """
    if columns is None or len(line) + 2 <= columns:
        return line, list(stretches)
    width = max(20, columns - 2)
    start = max(0, min(stretches[0][0] - width // 3, len(line) - width))
    piece = line[start : start + width]
    if start:
        piece = "..." + piece[3:]
    if start + width < len(line):
        piece = piece[:-3] + "..."
    moved = [(max(0, one - start), min(width, end - start), sign) for one, end, sign in stretches]
    return piece, [one for one in moved if one[0] < one[1]]


def _blank(text: str) -> str:
    """Return as much blank space as a text takes in a terminal: Chinese characters take two columns."""
    return "".join(
        "\t" if one == "\t" else "  " if unicodedata.east_asian_width(one) in "WF" else " "
        for one in text
        if not unicodedata.combining(one)
    )
