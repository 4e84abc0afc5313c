"""Feeding a recorded series through MQTT, as if the gauges spoke again."""
