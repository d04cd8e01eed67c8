"""Command with real programs: what goes in and comes out, how it all ends, and that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, background, component, run
from kamaelia.axon import (
    ComponentsFailed,
    GraceExceeded,
    SourceFailed,
    UsageError,
    VirtualLoop,
    make,
)
from kamaelia.chassis import Retry, Supervisor
from kamaelia.chassis.restart import Backoff
from kamaelia.flow import Collect, Lines, Null, Source, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.process import Command, CommandFailed, ExitStatus
from kamaelia.process import command as command_module
from kamaelia.process import program as program_module

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks into Linux's /proc")

SOURCE = Path(__file__).resolve().parents[2] / "src"
LIMIT = 20.0  # seconds until a test that waits for a process gives up
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"  # a shell that has to be killed


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop"))])
def loop(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The option for `run` and `background` that has them use a loop, of each kind there is."""
    if request.param == "asyncio":
        return {"loop_factory": asyncio.new_event_loop}
    return {"loop_factory": importlib.import_module("uvloop").new_event_loop}


def children() -> set[int]:
    """Return the processes that this one has and has not reaped yet."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture(scope="module", autouse=True)
def what_stays_open() -> None:
    """The first loop of uvloop's in a process opens a pipe that stays."""
    run(Source([]))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """After every test there are no more processes, descriptors and threads than before."""
    gc.collect()
    before = children(), descriptors(), set(threading.enumerate())
    yield
    gc.collect()
    assert children() <= before[0]
    assert descriptors() <= before[1]
    assert set(threading.enumerate()) <= before[2]


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped, by whoever it belongs to, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def group_of(leader: int) -> set[int]:
    """Return the processes of a group that run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == leader and fields[0] not in "ZX":
                    found.add(int(entry.name))
    return found


def wait_until(is_so: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not is_so():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.005)


def failure_of(*systems: Any, **options: Any) -> Exception:
    """Run what is to fail with one failure; return that."""
    with pytest.raises(ComponentsFailed) as raised:
        run(*systems, **options)
    (failure,) = raised.value.exceptions
    return failure


class Fails(Component):
    """Sends something, and then fails."""

    inbox = None

    def __init__(self, *messages: Any) -> None:
        self.messages = messages

    async def main(self) -> None:
        for message in self.messages:
            await self.outbox.send(message)
        raise ValueError("no more")


class Keeps(Component):
    """Keeps what it receives, and how that ended."""

    outbox = None

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.end: Any = None
        self.has_begun = asyncio.Event()

    async def main(self) -> None:
        try:
            async for message in self.inbox:
                self.seen.append(message)
                self.has_begun.set()
        except SourceFailed as error:
            self.end = error.__cause__
            raise


# --- bytes in, bytes out --------------------------------------------------------------------------


def test_what_goes_in_comes_out_whole_and_in_order(loop: dict[str, Any]) -> None:
    pieces = [bytes([number % 256]) * (number * 997 % 70_000) for number in range(200)]
    got = run(Source(pieces) | Command("cat") | Collect(), **loop)
    assert b"".join(got) == b"".join(pieces)
    assert max(map(len, got)) <= 64 * 1024


def test_one_message_may_be_larger_than_every_buffer(loop: dict[str, Any]) -> None:
    message = os.urandom(3_000_000)
    assert b"".join(run(Source([message]) | Command("cat") | Collect(), **loop)) == message


def test_all_kinds_of_bytes_are_taken() -> None:
    pieces = [b"one", bytearray(b"two"), memoryview(b"three"), b"", memoryview(b"0123456789")[::1]]
    assert b"".join(run(Source(pieces) | Command("cat") | Collect())) == b"onetwothree0123456789"


def test_a_program_without_a_source_has_an_empty_standard_input(loop: dict[str, Any]) -> None:
    assert run(Command("readlink", "/proc/self/fd/0") | Collect(), **loop) == [b"/dev/null\n"]
    assert run(Command("cat") | Collect(), **loop) == []


def test_a_source_that_sends_nothing_is_the_end_of_standard_input(loop: dict[str, Any]) -> None:
    assert run(Source([]) | Command("wc", "-c") | Collect(), **loop) == [b"0\n"]


def test_output_without_an_end_of_line_is_output() -> None:
    assert run(Command("printf", "a\\nb") | Collect()) == [b"a\nb"]
    assert run(Command("printf", "a\\nb") | Lines() | Collect()) == ["a", "b"]


def test_the_result_is_the_status_which_is_a_message_as_well() -> None:
    made = Command("true")
    assert run(made) == ExitStatus(code=0)
    keeps = Keeps()
    run(Graphline(Command("sh", "-c", "exit 3", check=False).status >> keeps.inbox))
    assert keeps.seen == [ExitStatus(code=3)]


def test_standard_error_has_a_box_of_its_own() -> None:
    program = Command(shell="echo out; printf 'err\\nno end' >&2").named("program")
    out, err = Keeps().named("out"), Keeps().named("err")
    run(Graphline(program.outbox >> out.inbox, program.errors >> err.inbox))
    assert (b"".join(out.seen), b"".join(err.seen)) == (b"out\n", b"err\nno end")


def test_no_shell_looks_at_the_words() -> None:
    words = ["$HOME", "*", "a b", "'", ";", "{x}", "\N{SNOWMAN}", ""]
    got = run(Command("printf", "%s\\n", *words) | Collect())
    assert b"".join(got).decode().split("\n") == [*words, ""]


def test_words_are_str_bytes_or_paths(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\xff")
    assert b"".join(run(Command(Path("/bin/cat"), file, os.fsencode(file)) | Collect())) == b"\xff\xff"


def test_a_line_for_the_shell_takes_words_as_its_parameters(tmp_path: Path) -> None:
    file = tmp_path / "it's; a $name"
    file.write_text("b\na\nb\n")
    command = Command(file, "-r", shell='sort "$2" < "$1" | uniq')
    assert run(command | Collect()) == [b"b\na\n"]


def test_the_folder_and_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("GONE", "2")
    show = 'echo "$PWD $KEPT $GONE $NEW"'
    got = run(Command(shell=show, cwd=tmp_path, env={"NEW": "3", "GONE": None}) | Collect())
    assert got == [f"{tmp_path} 1  3\n".encode()]
    assert run(Command("/usr/bin/env", env={"ONLY": "this"}, keep_env=False) | Collect()) == [b"ONLY=this\n"]


def test_a_program_is_found_on_the_path_that_it_is_given(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert run(Command("tool", env={"PATH": str(tmp_path)}) | Collect()) == [b"found\n"]
    assert run(Command("./tool", cwd=tmp_path) | Collect()) == [b"found\n"]


def test_a_program_gets_nothing_but_its_pipes_and_two_leashes() -> None:
    got = run(Source([]) | Command("ls", "-l", "/proc/self/fd") | Lines() | Collect())
    ends = {line.split()[8]: line.split()[10] for line in got if "->" in line}
    assert [ends[number].split(":")[0] for number in "012"] == ["pipe"] * 3
    others = [end for number, end in ends.items() if number not in "012" and "/fd" not in end]
    assert [end.partition(":")[0] for end in others] == ["pipe"] * 2
    assert len({*others, *(ends[number] for number in "012")}) == 5


def test_signals_that_python_ignores_are_as_usual_in_a_program(loop: dict[str, Any]) -> None:
    words = ("grep", "-E", "^Sig(Ign|Blk)", "/proc/self/status")
    usual = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    assert run(Command(*words) | Lines() | Collect(), **loop) == usual


# --- more pipes -----------------------------------------------------------------------------------


def test_more_pipes_have_boxes_of_their_names(loop: dict[str, Any]) -> None:
    mix = Command(
        shell="cat {music} {speech}; echo loud > {peaks}; cat",
        pipes={"music": "in", "speech": "in", "peaks": "out"},
    ).named("mix")
    music, speech, text = Source([b"la ", b"la "]), Source([b"word "]), Source([b"end"])
    out, peaks = Keeps().named("out"), Keeps().named("peaks")
    run(
        Graphline(
            music.outbox >> mix.music,
            speech.outbox >> mix.speech,
            text.outbox >> mix.inbox,
            mix.outbox >> out.inbox,
            mix.peaks >> peaks.inbox,
        ),
        **loop,
    )
    assert b"".join(out.seen) == b"la la word end"
    assert b"".join(peaks.seen) == b"loud\n"


def test_another_pipe_carries_much_both_ways(loop: dict[str, Any]) -> None:
    data = os.urandom(2_000_000)
    copy = Command("cp", "{there}", "{back}", pipes={"there": "in", "back": "out"}).named("copy")
    back = Keeps()
    run(Graphline(Source([data]).outbox >> copy.there, copy.back >> back.inbox), **loop)
    assert b"".join(back.seen) == data


def test_a_command_with_pipes_is_its_own_pattern() -> None:
    retry = Retry(Command("cat", b"{there}", pipes={"there": "in"}))
    out = Keeps()
    run(Graphline(Source([b"data"]).outbox >> retry.there, retry.outbox >> out.inbox))
    assert out.seen == [b"data"]


def test_when_one_of_two_readers_has_gone_sigpipe_is_no_failure() -> None:
    both = Command(shell="echo a; exec yes > {more}", pipes={"more": "out"}, check=True).named("both")
    out, more, status = Keeps().named("out"), Take(1).named("more"), Keeps().named("status")
    run(Graphline(both.outbox >> out.inbox, both.more >> more.inbox, both.status >> status.inbox))
    assert (out.seen, out.end) == ([b"a\n"], None)
    assert status.seen == [ExitStatus(signal="SIGPIPE")]


# --- how a program ends ---------------------------------------------------------------------------


def test_another_exit_code_than_0_is_a_failure_with_the_last_words(loop: dict[str, Any]) -> None:
    keeps = Keeps()
    failure = failure_of(
        Command("sh", "-c", "echo out; printf 'one\\n\\ntwo\\033[1m' >&2; exit 3") | keeps, **loop
    )
    assert isinstance(failure, CommandFailed)
    assert str(failure) == (
        r"""Pipeline/Command: sh -c 'echo out; printf '"'"'one\n\ntwo\033[1m'"'"' >&2; ... has ended: """
        "exit code 3; its last words: one | two\ufffd[1m. If that is no failure, say so: check={0, 3}"
    )
    assert (failure.status, failure.errors) == (ExitStatus(code=3), "one | two\ufffd[1m")
    assert keeps.seen == [b"out\n"] and keeps.end is failure


