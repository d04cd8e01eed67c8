"""Each chassis says, in its docstring, how ends, failures, stops and back-pressure pass through it."""

from __future__ import annotations

import pytest

from kamaelia.catalogue import Part, groups

CHASSIS = [part for group in groups() if group.name == "chassis" for part in group.parts]


@pytest.mark.once
@pytest.mark.one_core
@pytest.mark.parametrize("part", CHASSIS, ids=lambda part: part.name)
def test_each_says_what_passes_through_it(part: Part) -> None:
    paragraphs = [" ".join(one.split()) for one in part.text.split("\n\n")]
    told = next((one for one in paragraphs if one.startswith("Ending: ")), "")
    for word in ("Ending: ", " Failure: ", " Stop: ", " Back-pressure: "):
        assert word in f" {told}", (
            f"say in one paragraph: Ending: ... Failure: ... Stop: ... Back-pressure: ..., not {told!r}"
        )
    assert " holds " in told, "and say what it holds open, or that it holds nothing open"
