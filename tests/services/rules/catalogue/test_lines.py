"""Lines of TOML documents: whatever tomllib accepts is located, key by key."""

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.rules.catalogue.lines import Path, lines_of


def paths(value: Any, path: Path = ()) -> list[Path]:
    """Every path of a document."""
    found = [path]
    if isinstance(value, dict):
        found += (each for name, inner in value.items() for each in paths(inner, (*path, name)))
    if isinstance(value, list):
        found += (each for n, inner in enumerate(value) for each in paths(inner, (*path, n)))
    return found


def test_keys_elements_and_tables_are_found_where_they_stand() -> None:
    text = '''\
a = 1 # b = 2
"q.x" = """
not = "a key"
[[nor.a.table]]
"""
c.d = { e = [ 1, "]" ], 'f' = {} }

[[item]]
id = "x"
[item.levels]
rain = { red = 3 }
[[item]]
list = [
  { rule = "a" },
  # comment ] } "
  { rule = "b", of = [
    1,
  ] },
]
[[item.line]]
n = 1
[[item.line]]
n = 2
'''
    found = lines_of(text)
    assert set(paths(tomllib.loads(text))) <= set(found)
    expected: dict[Path, int] = {
        ("a",): 1,
        ("q.x",): 2,
        ("c", "d", "e"): 6,
        ("c", "d", "f"): 6,
        ("item",): 8,
        ("item", 0, "id"): 9,
        ("item", 0, "levels"): 10,
        ("item", 0, "levels", "rain", "red"): 11,
        ("item", 1): 12,
        ("item", 1, "list", 0, "rule"): 14,
        ("item", 1, "list", 1, "of", 0): 17,
        ("item", 1, "line", 0, "n"): 21,
        ("item", 1, "line", 1): 22,
    }
    assert {path: found.get(path) for path in expected} == expected


scalars = st.sampled_from(
    ["1", "-2.5", '"t]e}x,t#"', "'l=t'", "true", "1979-05-27 07:32:00", '"""a\nb"""', "inf"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: "[\n" + ",\n".join(parts) + "]")
        | st.lists(
            st.tuples(st.sampled_from("abcd"), scalars), max_size=3, unique_by=lambda pair: pair[0]
        ).map(lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}")
    ),
    max_leaves=6,
)


@given(st.lists(st.tuples(st.sampled_from(["", "[[t]]\n", "\n", "# [x]\n"]), values), max_size=8))
def test_every_path_of_what_parses_has_a_line_within_the_text(parts: list[tuple[str, str]]) -> None:
    text = "".join(f"{before}k{n} = {value}\n" for n, (before, value) in enumerate(parts))
    found = lines_of(text)
    written = text.split("\n")
    for path in paths(tomllib.loads(text)):
        line = found[path]
        if path and isinstance(path[-1], str):
            assert path[-1] in written[line - 1]
