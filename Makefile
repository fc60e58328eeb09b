# The four commands of the README. Each sets up what it needs, in .venv, and only once.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do command -v $$python && break; done)
BIN := .venv/bin

.PHONY: demo test up install lint

demo: install
	@$(BIN)/heliograph demo

up: install
	@$(BIN)/heliograph dev

test: install lint
	@$(BIN)/python -m pytest

lint: install
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || (echo "run: .venv/bin/ruff format ." && exit 1)
	@$(BIN)/mypy --no-error-summary .
	@$(BIN)/lint-imports --no-cache >/dev/null || $(BIN)/lint-imports --no-cache

install:
	@$(PYTHON) scripts/install.py
