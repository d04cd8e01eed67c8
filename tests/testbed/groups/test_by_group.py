"""Records by group: one is kept in another way than several, and that shows nowhere."""

from __future__ import annotations

import pytest

from kamaelia.testbed.groups.by_group import ByGroup

pytestmark = [pytest.mark.one_core, pytest.mark.once]

A, B, C = "239.1.2.3", "239.1.2.4", "239.1.2.5"


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ("", []),
        ("+A", [A]),
        ("+A -A", []),
        ("+A -A +B", [B]),
        ("+A +B", [A, B]),
        ("+A +B -A", [B]),
        ("+A +B -A +A", [B, A]),
        ("+A +B -B", [A]),
        ("+A +B -A -B", []),
        ("+A +B -A -B +C +A", [C, A]),
        ("+C +A +B", [C, A, B]),
    ],
)
def test_records_are_those_put_and_not_dropped_in_their_order(steps: str, left: list[str]) -> None:
    groups = {"A": A, "B": B, "C": C}
    records: ByGroup[str] = ByGroup()
    for number, step in enumerate(steps.split()):
        if step[0] == "+":
            records.put(groups[step[1]], f"record {number} of {groups[step[1]]}")
        else:
            records.drop(groups[step[1]])
    items = records.items()
    assert [group for group, _ in items] == left
    assert [records.find(group) for group, _ in items] == [record for _, record in items]
    assert all(record.endswith(f"of {group}") for group, record in items)
    assert [group for group in groups.values() if records.find(group) is None] == [
        group for group in groups.values() if group not in left
    ]
