"""`tongluo admin mosquitto`: Mosquitto's passwords and access list, from the gateways of the registry.

A gateway's user name is its id. It may publish below `tongluo/v1/{id}/` and read its own commands, nothing else.
"""

import argparse
import base64
import csv
import hashlib
import hmac
import io
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services.admin.files import read, write
from services.settings import PostgresDsn, Settings, mqtt_address
from tongluo.county_folder import read_folder
from tongluo.errors import SettingsError
from tongluo.region import County
from tongluo.store.engine import open_store
from tongluo.store.registry import registered

INGEST: Final = "tongluo-ingest"

# Without what is mistaken for another when typed into a gateway at the foot of a slope: 0 O, 1 l I.
_LETTERS: Final = "23456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
# 57 ** 24 is 140 bits: nothing that hashing slowly would have to protect.
_PASSWORD_LENGTH: Final = 24
# As mosquitto_passwd of 2.0 does. The broker hashes between messages, at every connect: more would hold up the others
# when a whole county comes back after a power cut.
_ITERATIONS: Final = 101
_SALT_BYTES: Final = 12


@dataclass(frozen=True)
class Changes:
    """What an update did: users by what became of them, and the files that were written."""

    users: Sequence[str]
    new: Sequence[str]
    rotated: Sequence[str]
    gone: Sequence[str]
    written: Sequence[str]


async def run(arguments: argparse.Namespace, settings: Settings) -> None:
    """Bring the files up to the registry and say what changed. Raises SettingsError, CountyError, MissingPartError."""
    county = await _county(arguments.county or settings.county, settings)
    _say(arguments.out, update(county, arguments.out, arguments.rotate, arguments.address))


def update(county: County, out: Path, rotate: Collection[str] = (), address: str | None = None) -> Changes:
    """Write what is not yet as the registry has it. `address`: where ingest finds the broker; kept once given.

    Raises SettingsError, MissingPartError.
    """
    users = users_of(county)
    unknown = sorted(set(rotate) - set(users))
    if unknown:
        raise SettingsError(f"--rotate {', '.join(unknown)}: not registered in {county.name}")
    address = _checked(address or read(out / "ingest.address").strip() or None)
    known = read_credentials(read(out / "credentials.csv"))
    credentials = renewed(known, users, rotate)
    contents = {
        # First what cannot be made again: a password that a gateway may already have.
        "credentials.csv": (credentials_csv(credentials), 0o600),
        "passwords": (passwords(credentials, read(out / "passwords")), 0o640),
        "acl": (acl(county), 0o640),
    }
    if address is not None:
        contents["ingest.address"] = (with_user(address, INGEST, credentials[INGEST]), 0o640)
    written = [name for name, (content, mode) in contents.items() if write(out / name, content, mode)]
    new = [user for user in users if user not in known]
    return Changes(users, new, sorted(set(rotate)), sorted(set(known) - set(users)), written)


def users_of(county: County) -> list[str]:
    """Everyone who may connect. Raises SettingsError where a gateway has taken ingest's name."""
    if INGEST in county.gateways:
        raise SettingsError(f"gateway {INGEST} has the user name of ingest: give the gateway another id")
    return [INGEST, *sorted(county.gateways)]


def renewed(known: Mapping[str, str], users: Iterable[str], rotate: Collection[str]) -> dict[str, str]:
    """The password of every user: the known one, or a new one for who has none or is to be rotated."""
    return {user: known[user] if user in known and user not in rotate else _new_password() for user in users}


def acl(county: County) -> str:
    """Mosquitto's `acl_file`. What is not allowed here is forbidden."""
    lines = [
        f"# Written by `tongluo admin mosquitto` for {county.name}, {county.code}. What is changed here is lost.",
        f"user {INGEST}",
        "topic read tongluo/v1/+/+",
        "topic write tongluo/v1/+/commands",
        "topic read tongluo/v1/+/commands/+",
    ]
    for gateway in sorted(county.gateways):
        lines += [
            "",
            f"user {gateway}",
            f"topic write tongluo/v1/{gateway}/+",
            f"topic read tongluo/v1/{gateway}/commands",
            f"topic write tongluo/v1/{gateway}/commands/+",
        ]
    return "\n".join(lines) + "\n"


def passwords(credentials: Mapping[str, str], before: str) -> str:
    """Mosquitto's `password_file`; a line of `before` that still fits is kept, so that nothing changes needlessly."""
    old = dict(line.split(":", 1) for line in before.splitlines() if ":" in line)
    return "".join(
        f"{user}:{old[user] if fits(old.get(user, ''), password) else hashed(password)}\n"
        for user, password in credentials.items()
    )


def hashed(password: str, salt: bytes | None = None) -> str:
    """A password in the form of Mosquitto 2.0: `$7$iterations$salt$hash`, PBKDF2 with SHA-512."""
    salt = salt if salt is not None else secrets.token_bytes(_SALT_BYTES)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 64)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def fits(line: str, password: str) -> bool:
    """Whether a hash is this password's; one in another form is not."""
    match line.split("$"):
        case ["", "7", iterations, salt, _] if iterations == str(_ITERATIONS):
            try:
                expected = hashed(password, base64.b64decode(salt, validate=True))
            except ValueError:
                return False
            return hmac.compare_digest(line, expected)
        case _:
            return False


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


async def _county(folder: Path | None, settings: Settings) -> County:
    """The county of a folder, else what is registered in the store."""
    if folder is not None:
        return read_folder(folder)
    if isinstance(settings.store, PostgresDsn):
        async with open_store(settings.store.dsn) as engine:
            found = await registered(engine)
        if found is not None:
            return found
    raise SettingsError(
        "there is no county to read the gateways from: give --county FOLDER, or set TONGLUO_COUNTY, "
        "or TONGLUO_STORE to a database in which one is registered"
    )


def _say(out: Path, changes: Changes) -> None:
    print(f"{len(changes.users)} users, ingest among them, in {out}")  # noqa: T201 - a terminal program
    for words, users in (
        ("new", changes.new),
        ("new password", changes.rotated),
        ("no longer registered, removed", changes.gone),
    ):
        if users:
            print(f"{words}: {', '.join(users)}")  # noqa: T201
    if not changes.written:
        print("nothing has changed")  # noqa: T201
        return
    print(f"written: {', '.join(changes.written)}")  # noqa: T201
    print("have Mosquitto read it, without a restart: systemctl reload mosquitto, or kill -HUP its process")  # noqa: T201
