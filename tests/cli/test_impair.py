"""``kamaelia impair``: any program behind the links of a scenario, with its own exit code."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kamaelia.cli import main
from kamaelia.testbed.captures import read_pcapng
from kamaelia.testbed.emulation import rights

pytestmark = [pytest.mark.needs("right:emulation", "program:ping"), pytest.mark.one_core]

SCENARIO = """
    import asyncio
    from kamaelia import component
    from kamaelia.testbed import Network

    @component
    async def greet(inbox, outbox, fails):
        async def answer(reader, writer):
            writer.write(b"hello " + await reader.readline())
            writer.close()

        async with await asyncio.start_server(answer, port=1500) as server:
            await asyncio.sleep(0.1)
            if fails:
                raise ValueError("out of order")
            await server.serve_forever()

    def scenario(loss=0.0, fails=False, others=0):
        network = Network()
        server = network.host("server").run(greet(fails))
        for name in ("client", "second", "third")[: 1 + others]:
            network.link(network.host(name), server, delay="10 ms", loss=loss)
        return network
"""
ASK = "exec 3<>/dev/tcp/server/1500; cat >&3; cat <&3"


@pytest.fixture
def lossy(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "lossy.py"
    path.write_text(textwrap.dedent(SCENARIO))
    return path


def impair(*words: str) -> int:
    return main(["impair", *words])


def test_a_program_talks_to_the_components_of_the_scenario(lossy) -> None:
    command = [sys.executable, "-m", "kamaelia", "impair", "lossy.py", "--quiet", "--", "bash", "-c", ASK]
    told = subprocess.run(command, input=b"world\n", capture_output=True, timeout=30)
    assert (told.returncode, told.stdout, told.stderr) == (0, b"hello world\n", b"")


def test_what_the_links_have_done_is_shown_and_the_exit_code_is_that_of_the_program(lossy, capfd) -> None:
    words = ["lossy.py", "--param=loss=1.0", "--seed=7", "--", "ping", "-c1", "-W0.1", "server"]
    assert impair(*words) == 1
    out, err = capfd.readouterr()
    assert "100% packet loss" in out
    assert "client > server     1          0     1" in err
    assert "seed 7, " in err and "packets left the box late by" in err
    assert impair("lossy.py", "--quiet", "--", "sh", "-c", "kill -9 $$") == 137
    assert capfd.readouterr().err == ""


def test_a_component_that_fails_is_shown_and_makes_the_exit_code_1(lossy, capfd) -> None:
    assert impair("lossy.py:scenario", "--quiet", "--param=fails=True", "--", "sleep", "0.4") == 1
    err = capfd.readouterr().err
    assert "ValueError: out of order" in err and "server/greet" in err


def test_packets_are_written_and_another_program_runs_meanwhile(lossy, capfd) -> None:
    words = ["--start=server=echo beside", "--host=second", "--param=others=1", "--capture=packets"]
    assert impair("lossy.py", *words, "--quiet", "--", "ping", "-c2", "-i0.05", "server") == 0
    assert "beside\n" in capfd.readouterr().out
    assert len(list(read_pcapng("packets/second.pcapng"))) == 4


def test_a_program_whose_time_is_over_is_ended(lossy, capfd) -> None:
    assert impair("lossy.py", "--quiet", "--timeout=0.2", "--", "sleep", "30") == 124
    assert capfd.readouterr().err == "kamaelia impair: sleep was ended, as its time of 0.2 s was over\n"


@pytest.mark.slow
def test_ctrl_c_is_for_the_program_and_the_second_ends_everything(lossy) -> None:
    command = [sys.executable, "-m", "kamaelia", "impair", "lossy.py", "--quiet", "--", "bash", "-c"]
    for then, times, code in (("exit 5", 1, 5), (":", 2, 130)):
        script = f"trap 'echo heard; {then}' INT; echo ready; while true; do sleep 0.02; done"
        with subprocess.Popen(
            [*command, script], stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as started:
            assert started.stdout is not None
            assert started.stdout.readline() == "ready\n"
            started.send_signal(signal.SIGINT)
            if times == 2:
                assert started.stdout.readline() == "heard\n"
                started.send_signal(signal.SIGINT)
            assert started.wait(20) == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lossy.py"], "say which program, after --"),
        (["lossy.py", "--"], "say which program, after --"),
        (["lossy.py", "--param=others=2", "--", "true"], "run no components: client, second, third"),
        (["lossy.py", "--host=clint", "--", "true"], "did you mean 'client'?"),
        (["lossy.py", "--start=server", "--", "true"], "write the host and a line for the shell"),
        (["lossy.py", "--timeout=long", "--", "true"], "--timeout='long'"),
        (["lossy.py", "--", "no-such-program"], "no-such-program"),
        (["nothing.py", "--", "true"], "nothing.py"),
    ],
)
def test_what_is_wrong_with_the_command_line_is_said_and_nothing_runs(lossy, capfd, words, message) -> None:
    assert impair(*words) == 2
    err = capfd.readouterr().err
    assert err.startswith("kamaelia impair: ") and message in err


def test_without_the_rights_it_says_what_is_missing(lossy, capfd, monkeypatch) -> None:
    monkeypatch.setattr(rights, "DEVICE", "/nowhere/tun")
    assert impair("lossy.py", "--", "true") == 2
    assert "does not let us emulate networks: there is no /nowhere/tun" in capfd.readouterr().err


RELAYED = "exec 3<>/dev/tcp/127.0.0.1/{port}; cat >&3; cat <&3"


def test_without_namespaces_a_door_leads_to_the_same_component(lossy, unused_port) -> None:
    command = [sys.executable, "-m", "kamaelia", "impair", "lossy.py", f"--door={unused_port}=server:1500"]
    script = RELAYED.format(port=unused_port)
    told = subprocess.run(
        [*command, "--", "bash", "-c", script], input=b"world\n", capture_output=True, timeout=30
    )
    assert (told.returncode, told.stdout) == (0, b"hello world\n"), told.stderr
    assert b"client > server" in told.stderr and b"seed 0, " in told.stderr


def test_with_a_door_exit_codes_and_times_are_the_same(lossy, unused_port, capfd) -> None:
    door = f"--door={unused_port}=server:1500"
    assert impair("lossy.py", "--quiet", door, "--", "sh", "-c", "exit 7") == 7
    assert impair("lossy.py", "--quiet", door, "--timeout=0.2", "--", "sleep", "30") == 124
    assert impair("lossy.py", "--quiet", door, "--", "no-such-program") == 2
    assert impair("lossy.py", "--quiet", "--door=server:1500", "--", "true") == 2
    assert "as in 8080=server:80" in capfd.readouterr().err


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port
