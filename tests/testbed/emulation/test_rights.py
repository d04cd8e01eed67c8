"""What is missing for an emulation is said; who is not root needs a user namespace only."""

import subprocess
import sys
from pathlib import Path

import pytest

import kamaelia
from kamaelia.testbed import Network
from kamaelia.testbed.emulation import EmulationError, missing, rights

pytestmark = [pytest.mark.one_core]


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine on which all is well, to be spoilt."""
    device = tmp_path / "tun"
    device.touch()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(rights, "DEVICE", str(device))
    monkeypatch.setattr(rights, "has_rights", lambda: True)
    return monkeypatch


def test_nothing_is_missing_where_all_is_there(machine) -> None:
    assert missing() == []


def test_a_device_that_is_not_there_or_not_ours_is_named(machine, tmp_path) -> None:
    machine.setattr(rights, "DEVICE", "/nowhere/tun")
    assert missing() == [
        "there is no /nowhere/tun: load the kernel's module tun (modprobe tun), or give a container the "
        "device (--device /nowhere/tun)"
    ]
    machine.setattr(rights, "DEVICE", str(tmp_path / "tun"))
    machine.setattr("os.access", lambda path, mode: False)
    (told,) = missing()
    assert told.endswith(
        f"cannot be opened: run this as root, or let it be opened (chmod 666 {tmp_path / 'tun'})"
    )


def test_who_may_not_make_namespaces_is_told_of_each_way_to_get_there(machine) -> None:
    machine.setattr(rights, "has_rights", lambda: False)
    machine.setattr(rights, "_may_have_own_users", lambda: False)
    network = Network()
    network.host("a")
    with pytest.raises(EmulationError) as caught, network.emulation():
        pass
    told = str(caught.value)
    assert told.startswith(
        "this machine does not let us emulate networks: no right to make network namespaces"
    )
    for way in ("root", "CAP_SYS_ADMIN", "CAP_NET_ADMIN", "user.max_user_namespaces"):
        assert way in told


def test_another_system_is_told_to_simulate(monkeypatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    (told,) = missing()
    assert "Linux's" in told and "darwin" in told


SRC = Path(kamaelia.__file__).parent.parent
PROGRAM = """
from kamaelia.testbed import Network
from kamaelia.testbed.emulation.rights import has_rights, missing
print(has_rights(), missing())
network = Network(ipv6=True)
network.link(network.host("a"), network.host("b"), delay="3 ms")
with network.emulation() as running:
    print(running.command("a", ["ping", "-c1", "b"]).returncode)
"""
# The checkout and Python may lie where nobody else gets; in a namespace of their own they are elsewhere too.
AS_NOBODY = """
mount -t tmpfs -o mode=755 none /mnt
mknod -m 666 /mnt/tun c 10 200
mount --bind /mnt/tun /dev/net/tun
mkdir /mnt/src /mnt/python
mount --bind "$1" /mnt/src
mount --bind "$2" /mnt/python
export PYTHONPATH=/mnt/src LD_LIBRARY_PATH=/mnt/python/lib PYTHONHOME=/mnt/python
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all \\
    "/mnt/python/bin/$0" -B -c "$3"
"""


@pytest.mark.needs("right:emulation", "program:setpriv", "program:ping")
def test_who_is_not_root_emulates_in_a_user_namespace() -> None:
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    told = subprocess.run(
        ["unshare", "--mount", "sh", "-e", "-c", AS_NOBODY, python, SRC, sys.base_prefix, PROGRAM],
        capture_output=True,
        text=True,
        timeout=30,
        cwd="/",
    )
    assert (told.stdout, told.stderr) == ("False []\n0\n", "")
