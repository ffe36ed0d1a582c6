# Tenfold's chores. `make demo` and `make test` need python3 (3.11 or newer), its venv module and make; the rest they get.

PYTHON ?= python3
BIN := .venv/bin
# The tests' networks are tiny: more threads would only get in each other's way.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test check bench results docs

help:
	@echo "make demo      set-up, then a shop, recommenders and a report to look at (a few minutes)"
	@echo "make test      set-up, then all tests"
	@echo "make check     format, lint, types, floors, and the fast tests"
	@echo "make bench     all benchmarks, side by side with the rivals that are here; writes benchmarks/results/"
	@echo "make results   docs/results.md and the figures in README.md, from benchmarks/results/"
	@echo "make docs      the documentation as a site, in site/"

.venv/set-up: pyproject.toml constraints.txt scripts/set_up.py
	@command -v $(PYTHON) > /dev/null || { echo "set-up: there is no $(PYTHON); install Python 3.11 or newer (apt install python3 python3-venv)"; exit 1; }
	@$(PYTHON) scripts/set_up.py

demo: .venv/set-up
	$(BIN)/tenfold demo

test: .venv/set-up
	$(PYTEST)

check: .venv/set-up
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m "not slow" -q

bench: .venv/set-up
	$(BIN)/python -m benchmarks

results: .venv/set-up
	$(BIN)/python -m benchmarks.page

docs: .venv/set-up
	$(BIN)/mkdocs build --strict
