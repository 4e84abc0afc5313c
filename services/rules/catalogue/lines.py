"""Where in a TOML file something stands: the line of every key, of every element, of every table.

`tomllib` judges a file and tells no lines; this only locates, in a text that `tomllib` has accepted
(docs/decisions/0016-lines-of-registry-files.md). One pass over the tokens.
"""

import re
from typing import Final

Path = tuple[str | int, ...]

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|\n"
    r"|[\[\]{},=]"
    r"|[^\s\"'\#\[\]{},=]+",
    re.DOTALL,
)
_PART: Final = re.compile(r"""[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*'""")


def lines_of(text: str) -> dict[Path, int]:
    """By path (keys by name, elements of arrays by number, from 0) the line, from 1, on which it is first said."""
    locator = _Locator(text)
    locator.document()
    return locator.found


class _Locator:
    """Walks over the tokens; `at` is the next one."""

    def __init__(self, text: str) -> None:
        self.found: dict[Path, int] = {(): 1}
        self._counts: dict[Path, int] = {}
        self._tokens: list[tuple[str, int]] = []
        self._at = 0
        line = 1
        for token in _TOKEN.finditer(text):
            part = token[0]
            if not part.startswith("#"):
                self._tokens.append((part, line))
            line += part.count("\n")

    def document(self) -> None:
        table: Path = ()
        while self._at < len(self._tokens):
            match self._peek():
                case "\n":
                    self._at += 1
                case "[":
                    table = self._header()
                case _:
                    self._pair(table)

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str, int]:
        self._at += 1
        return self._tokens[self._at - 1]

    def _header(self) -> Path:
        """`[a.b]` or `[[a.b]]`: the path of the table that begins; an array of tables leads into its newest one."""
        line = self._take()[1]
        repeated = self._peek() == "["
        if repeated:
            self._at += 1
        *above, last = self._keys("]")
        self._at += 2 if repeated else 1
        path: Path = ()
        for key in above:
            path = self._newest((*path, key))
        path = (*path, last)
        if repeated:
            self._counts[path] = self._counts.get(path, -1) + 1
            self.found.setdefault(path, line)
        path = self._newest(path)
        self.found.setdefault(path, line)
        return path

    def _newest(self, path: Path) -> Path:
        return (*path, self._counts[path]) if path in self._counts else path

    def _keys(self, end: str) -> list[str]:
        """The parts of a dotted key, up to `end`."""
        written = ""
        while self._peek() != end:
            written += self._take()[0]
        return [_plain(part[0]) for part in _PART.finditer(written)]

    def _pair(self, table: Path) -> None:
        line = self._tokens[self._at][1]
        path = table
        for key in self._keys("="):
            path = (*path, key)
            self.found.setdefault(path, line)
        self._at += 1
        self._value(path)

    def _value(self, path: Path) -> None:
        match self._peek():
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case _:
                while self._peek() not in ("\n", ",", "]", "}", ""):
                    self._at += 1

    def _array(self, path: Path) -> None:
        self._at += 1
        count = 0
        while (token := self._peek()) != "]":
            if token in ("\n", ","):
                self._at += 1
                continue
            self.found.setdefault((*path, count), self._tokens[self._at][1])
            self._value((*path, count))
            count += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while (token := self._peek()) != "}":
            if token in ("\n", ","):
                self._at += 1
            else:
                self._pair(path)
        self._at += 1


def _plain(key: str) -> str:
    """A key without its quotes. One with escapes keeps them: what it is called is said by the fault, only its line here."""
    return key[1:-1] if key[0] in "\"'" else key
