"""Fetch what the Studio ships of other people's scripts, and see that it is what was reviewed.

`src/kamaelia/studio/static/vendor/vendor.toml` is the table of all of it: package, version, licence, the
checksum of the archive, and each file that is shipped, with its own. `make vendor` has npm fetch the archives
(from the registry that npm is set up for), compares checksums, and unpacks these files and no others. Nothing
of a package is ever run.

    python tools/vendor.py            fetch, verify, unpack
    python tools/vendor.py --check    verify what is there; asks nobody
    python tools/vendor.py --update   write the checksums of what was fetched into the table: for a new
                                      version, after a look at what has changed
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "src" / "kamaelia" / "studio" / "static" / "vendor" / "vendor.toml"


def main(words: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="Fetch and verify the scripts that the Studio ships.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="only verify what is there")
    what.add_argument("--update", action="store_true", help="write new checksums into the table")
    options = parser.parse_args(words)
    text = TABLE.read_text()
    packages = tomllib.loads(text)["package"]
    if options.check:
        wrong = check(packages)
        print("\n".join(wrong) or f"{len(packages)} packages: every shipped file is what the table says.")
        return 1 if wrong else 0
    for package in packages:
        with tempfile.TemporaryDirectory() as folder:
            archive = fetch(package, Path(folder))
            found = digest(archive.read_bytes())
            if options.update:
                text = replace(text, f'"{package["sha256"]}"', f'"{found}"')
            elif found != package["sha256"]:
                print(f"{package['name']}: the archive's sha256 is {found}, and the table says "
                      f"{package['sha256']}: nothing of it was unpacked")  # fmt: skip
                return 1
            text = unpack(package, archive, text, options.update)
    if options.update:
        TABLE.write_text(text)
    wrong = check(tomllib.loads(text)["package"])
    print("\n".join(wrong) or f"{len(packages)} packages fetched and verified.")
    return 1 if wrong else 0


def fetch(package: dict[str, Any], folder: Path) -> Path:
    """Have npm fetch the archive of a package."""
    what = f"{package['name']}@{package['version']}"
    subprocess.run(
        ["npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", str(folder), what],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=300,
    )
    (archive,) = folder.glob("*.tgz")
    return archive


def unpack(package: dict[str, Any], archive: Path, text: str, update: bool) -> str:
    """Write the files of a package that are shipped; returns the text of the table."""
    target = ROOT / package["folder"]
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as opened:
        for file in package["files"]:
            member = opened.extractfile(f"package/{file['from']}")
            assert member is not None, f"{package['name']} has no {file['from']}"
            data = member.read()
            if update:
                text = replace(text, f'"{file["sha256"]}"', f'"{digest(data)}"')
            elif digest(data) != file["sha256"]:
                raise SystemExit(f"{package['name']}: {file['from']} is not what the table says")
            (target / file["to"]).write_bytes(data)
    return text


def check(packages: list[dict[str, Any]]) -> list[str]:
    """Say which shipped files are missing, not what the table says, or not in it."""
    wrong = []
    known: dict[Path, set[str]] = {}
    for package in packages:
        folder = ROOT / package["folder"]
        names = known.setdefault(folder, {TABLE.name})
        for file in package["files"]:
            names.add(file["to"])
            path = folder / file["to"]
            if not path.is_file():
                wrong.append(f"{path.relative_to(ROOT)} is missing: run `make vendor`")
            elif digest(path.read_bytes()) != file["sha256"]:
                wrong.append(f"{path.relative_to(ROOT)} is not what {TABLE.name} says: run `make vendor`")
    for folder, names in known.items():
        others = {path.name for path in folder.iterdir()} - names
        wrong += [f"{(folder / name).relative_to(ROOT)} is not in {TABLE.name}" for name in sorted(others)]
    return wrong


def digest(data: bytes) -> str:
    """Return the checksum of some bytes."""
    return hashlib.sha256(data).hexdigest()


def replace(text: str, old: str, new: str) -> str:
    """Put a new checksum in the place of an old one, which stands in the table once."""
    assert len(re.findall(re.escape(old), text)) == 1, f"the checksum {old} does not stand there just once"
    return text.replace(old, new)


if __name__ == "__main__":
    sys.exit(main())
