"""The JSON Schema of a rule file, made of the types that read it, for editors and other programs."""

import json

import msgspec

from services.rules.catalogue.shape import FILES


def schema() -> str:
    """The text of docs/rules.schema.json (JSON Schema 2020-12)."""
    of, types = msgspec.json.schema_components(FILES.values(), ref_template="#/$defs/{name}")
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tongluo rule file",
        "oneOf": list(of),
        "$defs": types,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"
