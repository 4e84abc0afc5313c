"""Who a client is: passwords and rights from the files of the registry, re-read when they change."""

import asyncio
import hashlib
import hmac
import logging
import os
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from services import access
from services.access import Rights

logger = logging.getLogger(__name__)

_MOST_PASSWORD_BYTES: Final = 256


class Identity(msgspec.Struct, frozen=True):
    """A user, what it may do, and the hash of its password, which tells whether that has changed."""

    user: str
    rights: Rights
    hash: str

    @property
    def internal(self) -> bool:
        """Ingest and its like keep the client id they send: there may be several of them."""
        return self.user == access.INGEST or self.user.startswith(f"{access.INGEST}-")


ANONYMOUS: Final = Identity("", access.ANONYMOUS, "")


class Doorkeeper:
    """Knows who may come in. `reload` is to be called now and then.

    Who has been in with the same password since the gate began is not hashed again: what is kept is a digest under a
    key of this process.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp: object = None
        self._identities: dict[str, Identity] = {}
        self._verified: dict[str, tuple[str, bytes]] = {}
        self._key = secrets.token_bytes(32)
        # A stranger takes as long as somebody known.
        self._nobody = access.hashed(secrets.token_urlsafe())
        self._hashing = ThreadPoolExecutor(1, "passwords")

    def reload(self) -> bool:
        """Read the files if they have changed; says whether. What cannot be read leaves everything as it was."""
        files = (self._folder / "passwords", self._folder / "acl")
        try:
            stamp = [(os.stat(file).st_mtime_ns, os.stat(file).st_ino) for file in files]
            if stamp == self._stamp:
                return False
            passwords, acl = (file.read_text("utf-8") for file in files)
            identities = _identities(passwords, access.read_acl(acl))
        except (OSError, ValueError) as error:
            if self._stamp != str(error):
                logger.error("%s: not taken up, everybody keeps what they had: %s", self._folder, error)
            self._stamp = str(error)
            return False
        self._stamp = stamp
        self._identities = identities
        self._verified = {user: seen for user, seen in self._verified.items() if user in self._identities}
        return True

    def still(self, identity: Identity) -> bool:
        """Whether this is what stands in the files now."""
        return identity is ANONYMOUS or self._identities.get(identity.user) == identity

    def certified(self, name: str) -> Identity | None:
        """Who has shown a certificate of this common name."""
        return self._identities.get(name)

    async def admitted(self, user: str, password: bytes) -> Identity | None:
        """Who this is, if the password is right; hashing does not hold up the others."""
        if len(password) > _MOST_PASSWORD_BYTES:
            return None
        known = self._identities.get(user)
        digest = hashlib.blake2b(password, key=self._key).digest()
        line, seen = self._verified.get(user, ("", b""))
        if known is not None and line == known.hash and hmac.compare_digest(seen, digest):
            return known
        expected = known.hash if known is not None else self._nobody
        loop = asyncio.get_running_loop()
        text = password.decode("utf-8", "replace")
        right = await loop.run_in_executor(self._hashing, access.fits, expected, text)
        # It may have been revoked meanwhile.
        if not right or known is None or not self.still(known):
            return None
        self._verified[user] = (known.hash, digest)
        return known


def _identities(passwords: str, rights: Mapping[str, Rights]) -> dict[str, Identity]:
    """Everybody with a password and rights. Raises ValueError for nobody: ingest at least is always there, so that files
    which name nobody are just being written, or were emptied by mistake."""
    found = {
        user: Identity(user, rights[user], line)
        for user, line in access.read_passwords(passwords).items()
        if user in rights
    }
    if not found:
        raise ValueError("passwords and acl name nobody in common")
    return found


class Complaints:
    """What was refused, for the log: each user's at most once a minute, and never more than a thousand users'."""

    _EVERY_S: Final = 60.0
    _MOST: Final = 1000

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._unsaid = 0
        self._began_s = 0.0

    def __call__(self, who: str, words: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._began_s > self._EVERY_S:
            if self._unsaid:
                logger.warning("%d more refusals in the minute before", self._unsaid)
            self._said.clear()
            self._unsaid, self._began_s = 0, now_s
        if who in self._said or len(self._said) >= self._MOST:
            self._unsaid += 1
            return
        self._said.add(who)
        logger.warning("refused %s: %s", who, words)
