"""The AsyncAPI document is one by the specification's own schema, and says what ingest does."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import msgspec
import pytest

from services import asyncapi
from services.app import Running
from services.ingest import pipeline

SCHEMA = Path(__file__).parents[2] / "services/console/web/node_modules/@asyncapi/specs/schemas/3.0.0.json"
READING = {"station": "R-1", "metric": "rain", "time": "2026-07-01T02:15:00+08:00", "value": 0.5, "seq": 1823}


def validate(document: dict[str, Any]) -> None:
    assert SCHEMA.exists(), f"{SCHEMA} is missing: run `make web`"
    jsonschema.Draft7Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(document)


def test_it_is_an_asyncapi_document() -> None:
    validate(asyncapi.document())


def test_the_schema_would_notice() -> None:
    wrong = asyncapi.document()
    wrong["operations"]["receiveReadings"]["action"] = "obey"
    with pytest.raises(jsonschema.ValidationError):
        validate(wrong)


def test_every_format_that_is_read_has_a_channel() -> None:
    addresses = {channel.address for channel in asyncapi.CHANNELS}
    for kind in (*pipeline.DECODERS, "sl651"):
        assert f"tongluo/v1/{{gateway}}/{kind}" in addresses


def test_its_references_lead_somewhere() -> None:
    document = asyncapi.document()
    references = re.findall(r'"\$ref":"#/([^"]+)"', msgspec.json.encode(document).decode())
    assert references
    for reference in references:
        found: Any = document
        for part in reference.split("/"):
            found = found[part]


@pytest.mark.parametrize(
    ("payload", "valid"),
    [
        (READING, True),
        ([READING, READING], True),
        ({**READING, "value": "0.5"}, False),
        ({"station": "R-1"}, False),
    ],
)
def test_its_schema_of_readings_judges_as_ingest_does(payload: object, valid: bool) -> None:
    document = asyncapi.document()
    schema = document["components"]["messages"]["readings"]["payload"]["schema"]
    whole = {**schema, "components": document["components"]}
    assert jsonschema.Draft202012Validator(whole).is_valid(payload) is valid


async def test_it_is_published_without_a_log_in(program: Running) -> None:
    async with httpx.AsyncClient(base_url=program.http_url) as client:
        answer = await client.get("/api/v1/asyncapi.json")
    assert answer.json() == json.loads(msgspec.json.encode(asyncapi.document()))
