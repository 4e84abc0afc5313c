"""Who may do what on the wire: rights from the registry, and the two files in which brokers read them.

Mosquitto and the gate before the embedded broker live from the same files, so that the same rules hold at both:
`passwords` (`user:$7$iterations$salt$hash`) and `acl` (`user NAME`, `topic read|write PATTERN`).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable
from typing import Final

import msgspec

from tongluo.errors import SettingsError
from tongluo.region import Gateway

INGEST: Final = "tongluo-ingest"

# As mosquitto_passwd of 2.0 does. The passwords are made by us, with 140 bits: nothing that hashing slowly would have
# to protect, while a whole county comes back at once after a power cut.
_ITERATIONS: Final = 101
_SALT_BYTES: Final = 12
_SPARKPLUG_SENT: Final = ("NBIRTH", "NDEATH", "NDATA", "DBIRTH", "DDEATH", "DDATA")


class Rights(msgspec.Struct, frozen=True):
    """Topic patterns, with `+` and `#` as in MQTT's filters. What is not in them is forbidden."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]

    def may_publish(self, topic: str) -> bool:
        """Whether a message may go to this topic, which must be one: without wildcards."""
        return not {"+", "#"} & set(topic) and any(covers(pattern, topic) for pattern in self.publish)

    def may_subscribe(self, asked: str) -> bool:
        """Whether everything that this filter matches may be heard; one of a shared subscription counts as itself."""
        if asked.startswith("$share/"):
            _, _, asked = asked.removeprefix("$share/").partition("/")
        return any(covers(pattern, asked) for pattern in self.subscribe)


# Ingest hears the field; the downlink asks it and hears its answers.
INTERNAL: Final = Rights(("tongluo/#", "spBv1.0/#"), ("tongluo/#", "spBv1.0/#"))
# Where nobody has to say who they are: everything the contract knows, and nothing else.
ANONYMOUS: Final = Rights(
    ("tongluo/v1/+/+", "tongluo/v1/+/commands/+", "spBv1.0/+/+/+", "spBv1.0/+/+/+/+", "spBv1.0/STATE/+"),
    ("tongluo/v1/#", "spBv1.0/#"),
)


def rights_of(gateway: Gateway) -> Rights:
    """Below its own id, its own commands; and the same for its Sparkplug edge node, if it is one.

    Raises SettingsError where the address of an edge node would reach beyond it.
    """
    own = f"tongluo/v1/{gateway.id}"
    publish = [f"{own}/+", f"{own}/commands/+"]
    subscribe = [f"{own}/commands", f"{own}/commands/+"]
    if gateway.address is not None and "/" in gateway.address:
        group, edge = edge_node(gateway)
        publish += [
            f"spBv1.0/{group}/{kind}/{edge}" + ("/+" if kind.startswith("D") else "")
            for kind in _SPARKPLUG_SENT
        ]
        subscribe += [
            f"spBv1.0/{group}/NCMD/{edge}",
            f"spBv1.0/{group}/DCMD/{edge}/+",
            "spBv1.0/STATE/+",
        ]
    return Rights(tuple(publish), tuple(subscribe))


def edge_node(gateway: Gateway) -> tuple[str, str]:
    """Group and edge of a Sparkplug gateway's address. Raises SettingsError."""
    group, _, edge = (gateway.address or "").partition("/")
    if not group or not edge or {"/", "+", "#"} & set(edge) or {"+", "#"} & set(group) or group == "STATE":
        raise SettingsError(
            f"gateway {gateway.id}: the address {gateway.address!r} must be GROUP/EDGE of a Sparkplug edge node, "
            "without '+', '#' and further '/'"
        )
    return group, edge


def covers(pattern: str, asked: str) -> bool:
    """Whether a pattern matches a topic, or everything that a filter matches."""
    ours, theirs = pattern.split("/"), asked.split("/")
    # A wildcard at the beginning does not reach what brokers keep under '$'.
    if theirs[0].startswith("$") and ours[0] in ("+", "#"):
        return False
    for level, word in enumerate(ours):
        if word == "#":
            return True
        if level == len(theirs):
            return False
        met = theirs[level]
        # '#' matches the level above it, too, and any number below.
        if met == "#" or (word not in ("+", met)):
            return False
    return len(ours) == len(theirs)


def acl(head: str, rights: Iterable[tuple[str, Rights]]) -> str:
    """The text of an `acl` file; `head` is said at its top. What is not allowed there is forbidden."""
    lines = [f"# {head}"]
    for user, allowed in rights:
        lines += ["", f"user {user}"]
        lines += [f"topic write {pattern}" for pattern in allowed.publish]
        lines += [f"topic read {pattern}" for pattern in allowed.subscribe]
    return "\n".join(lines) + "\n"


def read_acl(text: str) -> dict[str, Rights]:
    """What stands in an `acl` file. Raises ValueError naming the line that is none of ours."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    user = ""
    for number, line in enumerate(text.splitlines(), start=1):
        match line.split(" ", 2):
            case ["user", name]:
                user = name
                found[user] = ([], [])
            case ["topic", "write", pattern] if user:
                found[user][0].append(pattern)
            case ["topic", "read", pattern] if user:
                found[user][1].append(pattern)
            case _ if line.strip() and not line.startswith("#"):
                raise ValueError(f"acl, line {number}: neither 'user NAME' nor 'topic read|write PATTERN'")
    return {user: Rights(tuple(publish), tuple(subscribe)) for user, (publish, subscribe) in found.items()}


def read_passwords(text: str) -> dict[str, str]:
    """User to hash, from a `passwords` file."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


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
            return hmac.compare_digest(line.encode(), expected.encode())
        case _:
            return False
