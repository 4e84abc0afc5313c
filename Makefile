# Tongluo: thin on purpose. `make help` explains; CI calls these and nothing else.

BIN := .venv/bin
PAGE := services/console/web

.DEFAULT_GOAL := help
.PHONY: help install install-dev web timescale demo doctor stack stack-stop check test screenshot bench bench-latency bench-throughput bench-replicas bench-handover bench-store bench-ingest bench-gateways bench-rules clean

help:  ## What can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

install:  ## The environment from the lock
	@deploy/bootstrap python

install-dev:  ## The same with the tools of check and test
	@deploy/bootstrap python --dev

web:  ## The page, built only when its sources changed
	@deploy/bootstrap page

timescale:  ## A TimescaleDB for tests and benchmark, in WebAssembly
	@deploy/bootstrap timescale

demo: install web  ## The whole way on this machine: gauge to loudspeaker (DEMO_FOR=60s ends by itself)
	@exec $(BIN)/tongluo demo

doctor: install  ## Look at every outside part
	@$(BIN)/tongluo doctor

stack: install-dev  ## The real servers on loopback: Mosquitto, PostgreSQL, Apache Kafka; prints their addresses
	@$(BIN)/python -m deploy.stack up

stack-stop:  ## Stop them; their data stays
	@$(BIN)/python -m deploy.stack stop

check: install-dev  ## Style, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@deploy/bootstrap page-check

test: install-dev web timescale  ## Every test, against real servers (starts the stack, and stops it if it was not running)
	$(BIN)/pytest

screenshot: install-dev web  ## The picture of the README, taken by the browser test
	SCREENSHOT=docs/images/duty-room.png $(BIN)/pytest -q tests/browser -k without_a_reload

bench: bench-latency bench-throughput bench-replicas bench-handover bench-store bench-ingest bench-gateways bench-rules  ## Every benchmark

bench-latency: install-dev web  ## From MQTT publish to webhook receipt
	$(BIN)/python -m benchmarks.latency

bench-throughput: install-dev web  ## Readings a second through the full stack; alerts at half of that
	$(BIN)/python -m benchmarks.throughput

bench-replicas: install-dev  ## What a second and a third rules process add
	$(BIN)/python -m benchmarks.replicas

bench-handover: install-dev  ## How long a rules process's state takes to its successor
	$(BIN)/python -m benchmarks.handover

bench-store: install-dev timescale  ## Bytes per reading and a chart of 30 days, with TimescaleDB and without
	$(BIN)/python -m benchmarks.store

bench-ingest: install-dev  ## Mosquitto to Kafka through one ingest process, beside bridges that only pass on
	@deploy/bootstrap bench
	$(BIN)/python -m benchmarks.ingest

bench-gateways: install-dev  ## Ten thousand gateways connected: memory, the storm after a restart, what the gate costs
	$(BIN)/python -m benchmarks.gateways

bench-rules: install-dev  ## Readings judged a second on one core, beside Bytewax, csp and Flink; a storm at 100,000 stations
	@deploy/bootstrap bench-rules
	$(BIN)/python -m benchmarks.rules

clean:  ## Remove what was built; data/ stays
	rm -rf .venv .tools build $(PAGE)/dist $(PAGE)/node_modules tests/timescale/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
