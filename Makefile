# Needs python3 (3.11 or later) and make; everything else goes into .venv.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types tests readers browser oldest format lock sample clean

PYTHON ?= python3
BIN := .venv/bin
DEMO := data/demo

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup: .venv/.ready  ## make the virtual environment

# What takes long depends on the lock alone; the package itself is only linked.
.venv/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	    || { echo "acceptlake needs Python 3.11 or later; set PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up .venv (once, about a minute)"
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## run the nightly flow on data/sample and print the answers
	@rm -rf $(DEMO)
	@PREFECT_HOME=$(CURDIR)/data/prefect $(BIN)/acceptlake ingest data/sample --lake $(DEMO)
	@for question in \
	    "select host, date, connections, verdicts, round(verdict_acceptance_rate, 3) as verdict_rate, round(connection_acceptance_rate, 3) as connection_rate from acceptance_rate_daily order by host, date" \
	    "select sender, rejected, accepted, round(rejection_rate, 3) as rejection_rate from top_rejected_senders limit 5" \
	    "select host, date, verdict, pairs, p50_s, p95_s, max_s from connection_to_verdict_latency order by host, date, verdict limit 10"; \
	do echo; echo "> $$question"; $(BIN)/acceptlake sql "$$question" --lake $(DEMO); done

test: setup check  ## set up and run all checks
check: lint types tests

lint:
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types:
	@$(BIN)/mypy

tests: readers browser
	@$(BIN)/pytest --numprocesses auto --dist loadfile

readers: .venv-readers/.ready  ## make environments with the versions of DuckDB that read a lake

.venv-readers/.ready: .ci/readers.txt | setup
	@rm -rf .venv-readers
	@for pin in $$(grep -v '^#' $<); do \
	    environment=.venv-readers/$$(echo $$pin | sed s/==/-/); \
	    $(PYTHON) -m venv --without-pip $$environment \
	    && $(BIN)/python -m pip --python $$environment/bin/python install --quiet \
	        --disable-pip-version-check --no-deps --only-binary :all: $$pin || exit 1; \
	done
	@touch $@

browser:  ## see that there is a Chromium to look at the report with; as root on Debian, install it
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome; do \
	    test -n "$$name" && command -v "$$name" >/dev/null && exit 0; done; \
	test "$$(id -u)" = 0 && command -v apt-get >/dev/null && echo "installing chromium (once)" \
	    && apt-get update -qq && apt-get install -y -qq chromium >/dev/null \
	    || { echo "the report's tests need Chromium: install it, or set CHROMIUM to its path"; exit 1; }

oldest: browser  ## run the core tests on the oldest versions that pyproject.toml allows
	@test -x .venv-oldest/bin/pytest || { $(PYTHON) -m venv --clear .venv-oldest \
	    && .venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check \
	        --constraint .ci/oldest.txt . pytest hypothesis; }
	@.venv-oldest/bin/python -m pytest tests/transforms/test_scanner.py tests/transforms/test_render.py \
	    tests/transforms/test_sessions.py tests/transforms/test_pairing.py \
	    tests/flows/test_night.py tests/flows/test_query.py tests/flows/test_report.py

format: setup  ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup  ## pin the newest versions that pyproject.toml allows (needs uv)
	@uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --upgrade \
	    --generate-hashes --no-annotate --no-header --no-emit-index-url --output-file requirements.lock

sample: setup  ## make data/sample anew
	@rm -rf data/sample
	@$(BIN)/acceptlake simulate data/sample --edition 4an --host MX1 --host MX2 --days 3 --connections 500 --seed 7 --hostility 0.003 --no-truth

clean:  ## remove what was made
	@rm -rf .venv .venv-oldest .venv-readers data/demo data/prefect .mypy_cache .pytest_cache .ruff_cache .hypothesis
