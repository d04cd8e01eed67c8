"""The same seed gives the same run, whatever library takes part."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from .cases import SEED, Pair, mixture
from .pairs import PAIRS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.one_core("compiled")
@pytest.mark.parametrize("pair", PAIRS.values(), ids=str)
def test_the_same_in_one_process(pair: Pair) -> None:
    first = mixture(pair)
    junk = [bytearray(secrets.randbelow(5000)) for _ in range(1000)]  # objects get other addresses
    assert mixture(pair).fingerprint == first.fingerprint, (
        f"with the seed {SEED}, and {len(junk)} objects more"
    )
    assert mixture(pair, seed=SEED + 1).fingerprint != first.fingerprint


@pytest.mark.one_core("compiled")
@pytest.mark.slow
def test_the_same_in_another_process_and_on_the_other_core() -> None:
    """Also with TLS, although keys differ: what is encrypted is as long as before."""
    processes = []
    for form in ("0", "1"):
        environment = {
            **os.environ,
            "KAMAELIA_PURE": form,
            "PYTHONHASHSEED": "0",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "ELSEWHERE": "x" * 10_000 * int(form),  # in memory
        }
        command = [sys.executable, "-m", "tests.testbed.libraries.fingerprints"]
        processes.append(
            subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        )
    compiled, plain = (json.loads(process.communicate(timeout=100)[0]) for process in processes)
    assert list(compiled) == list(PAIRS)
    assert compiled == plain, f"seed {SEED}"
