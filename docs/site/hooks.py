"""What MkDocs cannot do alone: pages that are not in `docs`, and links out of the site.

A page has the same links in the repository and on the site. A link to a file that is no page leads to the file itself
if it belongs to an example; of any other the text remains, if the file exists.
"""

from __future__ import annotations

import logging
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
# Warnings are errors: the site is built with --strict.
_log = logging.getLogger("mkdocs.hooks")

_PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
_LINK = re.compile(r"(!?)\[((?:[^\[\]`]|`[^`]*`)*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_CODE = re.compile(r"^( *)(```+)[^\n]*\n.*?^\1\2\s*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_HOME = "README.md"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    decisions = sorted(file.name for file in (ROOT / "docs" / "decisions").glob("*.md"))
    config.nav = _with(config.nav, "decisions", {"Decisions": [f"decisions/{name}" for name in decisions]})
    return config


def _with(nav: Any, place: str, section: dict[str, Any]) -> Any:
    if isinstance(nav, list):
        return [section if entry == place else _with(entry, place, section) for entry in nav]
    if isinstance(nav, dict):
        return {title: _with(entry, place, section) for title, entry in nav.items()}
    return nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    outside = [ROOT / name for name in _PAGES if (ROOT / name).exists()]
    outside += [file for file in sorted((ROOT / "examples").rglob("*")) if _belongs_to_the_site(file)]
    for file in outside:
        files.append(File.generated(config, file.relative_to(ROOT).as_posix(), abs_src_path=str(file)))
    return files


def _belongs_to_the_site(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts and "wheels" not in file.parts


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = posixpath.dirname(_in_repository(page.file))
    pages = {_in_repository(file): file.src_uri for file in files}

    def on_the_site(link: re.Match[str]) -> str:
        picture, text, target, anchor = link[1], link[2], link[3], link[4] or ""
        if not target or ":" in target:
            return link[0]
        path = posixpath.normpath(posixpath.join(here, target))
        if path in pages:
            uri = posixpath.relpath(pages[path], posixpath.dirname(page.file.src_uri) or ".")
            return f"{picture}[{text}]({uri}{anchor})"
        if picture or not (ROOT / path).exists():
            _log.warning("%s: there is no %s", page.file.src_uri, path)
        if path == "docs/decisions":
            first = min(uri for uri in pages.values() if uri.startswith("decisions/"))
            return f"[{text}]({posixpath.relpath(first, posixpath.dirname(page.file.src_uri) or '.')})"
        return text

    return _outside_of_code(markdown, on_the_site)


def _outside_of_code(markdown: str, replace: Any) -> str:
    """Replaces links where Markdown has links: not in blocks or spans of code."""
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        # A link's text may be code, so a span of code within brackets stays with its link.
        if not code[2]:
            continue
        parts += [_LINK.sub(replace, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(replace, markdown[end:])])


def _in_repository(file: File) -> str:
    return file.src_uri if file.generated_by else f"docs/{file.src_uri}"


# --- Nothing is fetched from elsewhere -------------------------------------------------------------------------------

_FETCHED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class _Fetched(HTMLParser):
    """What a browser fetches to show the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        address = attributes.get(_FETCHED.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")) and attributes.get("rel") != "canonical":
            self.addresses.append(address)


def on_post_build(config: MkDocsConfig) -> None:
    for file in sorted(Path(config.site_dir).rglob("*.html")):
        fetched = _Fetched()
        fetched.feed(file.read_text())
        for address in fetched.addresses:
            _log.warning("%s fetches %s", file.relative_to(config.site_dir), address)
