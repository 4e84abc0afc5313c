"""What docs/registry.md shows is read as it says, and says every field there is."""

import re
from pathlib import Path

import msgspec

from services.__main__ import parser
from services.counties import chosen
from services.settings import Settings
from tongluo.quality import Limits
from tongluo.registry import File, propose
from tongluo.registry.kinds import CHINESE, KINDS

TEXT = (Path(__file__).parents[2] / "docs/registry.md").read_text("utf-8")


def test_the_examples_are_read_without_a_fault() -> None:
    examples = re.findall(r"```(csv|toml|json)\n(.*?)```", TEXT, flags=re.DOTALL)
    assert {form for form, _ in examples} == {"csv", "toml", "json"}
    for form, text in examples:
        proposal = propose(chosen(Settings()), [File(f"x.{form}", text.encode())])
        assert proposal.faults == []
        assert {change.what for change in proposal.changes} == {"added"}


def test_every_field_is_explained() -> None:
    for kind in KINDS.values():
        for name in kind.fields:
            assert re.search(rf"[`.]{name}[`.]", TEXT), f"{kind.name}.{name}"
    for name in Limits.__struct_fields__:
        assert f".{name}`" in TEXT


def test_every_chinese_column_that_is_named_is_understood() -> None:
    table = TEXT[TEXT.index("| of | field |") :]
    named = {
        name
        for row in re.findall(r"^\| [^|]*\| [^|]*\| ([^|]*)\|", table, re.MULTILINE)
        for name in row.strip().split("、")
    }
    assert named - {"", "列名", "---"} <= set(CHINESE)


def test_the_commands_exist() -> None:
    block = re.search(r"```sh\n(.*?)```", TEXT, flags=re.DOTALL)
    assert block is not None
    for line in block[1].splitlines():
        words = line.partition("#")[0].split()[1:]
        assert parser().parse_args(words).task == words[1]


def test_fields_in_the_page_are_those_of_the_registry() -> None:
    page = Path(__file__).parents[2] / "services/console/web/src/registry/fields.ts"
    source = page.read_text("utf-8")
    for kind in ("station", "site", "gateway", "responder"):
        for field in msgspec.structs.fields(KINDS[kind].type):
            named = f"name: '{field.name}'" in source or f"entry.{field.name}" in source
            assert named, f"{kind}.{field.name}"
    for name in Limits.__struct_fields__:
        assert f"'{name}'" in source
