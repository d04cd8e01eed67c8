"""What mkdocs does for us beyond its plugins (`hooks:` in mkdocs.yml).

It makes a reference page for each public package and for each public module beside them, so that a new
room is in the reference as soon as it exists, and one with pictures for the parts of each room
(reference_pages.py); and it takes our own attributes off the listings, which tell tests/test_docs_listings.py
how to run them and which the Markdown extension does not know.

`OurDocstrings` is an extension of mkdocstrings' reader, griffe (`extensions:` in mkdocs.yml).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).parent))
from reference_pages import pages as pages_of_parts

SOURCE = Path(__file__).resolve().parent.parent / "src"
OPENING_FENCE = re.compile(r"^ *(?:`{3,}|~{3,}).*$", re.MULTILINE)
OUR_ATTRIBUTE = re.compile(r' (?:no-run|exit|timeout)="[^"]*"')


def public_modules() -> Iterator[str]:
    """Yield the dotted names that get a page: those which users import from.

    That is every package, and the modules directly below `kamaelia`. The modules inside a room are not:
    what they offer is offered by the room.
    """
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        elif len(parts) > 2:
            continue
        if not any(part.startswith("_") for part in parts):
            yield ".".join(parts)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    pages: list[dict[str, str]] = [{title: path} for path, title, _ in pages_of_parts() if title]
    pages += [{module: f"reference/{module}.md"} for module in sorted(public_modules())]
    for section in config.nav or []:
        if "Reference" in section:
            section["Reference"] += pages
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for module in public_modules():
        # The docstring's own first line is the best title, but mkdocs wants one for the menu.
        text = f"---\ntitle: {module}\n---\n\n::: {module}\n    options:\n      heading_level: 1\n"
        files.append(File.generated(config, f"reference/{module}.md", content=text))
    for path, _, text in pages_of_parts():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return OPENING_FENCE.sub(lambda fence: OUR_ATTRIBUTE.sub("", fence[0]), markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Take away the backslash before a bar in the code of a table: GitHub needs it, and here it is shown."""
    return re.sub(r"<td>.*?</td>", lambda cell: cell[0].replace("\\|", "|"), html, flags=re.DOTALL)


class OurDocstrings(griffe.Extension):
    """Read docstrings as we write them.

    A section may be called `Example:`; griffe knows only the plural. And `::` before an indented block, which
    Markdown shows as code anyhow, is for those who read the source.
    """

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring is not None:
            text = re.sub(r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE)
            obj.docstring.value = re.sub(r"(^|:):$", r"\1", text, flags=re.MULTILINE)
