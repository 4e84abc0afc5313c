"""The servers we bring along for one machine: PostgreSQL and an MQTT broker, both from Python wheels.

Both outlive a crash of the program on purpose, and the next start takes them up again: what the broker has
acknowledged to a gateway but not yet handed to us is only in its memory.
"""
