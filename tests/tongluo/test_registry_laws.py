"""What must be true of every registry, whatever is in it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tongluo.registries import counties
from tongluo.region import County
from tongluo.registry import File, changes, faults_of, propose
from tongluo.registry.export import to_csv, to_geojson, to_toml, to_zip

FORMS = {
    "toml": lambda county: [File("county.toml", to_toml(county).encode())],
    "geojson": lambda county: [File("county.geojson", to_geojson(county).encode())],
    "csv": lambda county: [File(name, text.encode()) for name, text in to_csv(county).items()],
    "gb18030": lambda county: [File(name, text.encode("gb18030")) for name, text in to_csv(county).items()],
    "zip": lambda county: [File("county.zip", to_zip(to_csv(county)))],
}

# Timings decide nothing here.
unhurried = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@given(counties())
@unhurried
def test_what_is_made_up_here_has_no_fault(county: County) -> None:
    assert [str(fault) for fault in faults_of(county) if not fault.warning] == []


@pytest.mark.parametrize("form", FORMS)
@given(county=counties())
@unhurried
def test_what_is_exported_is_imported_as_it_was(form: str, county: County) -> None:
    proposal = propose(None, FORMS[form](county))
    assert [str(fault) for fault in proposal.faults if not fault.warning] == []
    assert proposal.county == county


@pytest.mark.parametrize("form", ["toml", "geojson", "csv"])
@given(old=counties(), new=counties())
@unhurried
def test_a_replacement_leaves_nothing_of_what_was(form: str, old: County, new: County) -> None:
    proposal = propose(old, FORMS[form](new), replace=True)
    assert proposal.county is not None, proposal.faults
    kept = {"places": old.places} if not new.places else {}
    for name in ("gateways", "sites", "stations", "responders", "places"):
        assert getattr(proposal.county, name) == kept.get(name, getattr(new, name)), name
    assert proposal.changes == changes(old, proposal.county)


@given(county=counties())
@unhurried
def test_nothing_differs_from_itself(county: County) -> None:
    assert changes(county, county) == []


@given(old=counties(), new=counties())
@unhurried
def test_a_difference_turned_round_is_the_way_back(old: County, new: County) -> None:
    there, back = changes(old, new), changes(new, old)
    assert len(there) == len(back)
    for one, other in zip(there, back, strict=True):
        assert {(f.field, f.old, f.new) for f in map(_hashable, one.fields)} == {
            (f.field, f.new, f.old) for f in map(_hashable, other.fields)
        }


def _hashable(change):  # type: ignore[no-untyped-def]
    return type(change)(change.field, repr(change.old), repr(change.new))


@pytest.mark.parametrize("suffix", [".toml", ".csv", ".geojson", ".zip", ""])
@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@unhurried
def test_whatever_comes_in_is_answered(suffix: str, content: bytes) -> None:
    proposal = propose(None, [File(f"x{suffix}", content)])
    assert proposal.county is None
    assert any(not fault.warning and fault.words.zh and fault.words.en for fault in proposal.faults)
