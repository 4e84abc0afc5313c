"""What the documents say is what the program does."""

import re
import shlex
from importlib.resources import files
from pathlib import Path

import pytest

from services.__main__ import parser
from services.counties import chosen
from services.ingest import pipeline
from services.rules.catalogue import load, read_catalogue
from services.settings import Settings
from tongluo.reading import METRICS
from tongluo.topics import TOPICS

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/*.md")])
READMES = [ROOT / "README.md", ROOT / "README.zh-CN.md"]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_exist(document: Path) -> None:
    for name in re.findall(
        r"`((?:services|tongluo|sensors|tests|deploy|docs)/[\w./-]+)`", document.read_text("utf-8")
    ):
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_commands_of_the_readme_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"make (?:-s )?([a-z][a-z-]*)", text)) <= targets
    for line in re.findall(r"^(?:TONGLUO_\S+ )?\.venv/bin/tongluo (.+)$", text, flags=re.MULTILINE):
        words = [word for word in shlex.split(line, comments=True) if word != "&"]
        assert parser().parse_args(words).command == words[0]


@pytest.mark.parametrize("document", READMES, ids=lambda path: path.name)
def test_the_reading_of_the_readme_is_taken(document: Path) -> None:
    [(gateway, station, metric)] = re.findall(
        r"tongluo/v1/([\w-]+)/readings \\\n\s+-m '{\"station\":\"([\w-]+)\",\"metric\":\"(\w+)\"",
        document.read_text("utf-8"),
    )
    known = chosen(Settings()).stations[station]
    assert known.gateway == gateway
    assert metric in known.metrics


def test_every_setting_is_explained_with_its_default() -> None:
    text = (ROOT / "docs/settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `TONGLUO_(\w+)` \| (.*?) \|", text, flags=re.MULTILINE))
    assert {name.lower() for name in rows} == set(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, str | int):
            assert rows[name.upper()] == f"`{field.default}`", name


def test_every_metric_is_in_the_contract() -> None:
    text = (ROOT / "docs/contracts.md").read_text("utf-8")
    missing = [name for name in METRICS if f"`{name}`" not in text and not name.startswith("displacement_")]
    assert missing == []


def test_every_code_of_refusal_is_in_the_contract() -> None:
    text = (ROOT / "docs/contracts.md").read_text("utf-8")
    sources = [Path(pipeline.__file__), Path(pipeline.__file__).parent / "decoders" / "native.py"]
    codes = {
        code
        for s in sources
        for code in re.findall(r"^\s+\"([a-z]+(?:_[a-z]+)+)\",$", s.read_text("utf-8"), re.MULTILINE)
    }
    assert codes
    assert [code for code in codes if f"`{code}`" not in text] == []


def test_the_drawing_names_what_is_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text("utf-8")
    for topic in TOPICS:
        assert f"[{topic.name}]" in text
    for package in ("ingest", "rules", "notify", "console"):
        assert f"services/{package}" in text


def test_the_rules_page_names_every_shipped_rule() -> None:
    text = (ROOT / "docs/rules.md").read_text("utf-8")
    for rule in read_catalogue(load()).rules:
        assert f"`{rule.id}`" in text


def test_the_county_comes_with_the_package() -> None:
    assert (files("sensors.simulator") / "profiles" / "qingtian" / "county.toml").is_file()
