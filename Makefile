# `make demo` and `make test` need only Python (with venv) and make. Everything else goes into .venv,
# which is made when it is missing; only the targets that end in -deps install programs on the machine.

# The Python to use. When this is not new enough, python3.13, 3.12 and 3.11 are tried as well;
# one that you name yourself (make PYTHON=...) is taken at your word.
ifeq ($(origin PYTHON),undefined)
PYTHON := python3
PYTHONS := $(PYTHON) python3.13 python3.12 python3.11
else
PYTHONS := $(PYTHON)
endif

BIN := .venv/bin

# The stamps say what .venv already holds. They are made anew when what is installed or compiled changes.
SOURCES := pyproject.toml setup.py src/kamaelia/axon/_core.pyx src/kamaelia/axon/_core.pxd src/kamaelia/testbed/_wire.pyx src/kamaelia/testbed/_capture.pxi tools/typed.py $(wildcard src/kamaelia/testbed/tcp/*.py)
BASE := .venv/.has-base
TEST := .venv/.has-test
FUZZ := .venv/.has-fuzz
DOCS := .venv/.has-docs
DIST := .venv/.has-dist
INTEROP := tools/interop/.venv/.has-interop

.DEFAULT_GOAL := help
.NOTPARALLEL: # pip must not be at work in .venv twice at the same time
.PHONY: help demo test lint dist test-deps bench-deps interop-deps qdiscs-deps fidelity-deps docs soak planted studies fuzz vendor test-studio bench bench-observed bench-lateness interop conformance fidelity qdiscs clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r target what; do printf '%-18s %s\n' "$$target" "$$what"; done

demo: $(BASE) ## see Kamaelia work: a presentation that is itself a Kamaelia system
	@$(BIN)/kamaelia present $(ARGS)

test: lint ## check everything; KAMAELIA_ALL=1 fails when something could not be run
	@$(BIN)/python tools/test.py

lint: $(TEST) ## style, types, and who may import whom; no tests
	@echo "Checking style, types and imports."
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check . || { echo "Run $(BIN)/ruff format on what is listed above."; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing/consumer.py
	@$(BIN)/lint-imports --no-logo

test-deps: ## install the Debian packages that tests use (tools/debian-packages.txt)
	@sh tools/debian.sh tools/debian-packages.txt

bench-deps: ## install the Debian packages that the benchmarks use (benchmarks/debian-packages.txt)
	@sh tools/debian.sh benchmarks/debian-packages.txt

interop-deps: ## install the Debian packages that `make interop` uses (tools/interop/debian-packages.txt)
	@sh tools/debian.sh tools/interop/debian-packages.txt

qdiscs-deps: ## install the Debian packages that `make qdiscs` uses (tools/qdiscs/debian-packages.txt)
	@sh tools/debian.sh tools/qdiscs/debian-packages.txt

fidelity-deps: ## install the Debian packages that `make fidelity` uses (tools/fidelity/debian-packages.txt)
	@sh tools/debian.sh tools/fidelity/debian-packages.txt

docs: $(DOCS) ## build the documentation into site/
	@# not --quiet: with it, --strict does not see the warnings either
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict && echo "Now open site/index.html."

test-studio: $(TEST) ## the page of the Studio in a real browser: all of it, and how fast it draws
	@$(BIN)/pytest -s -m "studio or not studio" tests/studio

vendor: $(BASE) ## fetch the scripts of others that the Studio ships, and verify them (needs npm)
	@$(BIN)/python tools/vendor.py

soak: $(TEST) ## the long tests, which run for minutes
	@$(BIN)/pytest -m soak --timeout=0 -o faulthandler_timeout=0

planted: $(TEST) ## shrink ten failures that were planted in networks of 50 hosts, and show what is left
	@$(BIN)/python -m tests.testbed.shrinking.planted

studies: $(TEST) ## make the reports of the studies' results; ARGS=--run runs them again, a quarter of an hour
	@$(BIN)/python tools/studies.py $(ARGS)

# Two or three hours. ARGS="--runs 10000 --only http_server" does less.
fuzz: $(FUZZ) ## give each machine a million inputs that nobody has thought of
	@$(BIN)/python tools/fuzz.py $(ARGS)

# Some twenty minutes. The peers go into environments of their own; ARGS="--only echo-100" measures less.
bench: $(BASE) ## measure Kamaelia beside its peers, and rewrite docs/explanation/speed.md
	@$(BIN)/python -m benchmarks --install --write --all $(ARGS)

bench-observed: $(BASE) ## measure what it costs to be looked at, and rewrite its table in docs/explanation/speed.md
	@$(BIN)/python -m benchmarks.observed --write $(ARGS)

bench-lateness: $(BASE) ## measure how late packets leave an emulated network, and rewrite its table in docs/explanation/emulation.md
	@$(BIN)/python -m benchmarks.lateness --write

# Half a minute for each Python: .venv's, and those of the short passes where they are there.
conformance: $(TEST) ## run Python's own tests of asyncio on the simulated loop, and rewrite docs/explanation/simulated-loop.md
	@for python in $(BIN)/python $(wildcard .venv-3.*/bin/python); do \
		$$python -m tools.conformance --list --write && $$python -m tools.conformance --skipped || exit 1; done

# An hour, nearly all of it Autobahn's; ARGS="--only curl nginx" asks fewer judges.
interop: $(INTEROP) ## have strangers' programs judge Kamaelia, and rewrite docs/explanation/interop.md
	@tools/interop/.venv/bin/python -m tools.interop --write --all $(ARGS)

# Some twenty minutes, nearly all of it the kernel's; it goes on where it was ended. ARGS="--fresh" begins anew.
fidelity: $(TEST) ## compare simulated TCP with the kernel's and ns-3's, and rewrite docs/explanation/tcp-fidelity.md
	@$(BIN)/python -m tools.fidelity --write $(ARGS)

# Five minutes. Needs root; the kernels with queues that this one lacks are started by it (user-mode-linux).
qdiscs: $(TEST) ## compare queues and links with the kernel's, and rewrite docs/explanation/kernel-queues.md
	@$(BIN)/python -m tools.qdiscs --write $(ARGS)

dist: $(DIST) ## build what is published, and try it in fresh environments
	@$(BIN)/python tools/dist.py

clean: ## remove everything that was made, .venv included
	rm -rf .venv .venv-3.* benchmarks/.venv benchmarks/.venv-* benchmarks/.build tools/fidelity/.build tools/interop/.venv build dist site .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .autobahn .venv-autobahn .kamaelia
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf src/*.egg-info

$(BASE): $(SOURCES)
	@sh tools/venv.sh .venv . $(PYTHONS)
	@touch $@

# All at once when .venv is new: that takes less time than to install Kamaelia, and then the rest beside it.
$(TEST): $(SOURCES)
	@sh tools/venv.sh .venv '.[test,lint]' $(PYTHONS)
	@touch $(BASE) $@

$(FUZZ): $(TEST)
	@sh tools/venv.sh .venv 'kamaelia[fuzz]' $(PYTHONS)
	@touch $@

$(DIST): $(BASE)
	@sh tools/venv.sh .venv 'kamaelia[dist]' $(PYTHONS)
	@touch $@

$(INTEROP): $(SOURCES)
	@sh tools/venv.sh tools/interop/.venv '.[interop]' $(PYTHONS)
	@touch $@

$(DOCS): $(BASE)
	@sh tools/venv.sh .venv 'kamaelia[docs]' $(PYTHONS)
	@touch $@
