"""What components log, as those hear it who look: with nothing changed for anybody else."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from kamaelia import component, run
from kamaelia.observe.inspection.logs import EARS, LINES, LONGEST, PATHS, Keeper, Line

log = logging.getLogger("a.b")

pytestmark = pytest.mark.one_core


class World:
    """What is looked at: all that runs, but for what is called so."""

    def __init__(self, stranger=None, hosts=()):
        self.stranger = stranger
        self.hosts = iter(hosts)

    def knows(self, system):
        return system.root.children[0].name != self.stranger

    def host_of(self, system):
        return next(self.hosts, None)


@pytest.fixture
def keeper():
    made = Keeper(World("stranger"))
    made.start()
    yield made
    made.stop()
    assert EARS._listeners == ()


def said_in(name, *words, error=None):
    @component
    async def speaks(inbox, outbox):
        for word in words:
            log.warning(word, exc_info=error)

    run(speaks().named(name))


def test_lines_are_kept_by_component(keeper):
    heard = []
    keeper.listeners = (heard.append,)
    said_in("one", "a", "b")
    said_in("two", "c")
    log.error("%s and %s", "x", "y")
    assert [line.text for line in keeper.of("one")] == ["a", "b"]
    assert [(line.text, line.level, line.logger, line.path) for line in heard] == [
        ("a", "WARNING", "a.b", "one"),
        ("b", "WARNING", "a.b", "one"),
        ("c", "WARNING", "a.b", "two"),
        ("x and y", "ERROR", "a.b", None),
    ]
    assert [line.text for line in keeper.of(None)] == ["x and y"]


def test_what_others_components_log_is_not_heard(keeper):
    said_in("stranger", "a")
    assert keeper.of("stranger") == []


def test_lines_of_components_of_one_name_on_several_hosts_are_told_apart():
    keeper = Keeper(World(hosts=["a", "b", "a"]))
    keeper.start()
    heard = []
    keeper.listeners = (heard.append,)
    try:
        for word in ("1", "2", "3"):
            said_in("part", word)
    finally:
        keeper.stop()
    assert [(line.host, line.path, line.text) for line in heard] == [
        ("a", "part", "1"),
        ("b", "part", "2"),
        ("a", "part", "3"),
    ]
    assert [line.text for line in keeper.of("part", "a")] == ["1", "3"]
    assert [line.text for line in keeper.of("part", "b")] == ["2"]
    assert keeper.of("part") == []
    assert heard[1].as_dict()["host"] == "b"


def test_errors_are_told_on_a_line_of_their_own(keeper):
    said_in("one", "it failed", error=ValueError("no"))
    assert keeper.of("one")[0].text == "it failed\nValueError: no"


def test_what_is_kept_is_bounded(keeper):
    said_in("one", *["x" * 3000] * (LINES + 10))
    assert len(keeper.of("one")) == LINES
    assert len(keeper.of("one")[0].text) == LONGEST
    for number in range(PATHS + 10):
        keeper._hear(None, Line(0.0, "INFO", 20, "a", str(number), "x"))
    assert len(keeper._lines) == PATHS


def test_who_listens_and_fails_is_not_noticed(keeper, caplog):
    def fails(line):
        log.warning("from within")
        raise ValueError("no")

    keeper.listeners = (fails,)
    log.warning("a")
    assert [record.getMessage() for record in caplog.records] == ["from within", "a"]


def test_a_line_whose_arguments_do_not_fit_is_kept_all_the_same(keeper):
    record = logging.getLogRecordFactory()("a", 30, "file", 1, "%d rows", ("many",), None)
    assert record.msg == "%d rows"
    assert keeper.of(None)[-1].text == "%d rows (TypeError)"


def test_records_are_made_by_who_made_them_before():
    before = logging.getLogRecordFactory()
    one, two = Keeper(World()), Keeper(World())
    one.start()
    two.start()
    one.stop()
    assert logging.getLogRecordFactory() == EARS.make
    two.stop()
    assert logging.getLogRecordFactory() is before


def test_who_has_put_another_factory_over_ours_keeps_it():
    before = logging.getLogRecordFactory()
    keeper = Keeper(World())
    keeper.start()
    ours = logging.getLogRecordFactory()

    def theirs(*args, **kwargs):
        record = ours(*args, **kwargs)
        record.extra = 1
        return record

    logging.setLogRecordFactory(theirs)
    try:
        keeper.stop()
        assert logging.getLogRecordFactory() is theirs
        assert logging.makeLogRecord({}).extra == 1
        again = Keeper(World())
        again.start()
        log.warning("x")
        assert [line.text for line in again.of(None)] == ["x"]
        again.stop()
    finally:
        logging.setLogRecordFactory(before)
        EARS._factory = None


PROGRAM = """
import logging
from kamaelia import component, run

@component
async def speaks(inbox, outbox):
    logging.getLogger("one").warning("nobody handles this")
    logging.basicConfig(format="[%(levelname)s] %(message)s")
    logging.getLogger("one").warning("now somebody does")
    logging.getLogger("one").info("and this is below the level")

run(speaks(), inspect=INSPECT)
"""


@pytest.mark.slow
def test_the_program_logs_as_it_does_when_nobody_looks():
    said = []
    for inspect in ("False", "True"):
        program = PROGRAM.replace("INSPECT", inspect)
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        said.append([line for line in done.stderr.splitlines() if "kamaelia top" not in line])
    assert said[0] == said[1] == ["nobody handles this", "[WARNING] now somebody does"]