def test_a_program_that_is_killed_has_failed(loop: dict[str, Any]) -> None:
    failure = failure_of(Command("sh", "-c", "kill -KILL $$"), **loop)
    assert str(failure) == (
        "Command: sh -c 'kill -KILL $$' has ended: killed by SIGKILL. "
        "If that is no failure, say so: check=False"
    )
    assert failure.status == ExitStatus(signal="SIGKILL")  # type: ignore[attr-defined]
    assert run(Command("sh", "-c", "kill -40 $$", check=False), **loop) == ExitStatus(signal="signal 40")


def test_which_exit_codes_are_good_can_be_said() -> None:
    assert run(Command("grep", "foo", "/dev/null", check={0, 1})) == ExitStatus(code=1)
    assert run(Command("grep", "foo", "/dev/null", check=False)) == ExitStatus(code=1)
    failure = failure_of(Command("false", check=[0, 2]))
    assert str(failure).endswith("exit code 1. If that is no failure, say so: check={0, 1, 2}")
    assert "check=False" in str(failure_of(Command("sh", "-c", "kill -9 $$", check={9})))


def test_of_many_last_words_a_few_are_kept() -> None:
    failure = failure_of(Command("sh", "-c", "seq 100000 >&2; exit 1"))
    assert failure.errors == " | ".join(str(n) for n in range(99991, 100001))  # type: ignore[attr-defined]
    failure = failure_of(Command("sh", "-c", "yes | tr -d '\\n' | head -c 100000 >&2; exit 1"))
    assert failure.errors == "y" * 4096  # type: ignore[attr-defined]


