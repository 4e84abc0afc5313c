"""The texts of a catalogue's folder, or of the catalogue that comes with the program."""

import importlib.resources
from importlib.resources.abc import Traversable
from pathlib import Path

from services.rules.catalogue.read import MOST_FILE_BYTES, MOST_FILES
from tongluo.errors import RuleError, RuleFault
from tongluo.hazards import Words


def load(folder: Path | None = None) -> dict[str, str]:
    """The rule files (*.toml) and tables (*.csv) of a folder, by name; None: the shipped ones.

    UTF-8 with or without its mark; tables also GB18030, as spreadsheets save on a Chinese desktop. Raises RuleError with
    every file that cannot be read.
    """
    place: Traversable = folder if folder is not None else importlib.resources.files(__package__)
    try:
        names = sorted(
            each.name for each in place.iterdir() if each.name.endswith((".toml", ".csv")) and each.is_file()
        )
    except OSError as error:
        words = Words(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}")
        raise RuleError([RuleFault(words, str(folder))]) from error
    found: dict[str, str] = {}
    faults: list[RuleFault] = []
    for name in names[: MOST_FILES + 1]:
        text = _text(place.joinpath(name))
        if isinstance(text, Words):
            faults.append(RuleFault(text, name))
        else:
            found[name] = text
    if faults:
        raise RuleError(faults)
    return found


def _text(file: Traversable) -> str | Words:
    """A file's text, or why it has none."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        return Words(f"无法读取：{error.strerror}", f"cannot be read: {error.strerror}")
    if len(content) > MOST_FILE_BYTES:
        return Words("大于 1 MiB", "is larger than 1 MiB")
    for encoding in ("utf-8-sig", "gb18030") if file.name.endswith(".csv") else ("utf-8-sig",):
        try:
            return content.decode(encoding).replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
    return Words("不是 UTF-8 编码", "is not UTF-8")
