"""A county's sensors and gateways as an outside world: they speak MQTT and know nothing of the service."""
