"""Conversations, commands, and telnet around a part: alone, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kamaelia.axon import Component, component, sleep
from kamaelia.chassis import Join
from kamaelia.flow import Map, Null
from kamaelia.protocol import CommandError, Commands, Conversation, ConversationOver, Telnet
from kamaelia.testing import drive

WILL_ECHO, WONT_ECHO, DO_ECHO = b"\xff\xfb\x01", b"\xff\xfc\x01", b"\xff\xfd\x01"


def shown(driver: Any) -> str:
    """Return what the person sees now."""
    return b"".join(driver.take_all()).decode().replace("\r\n", "\n")


# -- asking -------------------------------------------------------------------------------------------


async def talk(visitor: Conversation) -> str:
    name = await visitor.ask("Your name? ")
    await visitor.say(f"Hello {name}!\nHow are you?", end="")
    return str(await visitor.ask(" "))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_questions_are_answered_line_by_line(size: int) -> None:
    typed = b"An\x7fnna\r\nfine\r"
    with drive(Conversation(talk)) as visitor:
        assert visitor.take_all() == [b"Your name? "]
        visitor.send(*(typed[n : n + size] for n in range(0, len(typed), size)))
        assert visitor.take_all() == [b"Hello Anna!\r\nHow are you?", b" "]
        assert (visitor.outcome, visitor.result, visitor.state("outbox")) == ("ended", "fine", "ended")


def test_what_was_typed_ahead_waits_for_its_question() -> None:
    async def slow(visitor: Conversation) -> list[str]:
        lines = []
        for _ in range(3):
            await sleep(1)
            lines.append(await visitor.ask())
        return lines

    with drive(Conversation(slow)) as visitor:
        visitor.send(b"1\n2\n", b"3\n4\n")
        visitor.finish()
        assert (visitor.result, visitor.time) == (["1", "2", "3"], 3)


@pytest.mark.parametrize("agrees", [True, False])
def test_a_password_is_not_shown_by_a_client_that_agrees(agrees: bool) -> None:
    async def login(visitor: Conversation) -> None:
        word = await visitor.ask("Password: ", hidden=True)
        await visitor.say(f"It was {word}.")

    with drive(Conversation(login)) as visitor:
        assert visitor.take_all() == [b"Password: ", WILL_ECHO]
        visitor.send((DO_ECHO if agrees else b"") + b"secret\r\n")
        after = [WONT_ECHO, b"\r\n"] if agrees else []
        assert visitor.take_all() == [*after, b"It was secret.\r\n"]


def test_the_person_goes_and_that_is_the_end() -> None:
    for typed in (b"\xff\xf4", b"\x03", b"Anna\n\x04more\n", b"Anna\n\xff\xf4"):
        with drive(Conversation(talk)) as visitor:
            visitor.send(typed)
            assert (visitor.outcome, visitor.error) == ("ended", None)
    with drive(Conversation(talk)) as visitor:
        visitor.send(b"An")
        visitor.close()
        assert shown(visitor) == "Your name? Hello An!\nHow are you? "
        assert (visitor.outcome, visitor.result) == ("ended", None)


def test_what_was_said_before_going_is_still_answered() -> None:
    with drive(Conversation(talk)) as visitor:
        visitor.send(b"Anna\nfine\n\x04")
        assert visitor.result == "fine"


@pytest.mark.parametrize("how", ["break", "leave", "stop", "cancel"])
def test_a_conversation_ends_when_nobody_is_there(how: str) -> None:
    with drive(Conversation(talk)) as visitor:
        if how == "break":
            visitor.fail(ConnectionResetError())
        elif how == "leave":
            visitor.leave()
        elif how == "stop":
            visitor.stop()
        else:
            visitor.cancel()
        outcome = {"break": "broken", "leave": "ended", "stop": "ended", "cancel": "cancelled"}[how]
        assert (visitor.outcome, visitor.time) == (outcome, 0)
        assert how in ("break", "cancel") or visitor.error is None


def test_who_is_silent_for_too_long_is_told_so() -> None:
    with drive(Conversation(talk, idle=60)) as visitor:
        visitor.advance(59)
        visitor.send(b"Anna\n")
        visitor.advance(30)
        visitor.send(b"not a li")
        visitor.advance(29.5)
        assert visitor.outcome == "running"
        visitor.advance(1)
        assert shown(visitor).endswith("\nYou have said nothing for 60 seconds. Good bye!\n")
        assert (visitor.outcome, visitor.time) == ("ended", 119.5)


def test_are_you_there() -> None:
    with drive(Conversation(talk)) as visitor:
        visitor.take_all()
        visitor.send(b"\xff\xf6\xff\xfb\x18")
        assert visitor.take_all() == [b"\r\n[yes]\r\n", b"\xff\xfe\x18"]


def test_the_window_may_be_asked_for() -> None:
    async def measure(visitor: Conversation) -> list[Any]:
        before = visitor.window
        await visitor.ask_window()
        await visitor.ask()
        return [before, visitor.window]

    with drive(Conversation(measure)) as visitor:
        assert visitor.take_all() == [b"\xff\xfd\x1f"]
        visitor.send(b"\xff\xfb\x1f\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0\r\n")
        assert visitor.result == [(0, 0), (80, 24)]


def age(line: str) -> int:
    if not line.isdecimal():
        raise ValueError(f"{line!r} is no age.")
    return int(line)


async def age_later(line: str) -> int:
    await sleep(1)
    return await asyncio.to_thread(age, line)


@pytest.mark.parametrize("check", [age, age_later])
def test_an_answer_is_checked_and_asked_for_again(check: Any) -> None:
    async def ask(visitor: Conversation) -> int:
        return await visitor.ask("Age? ", check=check, attempts=2)

    with drive(Conversation(ask)) as visitor:
        visitor.send(b"old\n", b"7\n")
        visitor.advance(2)
        assert (shown(visitor), visitor.result) == ("Age? 'old' is no age.\nAge? ", 7)
    with drive(Conversation(ask)) as visitor:
        visitor.send(b"old\nolder\n")
        visitor.advance(2)
        assert shown(visitor).endswith("'older' is no age.\n\nThat was wrong too often. Good bye!\n")
        assert (visitor.outcome, visitor.error) == ("ended", None)


@pytest.mark.parametrize(
    ("typed", "chosen"),
    [
        ("2", "blue"),
        ("BLUE", "blue"),
        ("r", "red"),
        ("blu", None),
        ("blue-", "blue-green"),
        ("green", None),
        ("0", None),
        ("5", None),
        ("", None),
        ("1" * 5000, None),
        ("²", None),
    ],
)
def test_choosing(typed: str, chosen: str | None) -> None:
    async def choose(visitor: Conversation) -> str:
        return await visitor.choose("Which?", ["red", "blue", "blue-green"], attempts=1)

    with drive(Conversation(choose)) as visitor:
        assert shown(visitor) == "Which?\n  1  red\n  2  blue\n  3  blue-green\n? "
        visitor.send(typed.encode() + b"\n")
        assert visitor.result == chosen
        if chosen is None:
            complaint = (
                "That may be 'blue' or 'blue-green'." if typed == "blu" else "Type a number from 1 to 3"
            )
            assert shown(visitor).startswith(complaint)


def test_there_has_to_be_something_to_choose() -> None:
    async def choose(visitor: Conversation) -> str:
        return await visitor.choose("Which?", [])

    with drive(Conversation(choose)) as visitor:
        assert "give one text to choose, or more" in str(visitor.error)


def test_talk_may_end_it_with_a_word() -> None:
    async def refuse(visitor: Conversation) -> None:
        raise ConversationOver("We are closed.")

    with drive(Conversation(refuse)) as visitor:
        assert (shown(visitor), visitor.outcome) == ("\nWe are closed.\n", "ended")


def test_only_text_is_said() -> None:
    async def wrong(visitor: Conversation) -> None:
        await visitor.say(7)  # type: ignore[arg-type]

    with drive(Conversation(wrong)) as visitor:
        assert str(visitor.error).startswith("Conversation: say(7): give text")


def test_lines_are_cut_and_counted() -> None:
    with drive(Conversation(talk, longest=4)) as visitor:
        visitor.send(b"abcdefgh\n")
        assert shown(visitor).startswith("Your name? Hello abcd!")
        assert visitor.component.cut == 1


@pytest.mark.parametrize(
    ("make", "kind", "complaint"),
    [
        (lambda: Conversation(7), TypeError, r"Conversation\(7\): give an async function"),
        (lambda: Conversation(talk, idle=0), ValueError, r"Conversation\(idle=0\): give the seconds"),
        (lambda: Conversation(talk, longest=0), ValueError, r"Conversation\(longest=0\): give the bytes"),
        (lambda: Conversation(talk, encoding="no"), LookupError, "unknown encoding"),
        (lambda: Telnet(Map(str), end=7), TypeError, r"Telnet\(end=7\): give text"),
        (lambda: Telnet(Map(str), longest=0), ValueError, r"Telnet\(longest=0\): give the bytes"),
        (lambda: Telnet(Null()), Exception, "it needs an inbox and an outbox to talk"),
        (lambda: Commands(["a"]), TypeError, "give functions by their names"),
        (lambda: Commands({}, prompt=7), TypeError, "give a text, or a function that returns one"),
        (lambda: Commands({"A": print}), ValueError, "a word in small letters"),
        (lambda: Commands({"a b": print}), ValueError, "a word in small letters"),
        (lambda: Commands({"a": 7}), TypeError, "give a function, not 7"),
        (lambda: Commands({"help": print}), ValueError, "'help' is there already"),
        (lambda: Commands({"max": max}), TypeError, "it does not tell what it takes"),
        (lambda: Commands({"f": lambda *, a: a}), TypeError, "a person can give no 'a' by its name"),
    ],
)
def test_what_cannot_be_meant_is_said_when_it_is_made(make: Any, kind: Any, complaint: str) -> None:
    with pytest.raises(kind, match=complaint):
        make()


def test_a_function_that_is_not_async_is_a_failure_with_a_hint() -> None:
    with drive(Conversation(lambda visitor: 7)) as visitor:
        assert "an async function leads a conversation" in str(visitor.error)


# -- commands -----------------------------------------------------------------------------------------


def read(number: int, part: float = 1) -> str:
    """Read a message.

    Of some only a part is shown.
    """
    return f"read {number!r} {part!r}"


async def remove(*names: str) -> None:
    """Remove some."""
    if not names:
        raise CommandError("Remove what?")


def note(text: str, *rest: str) -> str:
    return " ".join((text, *rest))


TABLE = {"read": read, "remove": remove, "note": note}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("read 7", "read 7 1"),
        ("  READ   7  0.5 ", "read 7 0.5"),
        ("rea 7", "read 7 1"),
        ("n a  b c", "a b c"),
        ("remove a b", None),
        ("", None),
        ("   ", None),
        ("remove", "Remove what?"),
        ("re 7", "'re' may be 'read' or 'remove'."),
        ("reed", "There is no command 'reed': did you mean 'read'?"),
        ("xyz", "There is no command 'xyz': there are 'help', 'note', 'quit', 'read' and 'remove'"),
        ("read", "Something is missing. Usage: read NUMBER [PART]"),
        ("read x", "NUMBER is a whole number, unlike 'x'. Usage: read NUMBER [PART]"),
        ("read 1 x", "PART is a number, unlike 'x'. Usage: read NUMBER [PART]"),
        ("read 1 2 3", "That is too much. Usage: read NUMBER [PART]"),
        ("read " + "1" * 5000, f"NUMBER is a whole number, unlike '{'1' * 36}.... Usage: read NUMBER [PART]"),
        ("note", "Something is missing. Usage: note TEXT [REST...]"),
        ("help read", "read NUMBER [PART]\nRead a message.\n\nOf some only a part is shown."),
        ("help note", "note TEXT [REST...]"),
        ("help x", "There is no command 'x': there are 'help', 'note', 'quit', 'read' and 'remove'"),
        (
            "?",
            "read NUMBER [PART]   Read a message.\n"
            "remove [NAMES...]    Remove some.\n"
            "note TEXT [REST...]\n"
            "help [COMMAND]       Say what there is.\n"
            "quit                 Leave.",
        ),
    ],
)
def test_what_a_person_types_and_what_comes_of_it(line: str, answer: str | None) -> None:
    with drive(Conversation(Commands(TABLE).serve, longest=10000)) as visitor:
        visitor.send(line.encode() + b"\n")
        assert shown(visitor) == "> " + ("" if answer is None else f"{answer}\n") + "> "
        visitor.send(b"q\r\n")
        assert (visitor.outcome, visitor.error) == ("ended", None)


def test_the_prompt_may_change() -> None:
    count = iter(range(10))
    with drive(Conversation(Commands({}, prompt=lambda: f"{next(count)}> ").serve)) as visitor:
        visitor.send(b"\n\n")
        assert shown(visitor) == "0> 1> 2> "


def test_a_command_that_fails_is_a_failure_of_the_conversation() -> None:
    def fail() -> None:
        raise KeyError("no")

    with drive(Conversation(Commands({"fail": fail}).serve)) as visitor:
        visitor.send(b"fail\n")
        assert (visitor.outcome, type(visitor.error)) == ("failed", KeyError)


def test_a_wild_guess_takes_no_time() -> None:
    with drive(Conversation(Commands(TABLE).serve, longest=10**6)) as visitor:
        visitor.send(b"x" * 10**6 + b"\n")
        assert "There is no command 'xxxxxx" in shown(visitor)


# -- telnet around a part -----------------------------------------------------------------------------


def test_a_part_gets_lines_and_its_texts_are_shown() -> None:
    with drive(Telnet(Map(str.upper))) as visitor:
        visitor.send(b"on", b"e\r\ntw\x7fwo\xff\xf6\r", b"\nthr\x1bee")
        # That somebody is there is said at once, and not when the part comes to it.
        assert visitor.take_all() == [b"\r\n[yes]\r\n", b"ONE\r\n", b"TWO\r\n"]
        visitor.close()
        assert (visitor.take_all(), visitor.outcome) == ([b"THREE\r\n"], "ended")


def test_a_part_that_has_said_all_ends_it() -> None:
    @component
    async def once(inbox: Any, outbox: Any) -> None:
        await outbox.send("only " + await inbox.receive())

    with drive(Telnet(once, end="!\n")) as visitor:
        visitor.send(b"one\ntwo\n")
        assert (visitor.take_all(), visitor.outcome) == ([b"only one!\r\n"], "ended")


def test_who_goes_is_at_the_end_of_what_was_typed() -> None:
    with drive(Telnet(Map(str.upper))) as visitor:
        visitor.send(b"one\n\x04two\n")
        assert (visitor.take_all(), visitor.outcome) == ([b"ONE\r\n"], "ended")


def test_a_connection_that_breaks_has_failed_for_the_part() -> None:
    causes: list[Any] = []

    class Listens(Component):
        async def main(self) -> None:
            try:
                await self.inbox.receive()
            except Exception as error:
                causes.append(error.__cause__)
                raise

    with drive(Telnet(Listens)) as visitor:
        visitor.fail(ConnectionResetError())
        assert visitor.outcome in ("broken", "cancelled")
    assert [type(cause) for cause in causes] == [ConnectionResetError]


def test_neither_who_types_nor_who_shows_much_holds_up_the_other() -> None:
    with drive(Telnet(Map(str.upper)), sizes={"outbox": 1}) as visitor:
        visitor.send(b"a\n" * 1000)
        assert len(visitor.take_all()) == 1000


def test_it_may_be_a_room() -> None:
    with drive(Telnet(Join("talk"))) as visitor:
        visitor.send(b"hello\r\n")
        assert visitor.take_all() == [b"hello\r\n"]
