# `make book` builds the book, `make test` runs every check. Both start from nothing but Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

# Half of the time goes into compiling the same runs: each is compiled once and kept for every process.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.jax_cache
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES := -1
# The older of XLA's two code generators compiles in half the time; long runs take a tenth to a quarter longer.
export XLA_FLAGS := $(XLA_FLAGS) --xla_cpu_use_fusion_emitters=false

# Claims, chapters and pages ask for the same results; within one build, or one run of the tests, each is computed once.
book test: export GATEDLIB_RESULTS := $(CURDIR)/.results

.PHONY: book html notebooks test claims lab serve clean lock benchmarks

# The environment is made anew when what it is made from changes.
.venv/installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "gatedlib needs Python 3.11 or newer; this is $$($(PYTHON) --version). Set PYTHON=…"; exit 1; }
	@echo "Making .venv and installing what requirements.txt names (a minute or two) …"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

book: .venv/installed
	rm -rf .results
	$(MAKE) --no-print-directory html

html: .venv/installed
	@echo "Executing every chapter and building the book (some fourteen minutes the first time) …"
	rm -rf _build
	TQDM_DISABLE=1 $(BIN)/jupyter-book build . --warningiserror --keep-going
	@echo "Done. Open _build/html/index.html in a browser, or run: make serve"

notebooks: .venv/installed
	$(BIN)/python -m pytest -n 2 --dist loadscope --nbval-lax --nbval-current-env book -W default

test: .venv/installed
	rm -rf .results
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python -m pytest -n 2 --dist loadscope tests gatedlib --doctest-modules --ignore tests/browser
	@echo "Running the chapters as tests and building the book, side by side …"
	$(MAKE) --no-print-directory --jobs 2 notebooks html
	$(BIN)/python -m pytest -n 2 tests/browser

# Claims that fail are an answer, not an error of make; the command itself exits with 1.
claims: .venv/installed
	@$(BIN)/python -m gatedlib claims || true

lab: .venv/installed
	$(BIN)/jupyter lab --notebook-dir book

serve: .venv/installed
	@test -d _build/html || $(MAKE) --no-print-directory book
	@echo "The book is at http://localhost:8000 (stop with Ctrl-C)"
	$(BIN)/python -m http.server --directory _build/html --bind 127.0.0.1 8000

benchmarks: .venv/installed
	$(BIN)/python -m benchmarks

# Pin anew what requirements.txt names, for every Python that pyproject.toml admits.
lock:
	uv pip compile --universal --python-version 3.11 --all-extras --no-header --no-annotate --quiet pyproject.toml -o requirements.txt

clean:
	rm -rf _build .venv .jax_cache .results screenshots .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
