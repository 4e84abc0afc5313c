"""The schema of a rule file says what the reader takes: nothing drifts."""

import tomllib
from pathlib import Path

import jsonschema
import msgspec
import pytest

from services.rules.catalogue import load
from services.rules.catalogue.schema import schema
from tests.services.rules.catalogue.files import COMPOUND, POND, RAIN

ROOT = Path(__file__).parents[4]
RULES = {name: text for name, text in load().items() if name.endswith(".toml")}
VALIDATOR = jsonschema.Draft202012Validator(msgspec.json.decode(schema()))


def test_the_schema_in_the_documents_is_the_present_one() -> None:
    written = (ROOT / "docs/rules.schema.json").read_text("utf-8")
    assert written == schema(), "run: tongluo rules schema --out docs/rules.schema.json"


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_shipped_rule_keeps_to_it_and_says_so(name: str) -> None:
    VALIDATOR.validate(tomllib.loads(RULES[name]))
    first = RULES[name].split("\n", 1)[0]
    said = first.removeprefix("#:schema ")
    assert (ROOT / "services/rules/catalogue" / said).resolve() == ROOT / "docs/rules.schema.json"


@pytest.mark.parametrize("text", [RAIN, POND, COMPOUND])
def test_other_rules_that_can_be_read_keep_to_it(text: str) -> None:
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("orange = 75.0", 'orange = "75"'),
        ("orange = 75.0", "organe = 75.0"),
        ('metric = "rain"\n', ""),
        ('sum = "1h"', 'sum = "1 hour"'),
        ('late = "1h"', 'kind = "fire"'),
    ],
)
def test_what_the_reader_refuses_an_editor_marks(old: str, new: str) -> None:
    assert not VALIDATOR.is_valid(tomllib.loads(RAIN.replace(old, new)))
