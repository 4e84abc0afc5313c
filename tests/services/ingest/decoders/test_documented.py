"""Every code a decoder refuses with is in its format's table of bad input, and every code in a table is one of these."""

import re
from pathlib import Path

import pytest

from services.ingest import decoders, pipeline

HERE = Path(decoders.__file__).parent
PAGE = Path(__file__).parents[4] / "docs" / "formats.md"
SECTIONS = {
    "SenML": ["senml.py"],
    "Geohazard IoT payload": ["cgs.py"],
    "Camera detections": ["detections.py", "parts.py"],
    "Sparkplug B": ["sparkplug.py"],
}
# Said by parts of the program that several formats share.
SHARED = {"too_many_readings", "not_a_camera"}


def section(title: str) -> str:
    [found] = re.findall(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.mark.parametrize("title", SECTIONS)
def test_every_code_is_explained(title: str) -> None:
    source = "".join((HERE / name).read_text("utf-8") for name in SECTIONS[title])
    used = set(re.findall(r"\"([a-z]+(?:_[a-z]+)+)\"", source)) - {"float_value", "double_value"}
    rows = [line.split("|")[1] for line in section(title).splitlines() if line.startswith("| `")]
    told = {code for row in rows for code in re.findall(r"`([a-z]+(?:_[a-z]+)+)`", row)}
    assert told - SHARED <= used
    codes = {code for code in used if re.search(rf"(?:refuse|What|_wrong|_stillborn)\(\s*\"{code}\"", source)}
    assert codes
    assert codes - told - SHARED == set()


def test_every_topic_is_listed() -> None:
    text = PAGE.read_text("utf-8")
    for kind in pipeline.DECODERS:
        assert f"`tongluo/v1/{{gw}}/{kind}`" in text
