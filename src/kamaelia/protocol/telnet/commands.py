"""A table of commands, by which a person uses a service: ``help``, abbreviations, and clear answers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from kamaelia.axon import KamaeliaError
from kamaelia.axon.errors import shorten, suggestion

if TYPE_CHECKING:
    from .conversation import Conversation

NAME: Final = re.compile(r"\S+")
TYPED: Final = 40  # characters of a word that nobody understands which are told back
KINDS: Final[dict[Any, str]] = {int: "a whole number", float: "a number"}


class CommandError(KamaeliaError):
    """A command cannot do what it was asked for; the person is told why, and goes on."""


class Commands:
    r"""What a person may type, and what comes of it.

    A command is a function, plain or ``async``. What follows it on the line, word by word, are its
    arguments: as whole numbers or numbers where it says ``int`` or ``float``; ``*words`` takes all the rest.
    What it returns is said, unless it is None. Its docstring is its help. It may also raise `CommandError`.

    Every table also has ``help`` and ``quit``. A name may be abbreviated while it is clear which is meant.

    Arguments:
        commands: functions by their names
        prompt: asks for the next one; or a function that returns what to ask

    Raises `TypeError` and `ValueError` for commands that cannot be meant.

    Example:
        >>> from kamaelia.protocol import Commands, Conversation
        >>> from kamaelia.testing import drive
        >>> def add(*numbers: float) -> float:
        ...     "Add some numbers."
        ...     return sum(numbers)
        >>> with drive(Conversation(Commands({"add": add}).serve)) as visitor:
        ...     visitor.send(b"add 1 2.5\n")
        ...     visitor.take_all()
        [b'> ', b'3.5\r\n', b'> ']
    """

    def __init__(
        self, commands: Mapping[str, Callable[..., Any]], *, prompt: str | Callable[[], str] = "> "
    ) -> None:
        if not isinstance(commands, Mapping):
            raise TypeError(f"Commands({shorten(commands)}): give functions by their names: {{'add': add}}")
        if not isinstance(prompt, str) and not callable(prompt):
            raise TypeError(
                f"Commands(prompt={shorten(prompt)}): give a text, or a function that returns one"
            )
        self.prompt = prompt
        self._commands = {name: _Command(name, function) for name, function in commands.items()}
        for own in (_Command("help", self._help), _Command("quit", _quit)):
            if own.name in self._commands:
                raise ValueError(f"Commands: {own.name!r} is there already: give yours another name")
            self._commands[own.name] = own

    def help(self) -> str:
        """Return what ``help`` says.

        >>> print(Commands({}).help())
        help [COMMAND]  Say what there is.
        quit            Leave.
        """
        width = max(len(command.usage) for command in self._commands.values())
        return "\n".join(f"{one.usage:{width}}  {one.summary}".rstrip() for one in self._commands.values())

    def find(self, word: str) -> str:
        """Return the command that a word means. Raises `CommandError`, which says what there is.

        >>> Commands({}).find("h")
        'help'
        >>> Commands({}).find("qiut")
        Traceback (most recent call last):
        kamaelia.protocol.telnet.commands.CommandError: There is no command 'qiut': did you mean 'quit'?
        """
        word = word.lower()
        if word in self._commands:
            return word
        if word == "?":
            return "help"
        found = [name for name in self._commands if name.startswith(word)]
        if len(found) == 1:
            return found[0]
        if found:
            raise CommandError(f"{word!r} may be {_any_of(found)}.")
        raise CommandError(
            f"There is no command {shorten(word, TYPED)}: {suggestion(word[:TYPED], self._commands)}"
        )

    async def do(self, line: str) -> Any:
        """Do what a line says, and return what the command returns. Raises `CommandError`."""
        words = line.split()
        if not words:
            return None
        command = self._commands[self.find(words[0])]
        result = command.function(*command.arguments(words[1:]))
        return await result if inspect.isawaitable(result) else result

    async def serve(self, visitor: Conversation) -> None:
        """Do what a person asks for, until that says ``quit``."""
        while True:
            line = await visitor.ask(self.prompt if isinstance(self.prompt, str) else self.prompt())
            try:
                result = await self.do(line)
            except CommandError as error:
                result = error
            except _Quit:
                return
            if result is not None:
                await visitor.say(str(result))

    def _help(self, command: str | None = None) -> str:
        """Say what there is."""
        if command is None:
            return self.help()
        found = self._commands[self.find(command)]
        return f"{found.usage}\n{found.text}".rstrip()


class _Quit(Exception):
    pass


def _quit() -> None:
    """Leave."""
    raise _Quit


class _Command:
    """One command: its function, and what is to be said about it."""

    def __init__(self, name: Any, function: Any) -> None:
        where = f"Commands({{{shorten(name)}: ...}})"
        if not isinstance(name, str) or not NAME.fullmatch(name) or name != name.lower():
            raise ValueError(f"{where}: the name of a command is a word in small letters, such as 'read'")
        if not callable(function):
            raise TypeError(f"{where}: give a function, not {shorten(function)}")
        self.name = name
        self.function = function
        self.text = inspect.getdoc(function) or ""
        self.summary = self.text.partition("\n")[0]
        self._parameters: list[tuple[str, type, bool, bool]] = []  # name, kind, needed, takes the rest
        try:
            signature = inspect.signature(function, eval_str=True)
        except NameError:  # an annotation that only type checkers can look up
            signature = inspect.signature(function)
        except ValueError:
            raise TypeError(f"{where}: it does not tell what it takes: put a function around it") from None
        for one in signature.parameters.values():
            if one.kind is one.KEYWORD_ONLY and one.default is one.empty:
                raise TypeError(
                    f"{where}: a person can give no {one.name!r} by its name: put it before the '*'"
                )
            if one.kind in (one.KEYWORD_ONLY, one.VAR_KEYWORD):
                continue
            rest = one.kind is one.VAR_POSITIONAL
            kind = one.annotation if one.annotation in KINDS else str
            self._parameters.append((one.name, kind, one.default is one.empty and not rest, rest))

    @property
    def usage(self) -> str:
        words = [self.name]
        for name, _, needed, rest in self._parameters:
            shown = name.upper() + ("..." if rest else "")
            words.append(shown if needed else f"[{shown}]")
        return " ".join(words)

    def arguments(self, words: list[str]) -> list[Any]:
        """Return the arguments for what a person has typed. Raises `CommandError`."""
        arguments: list[Any] = []
        parameters = iter(self._parameters)
        current: tuple[str, type, bool, bool] | None = None
        for word in words:
            if current is None or not current[3]:
                current = next(parameters, None)
            if current is None:
                raise CommandError(f"That is too much. Usage: {self.usage}")
            name, kind, _, _ = current
            try:
                arguments.append(kind(word))
            except ValueError:
                raise CommandError(
                    f"{name.upper()} is {KINDS[kind]}, unlike {shorten(word, TYPED)}. Usage: {self.usage}"
                ) from None
        if any(needed for _, _, needed, _ in parameters):
            raise CommandError(f"Something is missing. Usage: {self.usage}")
        return arguments


def _any_of(names: Iterable[str]) -> str:
    *others, last = map(repr, sorted(names))
    return f"{', '.join(others)} or {last}" if others else last


__all__ = ["CommandError", "Commands"]
