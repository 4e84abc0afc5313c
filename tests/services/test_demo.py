"""The demonstration in replay mode keeps apart from a live one."""

from pathlib import Path

import pytest

from services.demo import with_own_folder
from services.settings import read_settings


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, "data"),
        ({"TONGLUO_CLOCK": "wall"}, "data"),
        ({"TONGLUO_CLOCK": "event"}, "data-replay"),
        ({"TONGLUO_CLOCK": "event", "TONGLUO_DATA": ""}, "data-replay"),
        ({"TONGLUO_CLOCK": "event", "TONGLUO_DATA": "elsewhere"}, "elsewhere"),
        ({"TONGLUO_CLOCK": "event", "TONGLUO_DATA": "data"}, "data"),  # asked for by name
    ],
)
def test_a_replay_has_a_folder_of_its_own_unless_one_is_set(environment: dict[str, str], folder: str) -> None:
    given = read_settings(environment={"PATH": "/bin", **environment})
    assert with_own_folder(given).data == Path(folder)
