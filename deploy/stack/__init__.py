"""The real servers on loopback, without Docker: Mosquitto, PostgreSQL and Apache Kafka as processes of their own.

`make stack` starts them and prints their addresses, `make stack-stop` ends them; the tests do the same. Nothing here is
for production: see deploy/README.md.
"""
