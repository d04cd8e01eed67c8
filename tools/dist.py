"""Make what is published: a source archive, a wheel for every CPython found, and one without compiled parts.

`make dist` runs this. Everything is made from the source archive, so that what is missing there is missed.
Each is installed into a fresh environment and tried: a system runs, on the form of the core that is to be
there, and a type checker sees the types. Whatever goes wrong is an error, and names what was tried.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from test import ROOT, VERSIONS, find_python  # the Pythons that the tests find, too

DIST = ROOT / "dist"
TRIAL = """
import kamaelia, sys
from kamaelia import run
from kamaelia.axon import core
from kamaelia.flow import Collect, Map, Source

assert core.form == sys.argv[1], (core.form, core.why_not_compiled)
assert run(Source(range(1000)) | Map(lambda number: 2 * number) | Collect()) == list(range(0, 2000, 2))
assert "site-packages" in kamaelia.__file__, kamaelia.__file__
"""


def call(*command: str | Path, **variables: str) -> str:
    """Run a program and return what it printed; its failure is ours."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, env=environment, text=True, capture_output=True
    )
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def environment(python: Path, folder: Path) -> Path:
    """Make a fresh environment; return its Python."""
    call(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def wheel(python: Path, archive: Path, **variables: str) -> Path:
    """Make a wheel of the source archive."""
    with tempfile.TemporaryDirectory() as folder:
        call(
            python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, archive, **variables
        )
        (made,) = Path(folder).iterdir()
        return Path(shutil.move(made, DIST / made.name))


def try_without_compiler(python: Path, archive: Path, folder: Path) -> None:
    """Where nothing can be compiled it can be installed all the same, unless what is compiled is required."""
    own = environment(python, folder)
    install = [own, "-m", "pip", "install", "--quiet", archive]
    variables = {**os.environ, "CC": "/bin/false", "KAMAELIA_BUILD_REQUIRE": "1"}
    if subprocess.run(install, env=variables, capture_output=True).returncode == 0:
        sys.exit("KAMAELIA_BUILD_REQUIRE=1 was satisfied without a compiler")
    call(*install, CC="/bin/false", KAMAELIA_BUILD_REQUIRE="0")
    call(own, "-I", "-c", TRIAL, "plain")
    doctor = call(folder / "bin" / "kamaelia", "doctor")
    if "it has not been built: that needs a C compiler" not in doctor:
        sys.exit(f"kamaelia doctor does not say why the core is not compiled:\n{doctor}")
    print(f"{archive.name}: runs without a compiler, on the plain core, and says why")


def try_out(python: Path, package: Path, form: str, folder: Path) -> None:
    """Install a package where nothing else is, and use it."""
    own = environment(python, folder)
    call(own, "-m", "pip", "install", "--quiet", package, KAMAELIA_BUILD_REQUIRE="1")
    # -I: without this folder in the path, and without anything that is set here.
    call(own, "-I", "-c", TRIAL, form)
    doctor = call(folder / "bin" / "kamaelia", "doctor")
    if "trial         a small system ran well" not in doctor:
        sys.exit(f"{package.name}: kamaelia doctor said\n{doctor}")
    types = ROOT / "tests" / "typing" / "consumer.py"
    with tempfile.TemporaryDirectory() as elsewhere:  # where no source of ours is found instead
        consumer = Path(shutil.copy(types, elsewhere))
        checker = [sys.executable, "-m", "mypy", "--config-file=", "--strict", "--python-executable", own]
        call(*checker, f"--cache-dir={elsewhere}/cache", consumer)
    print(
        f"{package.name}: runs on Python {python_version(own)} with the {form} core, and its types are seen"
    )


def python_version(python: Path) -> str:
    return call(python, "-c", "import platform; print(platform.python_version())").strip()


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    call(sys.executable, "-m", "build", "--sdist", "--outdir", DIST)
    (archive,) = DIST.iterdir()
    pythons = {version: found for version in VERSIONS if (found := find_python(version))}
    with tempfile.TemporaryDirectory() as scratch:
        folders = (Path(scratch) / str(number) for number in range(100))
        for version, python in pythons.items():
            maker = environment(python, next(folders))
            compiled = wheel(maker, archive, KAMAELIA_BUILD_REQUIRE="1")
            try_out(python, compiled, "compiled", next(folders))
            if python == next(iter(pythons.values())):
                pure = wheel(maker, archive, KAMAELIA_BUILD_PURE="1")
                if not pure.name.endswith("-py3-none-any.whl"):
                    sys.exit(f"{pure.name} is not one for every interpreter")
                try_out(python, archive, "compiled", next(folders))
                try_without_compiler(python, archive, next(folders))
            try_out(python, pure, "plain", next(folders))
            print(f"Python {version}: done", flush=True)
    print(call(sys.executable, "-m", "twine", "check", "--strict", *sorted(DIST.iterdir())))
    print("In dist/:\n" + "\n".join(f"  {one.name}" for one in sorted(DIST.iterdir())))


if __name__ == "__main__":
    main()