def test_what_a_program_complains_of_is_logged_if_nobody_hears_it(caplog: pytest.LogCaptureFixture) -> None:
    run(Command("sh", "-c", "echo careful >&2"))
    assert caplog.messages == [
        "Command: sh -c 'echo careful >&2' has ended well, but wrote 8 bytes to standard error: careful"
    ]
    caplog.clear()
    program, keeps = Command("sh", "-c", "echo careful >&2").named("program"), Keeps()
    run(Graphline(program.errors >> keeps.inbox))
    assert (keeps.seen, caplog.messages) == ([b"careful\n"], [])


def test_a_full_disk_is_the_programs_failure() -> None:
    failure = failure_of(Source([b"data"]) | Command(shell="cat > /dev/full"))
    assert failure.status == ExitStatus(code=1)  # type: ignore[attr-defined]
    assert "No space left on device" in str(failure)


def test_a_file_that_has_vanished_is_the_programs_failure(tmp_path: Path) -> None:
    failure = failure_of(Command("cat", tmp_path / "gone") | Collect())
    assert "No such file or directory" in str(failure)


def test_everything_written_before_a_program_dies_is_delivered(loop: dict[str, Any]) -> None:
    # More than the reader's mark is in the pipe when the program is killed, and the reader is slow.
    @component
    async def slow(inbox: Inbox[bytes], outbox: Outbox[int]) -> int:
        total = 0
        try:
            async for data in inbox:
                await asyncio.sleep(0.002)
                total += len(data)
        except SourceFailed as error:
            assert isinstance(error.__cause__, CommandFailed)
            totals.append(total)
            raise

    totals: list[int] = []
    reader = slow()
    reader.inbox.resize("64 KiB")
    program = Command("sh", "-c", "head -c 1000000 /dev/zero; kill -KILL $$", grace=0)
    failure_of(program | reader, **loop)
    assert totals == [1_000_000]


def test_the_status_comes_after_the_output(loop: dict[str, Any]) -> None:
    class Both(Component):
        more = Inbox[Any]("the status")

        async def main(self) -> list[Any]:
            async for message in self.inbox:
                seen.append(message)
            return seen

    seen: list[Any] = []
    program, both = Command("echo", "a").named("program"), Both()
    run(Graphline(program.outbox >> both.inbox, program.status >> both.inbox), **loop)
    assert seen == [b"a\n", ExitStatus(code=0)]


def test_a_status_that_somebody_else_has_taken_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.waitpid

    def taken(pid: int, options: int) -> Any:
        real(pid, 0)
        raise ChildProcessError

    monkeypatch.setattr(program_module.os, "waitpid", taken)
    assert "an exit status that nobody knows" in str(failure_of(Command("true")))


# --- programs that cannot be started --------------------------------------------------------------


def unstartable(tmp_path: Path) -> dict[str, tuple[Command, type[Exception], str]]:
    script, orphan, nonsense, folder = (tmp_path / name for name in ("script", "orphan", "nonsense", "dir"))
    script.write_text("#!/bin/sh\n")
    orphan.write_text("#!/no/such/python3 -u\n")
    nonsense.write_text("gibberish")
    folder.mkdir()
    orphan.chmod(0o755)
    nonsense.chmod(0o755)
    path = {"PATH": f"{tmp_path}:/nowhere"}
    return {
        "unknown": (
            Command("qqqqq"),
            FileNotFoundError,
            "there is no program 'qqqqq' on PATH: install it, or give its path",
        ),
        "nearly": (
            Command("scrpt", env=path),
            FileNotFoundError,
            "there is no program 'scrpt' on PATH: did you mean 'script'?",
        ),
        "line": (
            Command("ls -l"),
            FileNotFoundError,
            "there is no program 'ls -l' on PATH: give its words one by one, Command('ls', '-l'), or have a "
            "shell read them, Command(shell='ls -l')",
        ),
        "file": (
            Command("/no/such"),
            FileNotFoundError,
            "there is no file '/no/such': check how it is spelt",
        ),
        "script": (
            Command(script),
            PermissionError,
            f"this user may not run '{script}': make it executable (chmod +x), or check its rights",
        ),
        "script on PATH": (
            Command("script", env=path),
            PermissionError,
            f"this user may not run '{script}': make it executable (chmod +x), or check its rights",
        ),
        "folder": (Command(folder), PermissionError, f"'{folder}' is a folder, and no program"),
        "orphan": (
            Command(orphan),
            FileNotFoundError,
            f"'{orphan}' is there, but what is to run it is not: see its first line, '#!/no/such/python3 -u'",
        ),
        "nonsense": (
            Command(nonsense),
            OSError,
            f"'{nonsense}' is nothing that this machine can run; a script begins with a line such as "
            "#!/bin/sh",
        ),
        "cwd": (
            Command("ls", cwd="/no/such"),
            FileNotFoundError,
            "the folder to run it in, '/no/such', is not there: check cwd=",
        ),
        "cwd is a file": (
            Command("ls", cwd=script),
            NotADirectoryError,
            f"the folder to run it in, '{script}', is no folder: check cwd=",
        ),
        "long": (
            Command("ls", "x" * 3_000_000),
            OSError,
            "'ls' cannot be started: Argument list too long",
        ),
    }


def test_why_a_program_cannot_be_started_is_said(tmp_path: Path) -> None:
    for name, (command, kind, text) in unstartable(tmp_path).items():
        keeps = Keeps()
        failure = failure_of(command | keeps)
        assert (name, type(failure), str(failure)) == (name, kind, f"Pipeline/Command: {text}")
        assert failure.errno is not None  # type: ignore[attr-defined]
        assert keeps.end is failure


def test_without_descriptors_it_fails_and_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = os.pipe, 0

    def pipe() -> tuple[int, int]:
        nonlocal count
        count += 1
        if count == 3:  # the leash, standard output, ...
            raise OSError(24, "Too many open files")
        return real()

    monkeypatch.setattr(os, "pipe", pipe)
    failure = failure_of(Command("true"), loop_factory=asyncio.new_event_loop)
    assert str(failure) == "Command: 'true' cannot be started: Too many open files"


