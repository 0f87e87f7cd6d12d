# The two commands are `make serve` and `make test`; each does all of its own set-up, in this folder and nowhere else.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
DISTRIBUTIONS := sdk registry migrations plugins/varmax plugins/arima platform

# `make serve HOST=...` changes it; the environment does not, where conda and some shells keep another HOST.
HOST := 127.0.0.1
PORT ?= 8000
export FORECASTLE_HOME ?= $(CURDIR)/var

US_MACRO := us-macro --plugin varmax --data macrodata --endog realgdp,realcons \
	--exog realinv,realgovt,realdpi,cpi,m1,tbilrate,unemp,pop,infl,realint

.DEFAULT_GOAL := help
.PHONY: help install serve test benchmark pictures clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/installed ## Make the virtual environment .venv with all distributions

# Not compiled, as most of what is installed is never imported; what is, compiles itself. Editable, so that a change to the code needs no installation. Without isolation, because the build backend is pinned too.
$(VENV)/installed: constraints.txt $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Forecastle needs Python 3.11 or later; give one: make PYTHON=python3.11")'
	@echo "Installing into $(VENV) (about a minute the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt setuptools wheel
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-compile --no-build-isolation \
		$(addprefix --editable ./,$(DISTRIBUTIONS))
	@touch $@

serve: install ## Serve the demo model us-macro on http://127.0.0.1:8000 (the first time, train it)
	@$(BIN)/forecastle db upgrade
	@$(BIN)/forecastle versions us-macro >/dev/null 2>&1 || $(BIN)/forecastle train $(US_MACRO) --promote
	@exec $(BIN)/forecastle serve --host $(HOST) --port $(PORT)

test: install ## Run everything that must hold: tests, each distribution alone, lint, types, imports, documentation
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt tox
	@$(BIN)/tox run

benchmark: install ## Compare serving with two bare Flask routes, and measure the registry with 10,000 versions
	@$(BIN)/python benchmarks/serving.py
	@echo
	@$(BIN)/python benchmarks/registry.py

pictures: install ## Take the README's picture anew (needs Debian's chromium)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt playwright pytest
	@$(BIN)/forecastle db upgrade
	@$(BIN)/forecastle versions us-macro >/dev/null 2>&1 || $(BIN)/forecastle train $(US_MACRO) --promote
	@$(BIN)/python docs/pictures/make.py

clean: ## Remove what make has made, but not the models in var
	rm -rf $(VENV) .tox
