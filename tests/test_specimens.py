"""Every part has specimens; that they do what they say is seen in test_contract_suite.py."""

from __future__ import annotations

import importlib

import pytest

from kamaelia.axon import ComponentFunction
from kamaelia.axon.specimen import Specimen
from kamaelia.catalogue import Part, groups, parts

OURS = [part for part in parts() if part.module.startswith("kamaelia.")]
SPECIMENS = [
    pytest.param(part, specimen, id=f"{part.name}-{number}")
    for part in OURS
    for number, specimen in enumerate(part.specimens())
]


@pytest.mark.one_core
@pytest.mark.parametrize("part", OURS, ids=lambda part: part.name)
def test_there_is_a_specimen(part: Part) -> None:
    assert part.specimens(), (
        f'write one into SPECIMENS of {part.module}.specimens: "{part.name}": (Specimen(lambda: '
        f"{part.name}(...), {{inbox: messages}}, {{outbox: what comes of them}}),)"
    )


@pytest.mark.one_core
@pytest.mark.parametrize(("part", "specimen"), SPECIMENS)
def test_a_specimen_is_of_its_part(part: Part, specimen: Specimen) -> None:
    made = specimen.make()
    assert isinstance(
        made, part.thing.component_class if isinstance(part.thing, ComponentFunction) else part.thing
    )
    assert specimen.make() is not made
    assert specimen.feed.keys() <= {name for name, box in made.boxes.items() if box.is_inbox}
    assert (specimen.gives or {}).keys() <= {name for name, box in made.boxes.items() if not box.is_inbox}
    if not specimen.outside:
        assert specimen.gives is not None or specimen.returns is None


@pytest.mark.one_core
def test_there_are_no_specimens_of_what_is_no_part() -> None:
    for group in groups():
        if group.module.startswith("kamaelia."):
            specimens = importlib.import_module(f"{group.module}.specimens").SPECIMENS
            assert specimens.keys() <= {part.name for part in group.parts}
            assert list(specimens) == sorted(specimens)
