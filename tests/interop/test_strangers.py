"""The quickest of the cases of `make interop`, with programs that are small and everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.interop.judge import Case
from tools.interop.judges import curl, dig, netcat, openssl, socat

JUDGES = [module.judge for module in (curl, netcat, openssl, socat, dig)]
CASES = [
    pytest.param(case, id=case.name, marks=pytest.mark.needs(*[f"program:{name}" for name in judge.programs]))
    for judge in JUDGES
    for case in judge.cases
    if case.quick
]


@pytest.mark.once
@pytest.mark.one_core()
@pytest.mark.parametrize("case", CASES)
def test_a_stranger_sees_what_must_be_seen(case: Case, tmp_path: Path) -> None:
    case.run(tmp_path)
