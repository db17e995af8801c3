"""The site of docs/: all pages are in its navigation, and the command line describes itself.

The README is on the first page, links that leave docs/ are texts, and where a page says
``{{commands}}`` the commands stand with their options, from the parser that reads them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_OUTSIDE = re.compile(
    r"\[([^\]]+)\]\((?:\.\./[^)]+|(?:CONTRIBUTING|CHANGELOG|README)\.md|CITATION\.cff|LICENSE)\)"
)


def on_files(files: Any, config: Any) -> Any:
    """Put the pages that the list of pages does not name among the how-to pages."""
    named = str(config.nav)
    for file in files.documentation_pages():
        if file.src_uri not in named:
            next(each["How to"] for each in config.nav if "How to" in each).append(file.src_uri)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the README below the first page, and leave out links to files that are no pages."""
    if page.file.src_uri == "index.md":
        readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n")[2]
        markdown += readme.replace("](docs/", "](")
    markdown = markdown.replace("{{commands}}", "\n".join(commands()))
    return _OUTSIDE.sub(r"\1", markdown)


def commands() -> Iterator[str]:
    """Yield the reference of all commands, as Markdown."""
    from memori.cli import parser

    chosen = next(each for each in parser()._actions if isinstance(each.choices, dict))
    for name, command in chosen.choices.items():
        yield f"\n## memori {name}\n"
        yield f"{_escaped(command.description or '')}\n"
        yield "| word | means |\n| --- | --- |"
        for action in command._actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"| {_words(action)} | {_escaped((action.help or '') % vars(action))} |"


def _words(action: argparse.Action) -> str:
    choices = action.choices and "\\|".join(map(str, action.choices))
    value = action.metavar or choices or (action.dest if action.nargs != 0 else "")
    values = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{values}`"
    return ", ".join(f"`{each} {values}`".replace(" `", "`") for each in action.option_strings)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