def test_in_virtual_time_no_program_runs() -> None:
    failure = failure_of(Command("sort", "-n"), loop_factory=VirtualLoop)
    assert isinstance(failure, UsageError)
    assert str(failure) == (
        "Command is to run sort -n, but a program runs in real time, and this system in virtual time: "
        "put a component in its place that does the like"
    )


def test_elsewhere_than_on_unix_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(command_module.os, "name", "nt")
        failure = failure_of(Command("sort"))
    assert str(failure) == "Command: Command runs programs on Unix only (Linux, macOS)"


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Command(), TypeError, 'Command(): give a program, as in Command("sort", "-n")'),
        (lambda: Command(""), ValueError, "Command(''): give the name of a program"),
        (
            lambda: Command("head", "-n", 3),  # type: ignore[arg-type]
            TypeError,
            "Command(..., 3): a word of a command line is str, bytes or a path; write '3'",
        ),
        (
            lambda: Command("a\0b"),
            ValueError,
            r"Command(..., 'a\x00b'): no word of a command line has a null byte in it",
        ),
        (
            lambda: Command("a", b"\0"),
            ValueError,
            r"Command(..., b'\x00'): no word of a command line has a null byte in it",
        ),
        (
            lambda: Command(shell=["ls"]),  # type: ignore[arg-type]
            TypeError,
            "Command(shell=['ls']): give a line for /bin/sh, as in 'grep foo | sort'",
        ),
        (lambda: Command(shell=" "), ValueError, "Command(shell=' '): give a line for /bin/sh"),
        (lambda: Command(shell="a\0"), ValueError, "no word of a command line has a null byte in it"),
        (lambda: Command("ls", cwd=3), TypeError, "Command(cwd=3): give a folder, as str or path"),  # type: ignore[arg-type]
        (lambda: Command("ls", cwd=""), ValueError, "Command(cwd=''): give a folder"),
        (
            lambda: Command("ls", env="A=1"),  # type: ignore[arg-type]
            TypeError,
            "Command(env='A=1'): give variables and their values, as in {'LANG': 'C'}",
        ),
        (
            lambda: Command("ls", env={"A": 1}),  # type: ignore[dict-item]
            TypeError,
            "Command(env={'A': 1}): 'A': 1 is not two str (or None for none)",
        ),
        (
            lambda: Command("ls", env={"A=B": "1"}),
            ValueError,
            "Command(env={'A=B': '1'}): 'A=B': '1' can be no variable and its value",
        ),
        (
            lambda: Command("ls", keep_env={"A": "1"}),  # type: ignore[arg-type]
            TypeError,
            "Command(keep_env={'A': '1'}): give True or False",
        ),
        (
            lambda: Command("ls", check="no"),  # type: ignore[arg-type]
            TypeError,
            "Command(check='no'): give True, False, or good codes, as in {0, 1}",
        ),
        (
            lambda: Command("ls", check={0, 300}),
            ValueError,
            "Command(check={0, 300}): give one code or more, from 0 to 255",
        ),
        (lambda: Command("ls", check=set()), ValueError, "give one code or more"),
        (
            lambda: Command("ls", stop_signal="INT"),  # type: ignore[arg-type]
            TypeError,
            "Command(stop_signal='INT'): give a signal, such as signal.SIGINT",
        ),
        (lambda: Command("ls", stop_signal=500), ValueError, "Command(stop_signal=500): there is no such"),
        (
            lambda: Command("ls", grace=-1),
            ValueError,
            "Command(grace=-1): give the seconds before it is killed, 0 or more",
        ),
        (
            lambda: Command("ls", pipes=["a"]),  # type: ignore[arg-type]
            TypeError,
            "Command(pipes=['a']): give names with 'in' or 'out', as in {'music': 'in'}",
        ),
        (
            lambda: Command("ls", pipes={"a b": "in"}),
            ValueError,
            "Command(pipes={'a b': 'in'}): 'a b' is to be the name of a box, and is no name",
        ),
        (
            lambda: Command("ls", "{path}", pipes={"path": "in"}),
            ValueError,
            "Command(pipes={'path': 'in'}): 'path' is something else of a Command: choose another name",
        ),
        (lambda: Command("ls", "{errors}", pipes={"errors": "in"}), ValueError, "'errors' is something else"),
        (
            lambda: Command("ls", "{a}", pipes={"a": "both"}),  # type: ignore[dict-item]
            ValueError,
            "Command(pipes={'a': 'both'}): a is 'both': say 'in' if the program reads it, or 'out'",
        ),
        (
            lambda: Command("ls", "a", pipes={"a": "in"}),
            ValueError,
            "Command(pipes={'a': 'in'}): no word of the command has {a} in it, which stands for the file",
        ),
    ],
)
def test_arguments_are_checked_when_it_is_made(
    make: Callable[[], object], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as raised:
        make()
    assert text in str(raised.value)
    assert str(raised.value).startswith("Command(")


# --- the end, and failure, of what feeds it -------------------------------------------------------


def test_a_program_never_takes_a_failure_for_the_end_of_its_input(
    tmp_path: Path, loop: dict[str, Any]
) -> None:
    keeps, done = Keeps(), tmp_path / "done"
    command = Command(done, shell='cat; echo all > "$1"')
    failure = failure_of(Fails(b"half") | command | keeps, **loop)
    assert isinstance(failure, ValueError)
    assert (keeps.seen, keeps.end) == ([b"half"], failure)
    assert not done.exists()


def test_a_program_that_asks_for_time_gets_it_before_it_is_killed(tmp_path: Path) -> None:
    keeps, done = Keeps(), tmp_path / "done"
    command = Command(done, shell='trap "echo bye; exit" TERM; echo "$$"; cat; sleep 1000; echo all > "$1"')
    failure_of(Fails(b"half") | command | keeps)
    assert b"".join(keeps.seen).endswith(b"bye\n")
    assert not done.exists()


def test_messages_that_are_no_bytes_are_refused(loop: dict[str, Any]) -> None:
    failure = failure_of(Source([b"a", "b"]) | Command("cat") | Null(), **loop)
    assert isinstance(failure, TypeError)
    assert str(failure) == "Pipeline/Command takes bytes, but got 'b'; put Encode() before it"


def test_a_program_that_closes_its_input_early_is_no_failure(loop: dict[str, Any]) -> None:
    class Endless(Component):
        inbox = None

        async def main(self) -> None:
            while True:
                await self.outbox.send(b"line\n" * 1000)

    head = Command("head", "-n", "3")
    assert run(Endless() | head | Collect(), **loop) == [b"line\nline\nline\n"]
    assert head.inbox.unread > 0


def test_a_message_that_was_only_half_read_is_unread(loop: dict[str, Any]) -> None:
    command = Command("sleep", "0.05")
    run(Source([bytes(1_000_000)]) | command, **loop)
    assert command.inbox.unread == 1


def test_what_is_sent_when_the_program_has_just_closed_its_input_is_no_failure(loop: dict[str, Any]) -> None:
    class Late(Component):
        inbox = None

        async def main(self) -> None:
            while program.pid is None:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await self.outbox.send(b"go\n")
            await asyncio.sleep(0)  # now that is written
            standard_input = Path(f"/proc/{program.pid}/fd/0")
            wait_until(lambda: not os.path.lexists(standard_input), "it closes its input")
            await self.outbox.send(b"too late\n")  # the loop has not seen it yet

    program = Command(shell="read line; exec <&-; sleep 0.1; echo end")
    assert run(Late() | program | Collect(), slow_step=0, **loop) == [b"end\n"]


def test_a_source_that_has_failed_at_once_starts_nothing(tmp_path: Path) -> None:
    keeps, done = Keeps(), tmp_path / "done"
    failure = failure_of(Fails() | Command("touch", done) | keeps)
    assert keeps.end is failure and not done.exists()


def test_who_feeds_a_silent_program_hears_of_the_end_of_its_input(
    tmp_path: Path, loop: dict[str, Any]
) -> None:
    # It closes its standard input and goes on; nothing is on its way at that moment.
    ended: list[str] = []

    class Waits(Component):
        never = Inbox[Any]("nothing comes here", held=True)

        async def main(self) -> None:
            await self.outbox.send(b"go\n")
            try:
                await self.never.receive()
            finally:
                ended.append("source")

    class Ends(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                pass
            ended.append("program")

    source, ends, go_on = Waits(), Ends(), tmp_path / "go on"
    program = Command(go_on, shell='read line; exec <&-; until [ -e "$1" ]; do sleep 0.02; done')
    with background(Graphline(source.outbox >> program.inbox, program.outbox >> ends.inbox), **loop):
        wait_until(lambda: ended == ["source"], "the source hears of it")
        assert program.pid is not None
        go_on.touch()
    assert ended == ["source", "program"]


# --- readers that go, or are slow -----------------------------------------------------------------


def test_two_commands_are_as_on_a_shell_line(loop: dict[str, Any]) -> None:
    yes, status = Command("yes"), Keeps()
    head = Command("head", "-n", "3")
    out = Keeps().named("out")
    run(
        Graphline(yes.outbox >> head.inbox, head.outbox >> out.inbox, yes.status >> status.inbox),
        **loop,
    )
    assert out.seen == [b"y\ny\ny\n"]
    assert status.seen == [ExitStatus(signal="SIGPIPE")]


def test_a_program_that_nobody_listens_to_any_more_gets_sigpipe(
    loop: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(Command("yes") | Take(1) | Collect(), **loop)[0][:4] == b"y\ny\n"
    # One that does not know SIGPIPE fails, at what it writes next: that is no failure either.
    endless = "import sys\nwhile True: print('y'); sys.stdout.flush()"
    assert run(Command(sys.executable, "-c", endless) | Take(1) | Null(), **loop) is None
    assert caplog.messages == []


def test_a_silent_program_that_nobody_listens_to_is_ended(loop: dict[str, Any]) -> None:
    began = time.monotonic()
    program, status = Command(shell="echo one; exec sleep 1000", grace=0.1), Keeps()
    run(Graphline(program.outbox >> Take(1).inbox, program.status >> status.inbox), **loop)
    assert status.seen == [ExitStatus(signal="SIGTERM")]
    assert 0.1 <= time.monotonic() - began < 5


def test_a_program_may_end_by_itself_when_nobody_listens(tmp_path: Path) -> None:
    done = tmp_path / "done"
    program, status = Command(done, shell='echo one; sleep 0.1; touch "$1"'), Keeps()
    run(Graphline(program.outbox >> Take(1).inbox, program.status >> status.inbox))
    assert (status.seen, done.exists()) == ([ExitStatus(code=0)], True)


def test_who_feeds_a_program_that_nobody_listens_to_is_told_at_once(tmp_path: Path) -> None:
    runs: list[bool] = []

    class Endless(Component):
        inbox = None

        async def main(self) -> None:
            try:
                while True:
                    await self.outbox.send(b"line\n")
            finally:
                runs.append(program.pid is not None)
                told.touch()

    told = tmp_path / "told"
    program = Command(told, shell='head -n 1; until [ -e "$1" ]; do sleep 0.02; done', grace=60)
    run(Endless() | program | Take(1) | Null())
    assert runs == [True]


def test_output_that_nothing_is_linked_to_is_discarded(caplog: pytest.LogCaptureFixture) -> None:
    assert run(Command("echo", "hi")) == ExitStatus(code=0)
    assert caplog.messages == ["1 message from Command went nowhere: add | Collect()"]
    assert run(Command("seq", "100000")) == ExitStatus(code=0)


def test_nobody_at_standard_error_is_no_reason_to_end() -> None:
    program, out = Command(shell="echo >&2; read line; seq 100000 >&2 || exit 3; echo end"), Keeps()

    class Leaves(Component):
        async def main(self) -> None:
            await self.inbox.receive()

    class Then(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                pass
            await self.outbox.send(b"go on\n")

    leaves, then = Leaves(), Then()
    run(
        Graphline(
            program.errors >> leaves.inbox,
            leaves.outbox >> then.inbox,
            then.outbox >> program.inbox,
            program.outbox >> out.inbox,
        )
    )
    assert out.seen == [b"end\n"]


def written_by(pid: int) -> int:
    """Return how many bytes a process has written in its life."""
    return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])


def test_a_slow_reader_makes_the_program_wait(loop: dict[str, Any]) -> None:
    class Slow(Component):
        inbox = Inbox[bytes]("what the program writes", size="128 KiB")
        go_on = Inbox[Any]("the word to read")

        async def main(self) -> int:
            await self.go_on.receive()
            return sum([len(data) async for data in self.inbox])

    slow, total = Slow(), 3_000_000
    program = Command("head", "-c", str(total), "/dev/zero").named("program")

    class Front(Component):
        def __init__(self) -> None:
            self.add(program)
            self.add(slow)
            self.link(program.outbox, slow.inbox)
            self.link(self.inbox, slow.go_on)

    with background(Front(), **loop) as handle:
        wait_until(lambda: slow.inbox.statistics().waiting >= 128 * 1024, "the reader has enough")
        pid = program.pid
        assert pid is not None
        wait_until(lambda: "pipe" in Path(f"/proc/{pid}/wchan").read_text(), "the program waits")
        # In the inbox to its mark, and one piece more; in the pipe what that holds.
        assert written_by(pid) <= (128 + 64 + 256 + 64) * 1024
        handle.send("go on")
        wait_until(lambda: program.pid is None, "the program goes on")
    assert slow._axon.result == total


def test_a_slow_reader_of_standard_error_makes_the_program_wait() -> None:
    class Slow(Component):
        inbox = Inbox[bytes]("what the program complains of", size=1)

        async def main(self) -> int:
            total = 0
            async for data in self.inbox:
                await asyncio.sleep(0.001)
                total += len(data)
            return total

    program, slow = Command("sh", "-c", "head -c 2000000 /dev/zero >&2"), Slow()
    run(Graphline(program.errors >> slow.inbox))
    assert slow._axon.result == 2_000_000
    assert slow.inbox.statistics().peak <= 2


def test_a_slow_program_makes_who_feeds_it_wait(tmp_path: Path, loop: dict[str, Any]) -> None:
    sent = 0

    class Feeds(Component):
        inbox = None

        async def main(self) -> None:
            nonlocal sent
            for _ in range(200):
                await self.outbox.send(bytes(10_000))
                sent += 10_000

    go_on, out = tmp_path / "go on", Keeps()
    program = Command(go_on, shell='until [ -e "$1" ]; do sleep 0.02; done; wc -c')
    feeds = Feeds()
    with background(Graphline(feeds.outbox >> program.inbox, program.outbox >> out.inbox), **loop):
        wait_until(lambda: program.inbox.statistics().senders == 1, "the source waits")
        # In the inbox to its mark, in the pipe what that holds, and a message half written.
        assert 256 * 1024 <= sent <= 2 * 256 * 1024 + 3 * 10_000
        assert program.inbox.statistics().waiting <= 256 * 1024 + 10_000
        go_on.touch()
        wait_until(lambda: program.pid is None, "the program goes on")
    assert out.seen == [b"2000000\n"]


# --- a stop, and being cancelled ------------------------------------------------------------------


def test_a_stop_ends_a_program_without_input(loop: dict[str, Any]) -> None:
    keeps = Keeps()
    program = Command(shell="trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.02; done")
    with background(program | keeps, **loop):
        wait_until(lambda: keeps.seen == [b"ready\n"], "the program runs")
    # Its last words are there, an end and no failure; its exit code is that of a program that was stopped.
    assert (b"".join(keeps.seen), keeps.end) == (b"ready\nbye\n", None)


def test_a_stop_lets_a_program_finish_what_it_was_given(loop: dict[str, Any]) -> None:
    with background(Command(shell="sort; sleep 0.1; echo end") | Collect(), **loop) as handle:
        handle.send(b"b\n")
        handle.send(b"a\n")
    assert b"".join(handle.result) == b"a\nb\nend\n"


def test_a_stop_lets_a_program_finish_whose_input_has_ended_before() -> None:
    keeps = Keeps()
    program = Command(shell="cat; sleep 0.2; echo end")
    with background(Source([b"all\n"]) | program | keeps):
        wait_until(lambda: keeps.seen == [b"all\n"], "its input is over")
    assert (keeps.seen, keeps.end) == ([b"all\n", b"end\n"], None)


@pytest.mark.parametrize("source", [Source([]), Source([], then="stay"), None], ids=repr)
def test_a_stop_ends_a_program_that_was_given_nothing(source: Any) -> None:
    status = Keeps()
    program = Command("sleep", "1000")
    links = [program.status >> status.inbox]
    if source is not None:
        links.append(make(source).outbox >> program.inbox)
    with background(Graphline(*links)):
        wait_until(lambda: program.pid, "the program runs")
    assert status.seen == [ExitStatus(signal="SIGTERM")]


def test_a_program_that_takes_too_long_at_a_stop_is_ended(loop: dict[str, Any]) -> None:
    keeps = Keeps()
    command = Command(shell="cat; exec sleep 1000")
    with pytest.raises(GraceExceeded, match=r"Pipeline/Command: command\.py"):
        with background(command | keeps, grace=0.2, **loop) as handle:
            handle.send(b"ready\n")
            wait_until(lambda: keeps.seen == [b"ready\n"], "the program runs")
    assert keeps._axon.outcome == command._axon.outcome == "cancelled"


def test_a_stubborn_program_is_killed_with_all_that_it_has_started(loop: dict[str, Any]) -> None:
    keeps, status = Keeps(), Keeps().named("status")
    program = Command(shell=f"({STUBBORN}) & (trap '' TERM; sleep 1000 >/dev/null) & {STUBBORN}", grace=0.1)
    began = time.monotonic()
    with background(Graphline(program.outbox >> keeps.inbox, program.status >> status.inbox), **loop):
        wait_until(lambda: b"".join(keeps.seen) == b"ready\nready\n", "all run")
        leader = program.pid
        assert leader is not None
        wait_until(lambda: len(group_of(leader)) >= 4, "all are there")
    assert group_of(leader) == set()
    assert status.seen == [ExitStatus(signal="SIGKILL")]
    assert time.monotonic() - began < 5


def test_the_signal_that_asks_it_to_end_can_be_chosen() -> None:
    keeps = Keeps()
    program = Command(
        shell="trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.02; done",
        stop_signal=signal.SIGINT,
    )
    with background(program | keeps):
        wait_until(lambda: keeps.seen, "the program runs")
    assert b"".join(keeps.seen) == b"ready\ninterrupted\n"


def test_at_a_stop_the_last_words_are_sent_also_to_a_slow_reader(loop: dict[str, Any]) -> None:
    @component
    async def slow(inbox: Inbox[bytes], outbox: Outbox[int]) -> int:
        total = 0
        async for data in inbox:
            ready.set()
            await asyncio.sleep(0.002)
            total += len(data)
        return total

    ready, reader = threading.Event(), slow()
    reader.inbox.resize("64 KiB")
    program = Command(
        shell="trap 'head -c 1000000 /dev/zero; exit' TERM; echo ready; while :; do sleep 0.02; done"
    )
    with background(program | reader, **loop) as handle:
        assert ready.wait(LIMIT)
    assert handle.result == len(b"ready\n") + 1_000_000


def test_when_it_is_cancelled_who_feeds_it_is_told_at_once(tmp_path: Path) -> None:
    runs: list[bool] = []

    class Endless(Component):
        inbox = None

        async def main(self) -> None:
            try:
                while True:
                    await self.outbox.send(b"line\n")
            finally:
                runs.append(program.pid is not None)
                told.touch()

    class Front(Component):
        def __init__(self) -> None:
            for one in (feeds, program, keeps):
                self.add(one)
            self.link(feeds.outbox, program.inbox)
            self.link(program.outbox, keeps.inbox)

        async def main(self) -> None:
            await keeps.has_begun.wait()
            program.cancel()

    feeds, keeps, told = Endless(), Keeps(), tmp_path / "told"
    wait = 'until [ -e "$1" ]; do sleep 0.02; done'
    program = Command(told, shell=f"trap '{wait}; exit' TERM; echo ready; {wait}", grace=60)
    run(Front())
    assert runs == [True]


def test_cancelled_while_it_ends_what_was_left_behind(
    loop: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    # What a shell ignores, those that it starts ignore from their first instant.
    program = Command(shell="trap '' TERM; sleep 1000 >/dev/null 2>&1 &", grace=1000)

    class Front(Component):
        def __init__(self) -> None:
            self.add(program)

        async def main(self) -> None:
            # Not before it is about that: cancelled earlier, it would first give them their grace.
            while not any("has left processes behind" in text for text in caplog.messages):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            program.cancel()

    began = time.monotonic()
    run(Front(), **loop)
    assert time.monotonic() - began < 5
    assert program._axon.outcome == "stopped"


@pytest.mark.parametrize("turns", [*range(6), 200])
def test_cancelled_at_any_moment_nothing_is_left(loop: dict[str, Any], turns: int) -> None:
    # 0: before its first step; then while it starts, and while it runs.
    command = Command("sleep", "1000")

    class Cancels(Component):
        async def main(self) -> None:
            child = self.add(command)
            for _ in range(turns):
                await asyncio.sleep(0)
            child.cancel()

    run(Cancels(), **loop)
    assert command._axon.outcome == "stopped"
    assert command.pid is None


def test_cancelled_twice_it_waits_for_nobody() -> None:
    keeps = Keeps()
    program = Command(shell=STUBBORN, grace=1000)
    began = time.monotonic()

    class Cancels(Component):
        told = Inbox[Any]("that the program runs")

        def __init__(self) -> None:
            self.add(program)
            self.add(keeps)
            self.link(program.outbox, keeps.inbox)

        async def main(self) -> None:
            await keeps.has_begun.wait()
            program.cancel()
            await asyncio.sleep(0.05)
            assert program.pid is not None
            program.cancel()

    run(Cancels())
    assert time.monotonic() - began < 5
    assert program._axon.outcome == "stopped"


def test_the_failure_of_another_kills_it_and_its_readers_see_no_end(loop: dict[str, Any]) -> None:
    keeps = Keeps()

    class FailsLater(Component):
        inbox = None

        async def main(self) -> None:
            await keeps.has_begun.wait()
            raise ValueError("elsewhere")

    failure = failure_of(Command(shell="echo ready; exec sleep 1000") | keeps, FailsLater(), **loop)
    assert keeps.end is failure


def test_a_program_that_may_not_be_killed_is_left_to_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, loop: dict[str, Any]
) -> None:
    def refuse(group: int, number: int) -> None:
        raise PermissionError

    real = os.killpg
    program = Command("sleep", "1000", grace=0.05)
    with pytest.raises(ComponentsFailed) as raised:
        with background(program, **loop):
            wait_until(lambda: program.pid, "the program runs")
            pid = program.pid
            monkeypatch.setattr(program_module.os, "killpg", refuse)
            # Here the leash would kill it. A program of another user it would not.
            left = program._program
            assert left is not None
            leashes, left._leashes = left._leashes, []
    text = (
        f"Command: sleep 1000 (process {pid}) runs as another user, and cannot be sent SIGTERM: "
        "it is left to itself"
    )
    assert caplog.messages == [text]
    assert repr(raised.value.exceptions[0]) == f"PermissionError({text!r})"
    assert pid is not None and is_alive(pid)
    real(pid, signal.SIGKILL)
    left._process.wait()
    for leash in leashes:
        os.close(leash)


# --- what a program leaves behind -----------------------------------------------------------------


def test_what_it_has_started_may_finish_what_it_says(loop: dict[str, Any]) -> None:
    command = Command(shell="(sleep 0.2; echo late) & echo early")
    assert b"".join(run(command | Collect(), **loop)) == b"early\nlate\n"


def test_what_it_has_started_is_ended_with_it(loop: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    # One holds the pipe open, and is given time; the other does not. Both end.
    for more, grace in (("", 0.1), (" >/dev/null 2>&1", 60)):
        caplog.clear()
        line = f"sleep 1000{more} & echo $!"
        got = run(Command(shell=line, grace=grace) | Collect(), **loop)
        assert not is_alive(int(b"".join(got)))
        assert caplog.messages == [
            f"Pipeline/Command: /bin/sh -c '{line}' has left processes behind, which are ended now"
        ]


def test_what_it_has_started_has_time_to_end(tmp_path: Path) -> None:
    ready, done = tmp_path / "ready", tmp_path / "done"
    child = """trap 'sleep 0.1; touch "$2"; exit' TERM; touch "$1"; while :; do sleep 0.02; done"""
    line = f'({child}) > /dev/null 2>&1 & until [ -e "$1" ]; do sleep 0.01; done'
    run(Command(ready, done, shell=line, grace=60))
    assert done.exists()


def test_what_it_has_started_cannot_go_on_for_ever(loop: dict[str, Any]) -> None:
    total = 0

    @component
    async def counts(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        nonlocal total
        async for data in inbox:
            total += len(data)

    run(Command(shell="yes & exit", grace=0.1) | counts(), **loop)
    assert total > 0


def test_a_daemon_is_left_alone(loop: dict[str, Any], tmp_path: Path) -> None:
    began = time.monotonic()
    command = Command(shell="setsid sleep 1000 & echo $!; sleep 0.1", grace=0.1)
    got = run(command | Collect(), **loop)
    pid = int(b"".join(got))
    try:
        assert 0.1 < time.monotonic() - began < 5
        assert is_alive(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), "the daemon is gone")


# --- when the process of Kamaelia is killed ---------------------------------------------------------

VICTIM = """
import sys
from kamaelia import run
from kamaelia.flow import Source
from kamaelia.process import Command
run(Source([b"half"], then="stay") | Command(shell=sys.argv[1]))
"""


@pytest.mark.parametrize("run_number", range(3))
def test_when_we_are_killed_so_is_the_program_before_it_sees_an_end(tmp_path: Path, run_number: int) -> None:
    pids, committed = tmp_path / "pids", tmp_path / "committed"
    line = f"sleep 1000 & (sleep 1000) & echo $$ > {pids}; cat > {tmp_path}/data; touch {committed}"
    victim = subprocess.Popen(
        [sys.executable, "-c", VICTIM, line], env={**os.environ, "PYTHONPATH": str(SOURCE)}
    )
    try:
        wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), "the program runs")
        group = int(pids.read_text())
        wait_until(lambda: len(group_of(group)) == 4, "all of it runs")
        data = tmp_path / "data"
        wait_until(lambda: data.exists() and data.read_bytes() == b"half", "the program is fed")
    finally:
        victim.kill()
        victim.wait()
    wait_until(lambda: not group_of(group), "all of it is gone")
    assert not committed.exists()


# --- around it ------------------------------------------------------------------------------------

AT_ONCE = Backoff(0.001)


def test_retry_starts_it_again_and_nothing_that_waits_is_lost(loop: dict[str, Any]) -> None:
    # It dies at every third line, with that in its hands; the rest waits for its next life.
    program = 'n=0; while read line; do n=$((n+1)); [ $n = 3 ] && kill -KILL $$; echo "$line"; done'

    class Feeds(Component):
        inbox = None

        async def main(self) -> None:
            for number in range(9):
                await self.outbox.send(f"{number}\n".encode())
                if number % 3 == 2:
                    await died.wait()
                    died.clear()

    class Retried(Component):
        outbox = None

        async def main(self) -> None:
            async for failure in self.inbox:
                retried.append(failure.error)
                died.set()

    died = asyncio.Event()
    retried: list[Any] = []
    retry, keeps, failures = Retry(Command(shell=program), attempts=9, backoff=AT_ONCE), Keeps(), Retried()
    run(
        Graphline(
            Feeds().outbox >> retry.inbox, retry.outbox >> keeps.inbox, retry.failures >> failures.inbox
        ),
        **loop,
    )
    assert b"".join(keeps.seen).split() == [b"0", b"1", b"3", b"4", b"6", b"7"]
    assert [error.status for error in retried] == [ExitStatus(signal="SIGKILL")] * 3


def test_a_supervisor_keeps_it_up(loop: dict[str, Any]) -> None:
    lives: list[Command] = []

    def make() -> Command:
        lives.append(Command("cat"))
        return lives[-1]

    supervisor = Supervisor(make, backoff=AT_ONCE)
    with background(supervisor, **loop) as handle:
        for number, word in enumerate((b"one", b"two", b"three")):
            handle.send(word)
            assert handle.receive(timeout=LIMIT) == word
            if number < 2:
                pid = lives[-1].pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: lives[-1].pid not in (None, pid), "the next life")  # noqa: B023
    assert supervisor.statistics().restarts == 2


