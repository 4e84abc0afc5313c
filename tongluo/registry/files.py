"""What a file is, told from its name and its beginning; its text, whatever the spreadsheet wrote; its rows."""

import io
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import PurePath
from typing import Final

from tongluo.hazards import Words
from tongluo.registry import csv_file, geojson_file, toml_file
from tongluo.registry.rows import MOST_FILE_BYTES, MOST_ROWS, Fault, File, Found

_READERS: Final = {
    ".toml": toml_file.read,
    ".csv": csv_file.read,
    ".tsv": csv_file.read,
    ".txt": csv_file.read,
    ".geojson": geojson_file.read,
    ".json": geojson_file.read,
}
_MOST_FILES_IN_ZIP: Final = 50


def read(files: Iterable[File], most_rows: int = MOST_ROWS) -> Found:
    """Every row of every file, and every fault."""
    found = Found()
    size = 0
    for file in _unpacked(files, found):
        size += len(file.content)
        if size > MOST_FILE_BYTES:
            megabytes = MOST_FILE_BYTES // 1024 // 1024
            words = Words(
                f"文件合计超过 {megabytes} MiB", f"the files have more than {megabytes} MiB together"
            )
            found.faults.append(Fault(words, file.name))
            break
        text = _text(file, found)
        if text is not None:
            one = _READERS[_form(file)](file.name, text)
            found.rows += one.rows
            found.faults += one.faults
        if len(found.rows) > most_rows:
            words = Words(f"超过 {most_rows} 行", f"has more than {most_rows} rows")
            found.faults.append(Fault(words, file.name))
            break
    return found


def _unpacked(files: Iterable[File], found: Found) -> Iterable[File]:
    for file in files:
        if file.content[:4] == b"PK\x03\x04":
            yield from _from_zip(file, found)
        else:
            yield file


def _from_zip(file: File, found: Found) -> Iterable[File]:
    """The files in a zip archive, never more of them or of their bytes than are allowed."""
    name = PurePath(file.name).suffix.lower()
    if name in (".xlsx", ".xls", ".xlsm"):
        words = Words(
            "是 Excel 工作簿：请另存为 CSV UTF-8", "is an Excel workbook: save each sheet as CSV UTF-8"
        )
        found.faults.append(Fault(words, file.name))
        return
    try:
        with zipfile.ZipFile(io.BytesIO(file.content)) as archive:
            inside = [info for info in archive.infolist() if not info.is_dir()]
            if len(inside) > _MOST_FILES_IN_ZIP:
                words = Words(
                    f"压缩包内超过 {_MOST_FILES_IN_ZIP} 个文件", f"holds more than {_MOST_FILES_IN_ZIP} files"
                )
                found.faults.append(Fault(words, file.name))
                return
            for info in inside:
                with archive.open(info) as content:
                    # The size in the archive's own list may be a lie: what is read is what counts.
                    yield File(f"{file.name}/{info.filename}", content.read(MOST_FILE_BYTES + 1))
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
    ) as error:
        words = Words(f"压缩包无法读取：{error}", f"the archive cannot be read: {error}")
        found.faults.append(Fault(words, file.name))


def _form(file: File) -> str:
    """The suffix of a file, or what its beginning looks like."""
    suffix = PurePath(file.name).suffix.lower()
    if suffix in _READERS:
        return suffix
    head = file.content[:1000].removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"{"):
        return ".geojson"
    return ".toml" if head.startswith((b"[", b"#")) else ".csv"


def _text(file: File, found: Found) -> str | None:
    """UTF-8 with or without its mark, UTF-16 with its mark, else GB18030, as Excel saves on a Chinese desktop."""
    content = file.content
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError as not_utf8:
        try:
            text = content.decode("gb18030")
        except UnicodeDecodeError:
            line = content.count(b"\n", 0, not_utf8.start) + 1
            words = Words("既不是 UTF-8 也不是 GB18030 编码", "is neither UTF-8 nor GB18030")
            found.faults.append(Fault(words, file.name, line))
            return None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        words = Words("含有空字符：不是文本文件", "contains NUL: it is no text file")
        found.faults.append(Fault(words, file.name, line))
        return None
    # One way to end a line, so that every reader counts the same.
    return text.replace("\r\n", "\n").replace("\r", "\n")
