"""TOML: `[county]`, `[[township]]`, `[[division]]`, `[[gateway]]`, `[[site]]`, `[[station]]`, `[[responder]]`.

The standard parser judges the file but tells no lines; they are found beside it by a scanner that only has to
understand what the parser has accepted (docs/decisions/0016-lines-of-registry-files.md).
"""

import re
import tomllib
from collections.abc import Iterator
from typing import Any, Final

from tongluo.hazards import Words
from tongluo.registry.kinds import KINDS
from tongluo.registry.rows import MOST_ROWS, Fault, Found, Row

Path = tuple[str, ...]

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[{]|[\]}]|\n|[^\"'\#\[\]{}\n]+",
    re.DOTALL,
)
_HEADER: Final = re.compile(r"\s*(\[\[?)([^\n]*?)\]")
_KEY: Final = re.compile(
    r"""\s*((?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)\s*="""
)
_PART: Final = re.compile(r"""[\w-]+|"[^"\n]*"|'[^'\n]*'""")


def read(name: str, text: str) -> Found:
    """The rows of a file, or why it is not TOML."""
    found = Found()
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        told = re.search(r"at line (\d+)", str(error))
        words = Words(f"不是 TOML：{error}", f"not TOML: {error}")
        found.faults.append(Fault(words, name, int(told[1]) if told else None))
        return found
    lines = lines_of(text)
    for table, content in tables.items():
        entries = [content] if table == "county" and isinstance(content, dict) else content
        line = lines.get((table, 0), {}).get((), lines.get(("", 0), {}).get((table,), 1))
        if table not in KINDS:
            words = Words(
                f"没有 [{table}] 这种表；有 {', '.join(KINDS)}",
                f"unknown table [{table}]; known are {', '.join(KINDS)}",
            )
            found.faults.append(Fault(words, name, line))
        elif not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            brackets = f"[{table}]" if table == "county" else f"[[{table}]]"
            words = Words(f"{table} 应写成 {brackets} 表", f"{table}: write it as {brackets} tables")
            found.faults.append(Fault(words, name, line))
        else:
            for nth, entry in enumerate(entries[: MOST_ROWS + 1]):
                known = lines.get((table, nth), {})
                found.rows.append(Row(table, entry, name, known.get((), line), known))
    return found


def lines_of(text: str) -> dict[tuple[str, int], dict[Path, int]]:
    """The lines of a TOML document that parses: by table and its number, of the table itself (`()`) and of its keys."""
    found: dict[tuple[str, int], dict[Path, int]] = {}
    counts: dict[str, int] = {}
    current = found.setdefault(("", 0), {})
    prefix: Path = ()
    for line, statement in _statements(text):
        if header := _HEADER.match(statement):
            path = _path(header[2])
            if header[1] == "[[" and len(path) == 1:
                counts[path[0]] = counts.get(path[0], -1) + 1
            current = found.setdefault((path[0], counts.get(path[0], 0)), {})
            prefix = path[1:]
            current.setdefault(prefix, line)
        elif key := _KEY.match(statement):
            current.setdefault((*prefix, *_path(key[1])), line)
    return found


def _path(dotted: str) -> Path:
    return tuple(part[0].strip("\"'") for part in _PART.finditer(dotted))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The first line of each statement with its line number: lines that begin inside nothing."""
    line, start, depth = 1, 0, 0
    fresh = True
    for token in _TOKEN.finditer(text):
        part = token[0]
        if fresh:
            end = text.find("\n", start)
            yield line, text[start : end if end >= 0 else len(text)]
            fresh = False
        if part in ("[", "{"):
            depth += 1
        elif part in ("]", "}"):
            depth -= 1
        line += part.count("\n")
        if part == "\n" and depth == 0:
            start, fresh = token.end(), True