def test_in_several_threads_at_once(loop: dict[str, Any]) -> None:
    # uvloop's own way to start a program refuses that.
    def work() -> None:
        for _ in range(10):
            results.append(run(Command("echo", "hi") | Collect(), slow_step=0, loop_factory=factory))

    results: list[Any] = []
    factory = loop["loop_factory"]
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[b"hi\n"]] * 40


def test_many_at_once(loop: dict[str, Any]) -> None:
    got = run(*[Source([b"%d\n" % n]) | Command("cat") | Collect() for n in range(50)], **loop)
    assert got == [[b"%d\n" % n] for n in range(50)]


def test_without_pidfds_it_looks_now_and_then(monkeypatch: pytest.MonkeyPatch, loop: dict[str, Any]) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    assert run(Command("echo", "hi") | Collect(), **loop) == [b"hi\n"]
    assert run(Command("sh", "-c", "exec >&- 2>&-; sleep 0.1"), **loop) == ExitStatus(code=0)


def test_without_a_leash_it_runs_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    for name in ("F_SETSIG", "F_SETPIPE_SZ"):
        monkeypatch.delattr(fcntl, name)
    assert run(Source([b"hi"]) | Command("cat") | Collect()) == [b"hi"]


def test_a_program_serves_each_who_connects(loop: dict[str, Any]) -> None:
    with background(TCPServer(Command("cat", grace=0.1), port=0, quiet=True), **loop) as server:
        host, port = server.receive("listening", timeout=LIMIT)
        for words in ([b"one"], [b"two"]):
            assert run(Source(words) | TCPClient(host, port) | Collect(), **loop) == words
