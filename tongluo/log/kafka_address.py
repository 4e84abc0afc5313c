"""Where a Kafka cluster is and how to be let in, from one address."""

import logging
import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from aiokafka.helpers import create_ssl_context

# The client tells of every step that it takes again by itself, several a second while a broker is away. What fails for
# good is raised, and the log's own role says when the cluster is away.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

EXAMPLE: Final = "kafka://user:password@host:9092,host2:9092/tongluo?tls=on&sasl=SCRAM-SHA-512"
_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})
_OPTIONS: Final = frozenset({"tls", "ca", "cert", "key", "sasl"})


class KafkaAddress(msgspec.Struct, frozen=True):
    """A cluster, and the namespace our topics and groups have there.

    `ca` is a PEM file of authorities to trust instead of the system's, `cert` and `key` our own certificate for a
    cluster that asks for one.
    """

    bootstrap: str
    namespace: str = "tongluo"
    user: str | None = None
    password: str | None = None
    sasl: str = "SCRAM-SHA-512"
    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None

    def clients(self) -> dict[str, Any]:
        """Keyword arguments that every client of aiokafka takes. Raises OSError or ssl.SSLError for a bad file."""
        protocol = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        found: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": protocol}
        if self.tls:
            found["ssl_context"] = self._context()
        if self.user:
            found |= {
                "sasl_mechanism": self.sasl,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password or "",
            }
        return found

    def named(self, *parts: object) -> str:
        """A name of ours in the cluster: topics, groups and transactions all begin with the namespace."""
        return ".".join((self.namespace, *(str(part) for part in parts)))

    def _context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = create_ssl_context(
            cafile=str(self.ca) if self.ca else None,
            certfile=str(self.cert) if self.cert else None,
            keyfile=str(self.key) if self.key else None,
        )
        return context


def parse(value: str) -> KafkaAddress:
    """The address that `value` (see EXAMPLE) describes. Raises ValueError that names the fault, not the password."""
    rest, _, query = value.removeprefix("kafka://").partition("?")
    place, _, namespace = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    user, _, password = credentials.partition(":")
    servers = [host if ":" in host else f"{host}:9092" for host in hosts.split(",") if host]
    if not servers or not all(server.rpartition(":")[2].isdecimal() for server in servers):
        raise ValueError(f"a Kafka address names hosts and ports, such as {EXAMPLE}")
    options = dict(parse_qsl(query))
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise ValueError(
            f"unknown in a Kafka address: {', '.join(unknown)}; known are {', '.join(sorted(_OPTIONS))}"
        )
    if options.get("tls", "off") not in ("on", "off"):
        raise ValueError("tls must be on or off")
    if options.get("sasl", "PLAIN") not in _MECHANISMS:
        raise ValueError(f"sasl must be one of {', '.join(sorted(_MECHANISMS))}")
    namespace = namespace.strip("/") or "tongluo"
    if not all(letter.isalnum() or letter in "._-" for letter in namespace):
        raise ValueError("the namespace in a Kafka address may hold letters, digits, '.', '_' and '-'")
    return KafkaAddress(
        bootstrap=",".join(servers),
        namespace=namespace,
        user=unquote(user) or None,
        password=unquote(password) or None,
        sasl=options.get("sasl", "SCRAM-SHA-512"),
        tls=options.get("tls") == "on",
        **{name: Path(options[name]) for name in ("ca", "cert", "key") if name in options},
    )
