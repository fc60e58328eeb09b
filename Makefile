# The commands of the README. Each sets up what it needs, in .venv, and only once.

# The first Python that runs and is new enough; a name alone may be a shim without one behind it.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

.PHONY: demo test up install browser lint lock chaos rollout guards fuzz screenshots openapi bench drill overload soak

demo: install
	@$(BIN)/heliograph demo

up: install
	@$(BIN)/heliograph dev

test: install browser lint
	@$(BIN)/python -m pytest

# The fault campaign in its long form, about a quarter of an hour: make chaos EVENTS=5000 SEED=42 POSTGRES=1
chaos: install
	@$(BIN)/python -m tests.chaos --events $(or $(EVENTS),5000) $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres)

# A new version of the workers goes live amid 500 notifications, two minutes or so: make rollout IN_FLIGHT=500
rollout: install
	@IN_FLIGHT=$(or $(IN_FLIGHT),500) $(BIN)/python -m pytest -n 0 tests/stack/test_versions.py

# Half an hour and more under load and faults, looking for what grows: make soak MINUTES=30 POSTGRES=1 SEED=42 KEEP=1
# PER_SECOND=6 instead of 70 % of what the machine takes in such weather; KEEP=1 writes docs/soak-report.md.
soak: install
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(if $(SEED),--seed $(SEED)) $(if $(POSTGRES),--postgres) \
		$(if $(PER_SECOND),--per-second $(PER_SECOND)) $(if $(KEEP),--keep)

# Causes what each alert is about and waits until it fires, about ten minutes; one of them: make drill ALERTS=HeliographUnknown
drill: install
	@$(BIN)/python -m tests.monitoring.drill $(ALERTS)

# Looks for what hostile input can do, some minutes long, also on PostgreSQL: make fuzz SEED=42 EXAMPLES=300
fuzz: install
	@$(BIN)/python -m tests.hostile $(if $(SEED),--seed $(SEED)) $(if $(EXAMPLES),--examples $(EXAMPLES))

# Takes each guard out, one at a time, and sees the test fail that names it.
guards: install
	@$(BIN)/python -m tests.guards

# Heliograph against the bare workflow on this machine, about four minutes; KEEP=1 writes docs/performance.md, POSTGRES=1
# has PostgreSQL for SQLite.
bench: install
	@$(BIN)/python -m tests.bench $(if $(KEEP),--keep) $(if $(POSTGRES),--postgres)

# Five times as much as can be sent, for a minute: what is refused, how quickly the rest is accepted, and that all of it ends.
overload: install
	@$(BIN)/python -m tests.bench.overload

# Takes the pictures of docs/operators.md in a real browser.
screenshots: install browser
	@$(BIN)/python -m tests.pictures

lint: install
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || (echo "run: .venv/bin/ruff format ." && exit 1)
	@$(BIN)/mypy --no-error-summary .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

# Writes down the API as it is now, and what of the Python client is made from that.
openapi: install
	@$(BIN)/python scripts/openapi.py
	@$(BIN)/python scripts/python_client.py

install:
	@$(or $(PYTHON),$(error Heliograph needs Python 3.11 or newer, and none was found. Try: make PYTHON=/path/to/python3.12)) scripts/install.py

browser: install
	@$(BIN)/python scripts/browser.py

# Renews the lock files from pyproject.toml; needs uv.
lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --upgrade pyproject.toml -o requirements/production.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra dev -c requirements/production.lock pyproject.toml \
		-o requirements/dev.lock
