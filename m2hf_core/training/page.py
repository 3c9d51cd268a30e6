"""The report's Markdown as one HTML file: only what the report uses (headings, tables, paragraphs, bold, code)."""

from __future__ import annotations

import re
from html import escape

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    ":root{color-scheme:light dark}"
    "table{border-collapse:collapse;margin:.5rem 0}"
    "td,th{border-bottom:1px solid #8884;padding:.2rem .6rem;text-align:left}"
    "figure{display:inline-block;margin:.5rem 1rem .5rem 0}figcaption{font-size:12px}svg{border:1px solid #8884}"
)
_AFTER_HEADING = "## Curves"


def as_html(text: str, pictures: str) -> str:
    """`pictures` are put under the heading "Curves", in place of its table."""
    parts = []
    blocks = text.split("\n\n")
    for number, block in enumerate(blocks):
        if number and blocks[number - 1] == _AFTER_HEADING:
            parts.append(pictures)
        else:
            parts.append(_block(block))
    title = escape(blocks[0].lstrip("# "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _block(block: str) -> str:
    if heading := re.match(r"(#+) (.*)", block):
        level = len(heading[1])
        return f"<h{level}>{_inline(heading[2])}</h{level}>\n"
    if block.startswith("|"):
        head, _, *rows = block.strip().split("\n")
        body = "".join(f"<tr>{_cells(row, 'td')}</tr>" for row in rows)
        return f"<table><tr>{_cells(head, 'th')}</tr>{body}</table>\n"
    return f"<p>{_inline(block.strip())}</p>\n"


def _cells(row: str, tag: str) -> str:
    return "".join(f"<{tag}>{_inline(cell.strip())}</{tag}>" for cell in row.strip().strip("|").split("|"))


def _inline(text: str) -> str:
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(text.strip()))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)
