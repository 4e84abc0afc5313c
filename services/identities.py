"""The credentials of gateways and of ingest, from the registry: made once, kept, renewed, revoked.

A gateway's user name is its id. It may publish below `tongluo/v1/{id}/` and read its own commands, nothing else.
"""

import csv
import io
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services import access
from services.access import INGEST
from services.admin.files import read, write
from services.settings import mqtt_address
from tongluo.errors import SettingsError
from tongluo.region import County

# More processes than that would be no help: the event log has twelve partitions for readings.
MOST_INGESTS: Final = 12

# Without what is mistaken for another when typed into a gateway at the foot of a slope: 0 O, 1 l I.
_LETTERS: Final = "23456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
# 57 ** 24 is 140 bits: nothing that hashing slowly would have to protect.
_PASSWORD_LENGTH: Final = 24


@dataclass(frozen=True)
class Changes:
    """What an update did: users by what became of them, and the files that were written."""

    users: Sequence[str]
    new: Sequence[str]
    rotated: Sequence[str]
    gone: Sequence[str]
    written: Sequence[str]


def update(
    county: County,
    out: Path,
    rotate: Collection[str] = (),
    address: str | None = None,
    ingests: int | None = None,
) -> Changes:
    """Write what is not yet as the registry has it. `address`: where ingest finds the broker; kept once given.

    `ingests`: how many processes share the field, each a user of its own with ingest's password, so that one can take
    what another left; kept once given. Raises SettingsError, MissingPartError.
    """
    known = read_credentials(read(out / "credentials.csv"))
    members = members_of(known, ingests)
    users = users_of(county, members)
    unknown = sorted(set(rotate) - set(users))
    if unknown:
        raise SettingsError(f"--rotate {', '.join(unknown)}: not registered in {county.name}")
    address = _checked(address or read(out / "ingest.address").strip() or None)
    credentials = renewed(known, users, rotate)
    credentials |= dict.fromkeys(members, credentials[INGEST])
    contents = {
        # First what cannot be made again: a password that a gateway may already have.
        "credentials.csv": (credentials_csv(credentials), 0o600),
        "passwords": (passwords(credentials, read(out / "passwords")), 0o640),
        "acl": (acl(county, users), 0o640),
    }
    if address is not None:
        user = "{client}" if members else INGEST
        contents["ingest.address"] = (with_user(address, user, credentials[INGEST]), 0o640)
    written = [name for name, (content, mode) in contents.items() if write(out / name, content, mode)]
    new = [user for user in users if user not in known]
    return Changes(users, new, sorted(set(rotate)), sorted(set(known) - set(users)), written)


def folder_of(data: Path) -> Path:
    """Where an installation with the embedded broker keeps them."""
    return data / "gateways"


def members_of(known: Iterable[str], ingests: int | None) -> list[str]:
    """The users of ingest processes that share the field: so many, or those there are."""
    if ingests is None:
        return sorted(user for user in known if re.fullmatch(rf"{INGEST}-\d+", user))
    if not 0 <= ingests <= MOST_INGESTS:
        raise SettingsError(f"--ingests must be from 0 to {MOST_INGESTS}, got {ingests}")
    return [f"{INGEST}-{number}" for number in range(ingests)]


def users_of(county: County, members: Iterable[str] = ()) -> list[str]:
    """Everyone who may connect. Raises SettingsError where a gateway has taken a name of ingest's."""
    for gateway in county.gateways:
        if gateway.startswith(INGEST):
            raise SettingsError(f"gateway {gateway} has a user name of ingest: give the gateway another id")
    return [INGEST, *members, *sorted(county.gateways)]


def renewed(known: Mapping[str, str], users: Iterable[str], rotate: Collection[str]) -> dict[str, str]:
    """The password of every user: the known one, or a new one for who has none or is to be rotated."""
    return {user: known[user] if user in known and user not in rotate else _new_password() for user in users}


def acl(county: County, users: Iterable[str]) -> str:
    """The access list of these users. Raises SettingsError where an address would reach beyond its gateway."""
    return access.acl(
        f"Written by `tongluo admin` for {county.name}, {county.code}. What is changed here is lost.",
        (
            (user, access.rights_of(county.gateways[user]) if user in county.gateways else access.INTERNAL)
            for user in users
        ),
    )


def passwords(credentials: Mapping[str, str], before: str) -> str:
    """Mosquitto's `password_file`; a line of `before` that still fits is kept, so that nothing changes needlessly."""
    old = access.read_passwords(before)
    return "".join(
        f"{user}:{old[user] if access.fits(old.get(user, ''), password) else access.hashed(password)}\n"
        for user, password in credentials.items()
    )


def read_credentials(text: str) -> dict[str, str]:
    """User to password. Raises SettingsError naming the line that cannot be read."""
    found: dict[str, str] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if number == 1 and row == ["user", "password"]:
            continue
        if len(row) != 2 or not all(row) or row[0] in found:
            raise SettingsError(
                f"credentials.csv, line {number}: must be user,password with every user once; mend it, or move the "
                "file away to have a new password made for every gateway"
            )
        found[row[0]] = row[1]
    return found


def credentials_csv(credentials: Mapping[str, str]) -> str:
    """For those who set up the gateways."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("user", "password"), *credentials.items()])
    return text.getvalue()


def with_user(address: str, user: str, password: str) -> str:
    """An address with who connects there."""
    parts = urlsplit(address)
    return parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}").geturl() + "\n"


def _checked(address: str | None) -> str | None:
    if address is not None:
        try:
            mqtt_address(address)
        except ValueError as error:
            raise SettingsError(f"--address {error}") from error
    return address


def _new_password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_PASSWORD_LENGTH))
