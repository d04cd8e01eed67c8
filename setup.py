"""How the compiled forms of the core, the wire and TCP are built; everything else is in pyproject.toml.

Two variables of the environment, each with "1" for yes:

| variable | meaning |
| --- | --- |
| ``KAMAELIA_BUILD_PURE`` | build no extension: what comes of it runs on every interpreter |
| ``KAMAELIA_BUILD_REQUIRE`` | an extension that cannot be built is an error; else Kamaelia does without |
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent / "tools"))
import typed

PURE = os.environ.get("KAMAELIA_BUILD_PURE") == "1"
REQUIRE = os.environ.get("KAMAELIA_BUILD_REQUIRE") == "1"
if PURE and REQUIRE:
    raise SystemExit("KAMAELIA_BUILD_PURE=1 and KAMAELIA_BUILD_REQUIRE=1 contradict each other")

# What TCP as packets is made of, in the order in which the parts need each other.
TCP = (
    "segment",
    "round_trip",
    "congestion",
    "cubic",
    "scoreboard",
    "rack",
    "recovery",
    "sender",
    "receiver",
    "connection",
    "endpoint",
)
TCP_FOLDER, TCP_SOURCE = Path("src/kamaelia/testbed/tcp"), Path("build/typed/_tcp.pyx")

# Without what debuggers want, which takes a third of the time. The last: sums of floats are made as they are
# written, and so the same on every machine.
OPTIONS = ["-O3", "-g0", "-ffp-contract=off"] if os.name == "posix" else []
EXTENSIONS = [
    Extension("kamaelia.axon._core", ["src/kamaelia/axon/_core.pyx"], extra_compile_args=OPTIONS),
    Extension(
        "kamaelia.testbed._wire",
        ["src/kamaelia/testbed/_wire.pyx"],
        depends=["src/kamaelia/testbed/_capture.pxi"],
        extra_compile_args=OPTIONS,
    ),
    Extension("kamaelia.testbed._tcp", [str(TCP_SOURCE)], extra_compile_args=OPTIONS),
]


def extensions() -> list[Extension]:
    """Return what is to be built."""
    if PURE:
        return []
    from Cython.Build import cythonize

    typed.write(TCP_FOLDER, TCP, TCP_SOURCE)

    made: list[Extension] = cythonize(
        EXTENSIONS, build_dir="build/cython", include_path=["src"], language_level=3
    )
    for one in made:
        one.optional = not REQUIRE  # which Cython does not keep
    return made


setup(ext_modules=extensions(), options={"build_ext": {"parallel": True}})
