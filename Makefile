# make demo : the main job on real packaged data.   make test : everything that CI runs.   make check : the fast gate.
# make bench : the calculator beside its peers, in one run.   make bench-forecast : from a snapshot to a forecast.
# make bench-training : what Lightning costs over a bare loop, and a fit of the drift net.
# make bench-margin : margin under every rule set beside its goals and peers.
# make properties : the laws of margin on 100,000 books and more, for the night.
# make campaign : the collector and all readers against faults.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --disable-pip-version-check -c constraints/cpu.txt
WORKERS ?= 2
PEERS  := $(VENV)/peers

.PHONY: demo test check format lint types contracts tests properties bench bench-forecast bench-training bench-margin campaign clean

demo: $(VENV)/.demo
	$(BIN)/greekdrift demo

test: check tests

check: format lint types contracts

format: $(VENV)/.dev
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

contracts: $(VENV)/.dev
	$(BIN)/lint-imports

tests: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) --cov --cov-report=term:skip-covered

properties: $(VENV)/.dev
	GREEKDRIFT_PORTFOLIOS=25000 $(BIN)/pytest --hypothesis-profile=nightly -p no:randomly \
		tests/properties/test_margin_laws.py tests/properties/test_margin.py tests/properties/test_matrix.py tests/properties/test_position.py

bench: $(VENV)/.dev $(PEERS)/.installed
	PYTHONPATH=$(PEERS) $(BIN)/python benchmarks/calculator.py

bench-forecast: $(VENV)/.dev
	$(BIN)/python benchmarks/forecast.py
	$(BIN)/python benchmarks/draws.py

bench-training: $(VENV)/.dev
	$(BIN)/python benchmarks/training.py

bench-margin: $(VENV)/.dev
	$(BIN)/python benchmarks/margin.py

campaign: $(VENV)/.dev
	$(BIN)/python -m campaigns.collect
	$(BIN)/python -m campaigns.mutate
	$(BIN)/python -m campaigns.leaks

$(VENV)/.venv:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "greekdrift needs Python 3.11 or newer; run make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml constraints/cpu.txt
	$(PIP) -e '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.venv pyproject.toml constraints/cpu.txt
	$(PIP) -e '.[dev]'
	touch $@

$(PEERS)/.installed: $(VENV)/.venv constraints/bench.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --upgrade --target $(PEERS) -r constraints/bench.txt
	touch $@

clean:
	rm -rf $(VENV) runs mlruns mlflow.db .mypy_cache .ruff_cache .pytest_cache .hypothesis
