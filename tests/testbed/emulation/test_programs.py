"""Outside programs on emulated hosts: what they write is kept, and none outlives its time."""

import os
import time

import pytest

from kamaelia.axon.errors import UsageError
from kamaelia.testbed import Network
from kamaelia.testbed.emulation import EmulationError, programs

pytestmark = [pytest.mark.needs("right:emulation", "program:ps"), pytest.mark.one_core]


@pytest.fixture
def network() -> Network:
    network = Network()
    network.link(network.host("anna"), network.host("bert"), delay="5 ms")
    return network


def test_a_program_runs_on_its_host_and_what_it_writes_comes_back(network) -> None:
    with network.emulation() as running:
        done = running.command(
            "anna", ["sh", "-c", "hostname; cat; echo bad >&2; exit 3"], input=b"given\n", check=False
        )
    assert (done.returncode, done.stdout, done.stderr) == (3, b"anna\ngiven\n", b"bad\n")
    assert done.text == "anna\ngiven\n"
    assert not done.timed_out and not done.truncated


def test_a_program_that_fails_raises_with_what_it_has_written(network) -> None:
    with network.emulation() as running:
        with pytest.raises(EmulationError, match=r"^sh -c .* on anna has returned 4: no way$"):
            running.command("anna", ["sh", "-c", "echo no way >&2; exit 4"])


def test_a_program_that_is_not_there_raises_as_subprocess_does(network) -> None:
    with network.emulation() as running:
        with pytest.raises(FileNotFoundError):
            running.command("anna", ["no-such-program-here"])
        assert running.command("anna", ["true"]).returncode == 0


def test_a_program_whose_time_is_over_is_ended_with_all_it_has_started(network) -> None:
    with network.emulation() as running:
        began = time.monotonic()
        done = running.command(
            "anna", ["sh", "-c", "echo begun; sleep 77 & sleep 78"], timeout=0.2, check=False
        )
        assert 0.2 <= time.monotonic() - began < 10
        assert done.timed_out and done.returncode == -15 and done.stdout == b"begun\n"
        assert b"sleep" not in running.command("anna", ["ps", "-A", "-o", "args"]).stdout.split(b"\n")[2:]
        with pytest.raises(EmulationError, match="its time was over"):
            running.command("anna", ["sleep", "9"], timeout=0.1)


def test_a_program_that_does_not_want_to_end_is_killed(network, monkeypatch) -> None:
    monkeypatch.setattr(programs, "PATIENCE", 0.2)
    with network.emulation() as running:
        stubborn = "trap '' TERM; echo ready; while true; do sleep 0.05; done"
        done = running.command("anna", ["sh", "-c", stubborn], timeout=0.3, check=False)
    assert done.timed_out and done.returncode == -9


def test_a_program_runs_beside_others_and_can_be_stopped(network) -> None:
    with network.emulation() as running:
        one = running.start("anna", ["sleep", "60"])
        assert one.poll() is None
        with pytest.raises(TimeoutError, match=r"<program sleep 60 on anna> has not ended within 0\.05 s"):
            one.wait(0.05)
        assert running.command("bert", ["true"]).returncode == 0
        assert one.stop().returncode == -15
        assert one.poll() is one.finished
        two = running.start("anna", ["sleep", "60"])
        two.signal(10)
        assert two.wait(5).returncode == -10


def test_only_so_much_of_what_is_written_is_kept(network, monkeypatch) -> None:
    monkeypatch.setattr(programs, "MOST_OUTPUT", 1000)
    with network.emulation() as running:
        done = running.command("anna", ["sh", "-c", "yes | head -c 100000"])
    assert done.truncated and done.stdout == b"y\n" * 500


def test_programs_see_only_the_processes_of_the_emulation(network) -> None:
    with network.emulation() as running:
        shown = running.command("anna", ["sh", "-c", "ls /proc | grep -c '^[0-9]'; echo $$"]).text.split()
    assert int(shown[0]) < 10
    assert int(shown[1]) != os.getpid()


def test_environment_and_directory_are_those_that_were_said(network, tmp_path) -> None:
    with network.emulation() as running:
        told = running.command(
            "anna", ["/bin/sh", "-c", "pwd; echo $COLOUR"], cwd=tmp_path, env={"COLOUR": "red"}
        )
    assert told.text == f"{tmp_path}\nred\n"


def test_what_writes_to_our_own_output_does_so(network, capfd) -> None:
    with network.emulation() as running:
        done = running.command("anna", ["echo", "here"], capture=False)
    assert done.stdout == b""
    assert capfd.readouterr().out == "here\n"


def test_commands_are_lists_and_hosts_are_there(network) -> None:
    network.switch("hub")
    with network.emulation() as running:
        with pytest.raises(UsageError, match="give the program and its arguments"):
            running.command("anna", "ping bert")
        with pytest.raises(UsageError, match="did you mean 'bert'"):
            running.command("brt", ["true"])
        with pytest.raises(UsageError, match="runs nothing"):
            running.command("hub", ["true"])


@pytest.mark.needs("program:ping")
def test_ping_takes_the_delay_of_the_link_twice(network) -> None:
    with network.emulation() as running:
        told = running.command("anna", ["ping", "-c", "20", "-i", "0.01", "bert"]).text
    fastest, mean = (float(one) for one in told.rpartition(" = ")[2].split("/")[:2])
    assert 10 <= fastest < 15 and mean < 50  # the machine may be busy
