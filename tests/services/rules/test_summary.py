"""What the page is told of a catalogue."""

import msgspec

from services.rules.catalogue.read import read_catalogue
from services.rules.summary import summary
from tests.services.console.rooms import FILES, POND


def test_the_summary_names_every_kind_of_rule() -> None:
    fire = 'id = "forest_fire"\nhazard = "forest_fire"\nkind = "fire"\nsource = "s"\nname = { zh = "火", en = "Fire" }\n'
    silent = 'id = "silence"\nhazard = "silence"\nkind = "silence"\nsource = "s"\nname = { zh = "断", en = "Silence" }\n'
    both = """
id = "both"
hazard = "landslide_compound"
kind = "compound"
source = "s"
name = { zh = "两者", en = "Both" }
kinds = ["slope"]
[[line]]
level = "red"
when = { all = [{ rule = "rainstorm", level = "red", near_km = 5.0 }, { rule = "tailings", level = "red" }] }
"""
    files = {**FILES, "pond.toml": POND, "fire.toml": fire, "silence.toml": silent, "both.toml": both}
    found = {rule["id"]: rule for rule in summary(read_catalogue(files))}
    assert {name: rule["kind"] for name, rule in found.items()} == {
        "rainstorm": "station", "tailings": "station", "forest_fire": "fire", "silence": "silence", "both": "compound",
    }  # fmt: skip
    assert found["silence"]["says"]["worse_after"] == 86_400.0
    assert found["both"]["says"]["lines"][0]["level"] == "red"
    assert found["rainstorm"]["items"][0]["indicators"][0]["function"] == "sum"
    # All of it is JSON.
    assert msgspec.json.decode(msgspec.json.encode(found)) == found
