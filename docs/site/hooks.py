"""What the site needs beyond MkDocs: pages from outside docs/, and GitHub's anchors."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "sample_data/README.md")
FOLDER = "project"
TRANSCRIPT = "first-hour.md"
_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)\s#]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors they have on GitHub."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def slug(heading: str, separator: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", separator)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are outside docs/, and what the search needs to run from a folder."""
    added = {f"{FOLDER}/{name}": ROOT / name for name in OUTSIDE}
    added["assets/iframe-worker.js"] = Path(__file__).with_name("iframe-worker.js")
    for name, path in added.items():
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Point links between docs/ and the other pages to where they are on the site."""
    here = page.file.src_uri
    if here == TRANSCRIPT:  # else the guides come after them in most searches
        page.meta["search"] = {"exclude": True}

    def moved(match: re.Match[str]) -> str:
        folder = posixpath.dirname(_in_repository(here))
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        return posixpath.relpath(_on_site(target), posixpath.dirname(here) or ".")

    return _LINK.sub(moved, markdown)


def _in_repository(page: str) -> str:
    outside = page.startswith(f"{FOLDER}/")
    return page.removeprefix(f"{FOLDER}/") if outside else f"docs/{page}"


def _on_site(path: str) -> str:
    inside = path.startswith("docs/")
    return path.removeprefix("docs/") if inside else f"{FOLDER}/{path}"
