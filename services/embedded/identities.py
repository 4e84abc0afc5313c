"""What the gate before the embedded broker lives from: settings, and credentials that follow the registry."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from services.embedded.gate import GateConfig, Tls, server_context
from services.identities import folder_of, update
from services.settings import Settings, is_loopback
from tongluo.errors import MissingPartError
from tongluo.region import County
from tongluo.supervise import Pulse

logger = logging.getLogger(__name__)


def gate_config(settings: Settings, folder: Path) -> GateConfig:
    """Where gateways come in and who may. Raises MissingPartError when the certificates are not usable."""
    tls = None
    if settings.mqtt_tls_port and settings.mqtt_tls_certificate and settings.mqtt_tls_key:
        authority = str(settings.mqtt_tls_client_ca.resolve()) if settings.mqtt_tls_client_ca else None
        certificate, key = settings.mqtt_tls_certificate.resolve(), settings.mqtt_tls_key.resolve()
        tls = Tls(settings.mqtt_tls_port, str(certificate), str(key), authority)
        try:
            server_context(tls)
        except OSError as error:
            raise MissingPartError(
                f"the broker's certificate is not usable ({error}): correct TONGLUO_MQTT_TLS_CERTIFICATE, "
                "TONGLUO_MQTT_TLS_KEY or TONGLUO_MQTT_TLS_CLIENT_CA"
            ) from error
    identities = None if settings.mqtt_anonymous == "yes" else str(folder_of(folder))
    return GateConfig(settings.mqtt_host, settings.mqtt_port, settings.embedded_v5_port, tls, identities)


def prepare_identities(config: GateConfig, county: County, progress: Callable[[str], None]) -> None:
    """Credentials for who is registered, before the first of them connects. Raises SettingsError, MissingPartError."""
    if config.tls is None and not is_loopback(config.host):
        progress("gateways' passwords cross the network in plain text: set TONGLUO_MQTT_TLS_PORT for TLS")
    if config.identities is None:
        return
    folder = Path(config.identities)
    changes = update(county, folder)
    if changes.new:
        progress(f"passwords were made for {len(changes.new)} users: see {folder / 'credentials.csv'}")


async def keep_identities(folder: Path, described: Callable[[], County], pulse: Pulse) -> None:
    """A role: credentials follow the registry while we run."""
    done: County | None = None
    while True:
        county = described()
        if county is not done:
            changes = await asyncio.to_thread(update, county, folder)
            done = county
            if changes.new or changes.gone:
                logger.warning("gateways: %d new, %d gone", len(changes.new), len(changes.gone))
        pulse.beat()
        await asyncio.sleep(1.0)
