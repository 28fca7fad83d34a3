# What a newcomer types.  Each target is a script of a few lines under scripts/.
.DEFAULT_GOAL := help

PYTHON ?= python3

.make/installed: scripts/install pyproject.toml
	PYTHON=$(PYTHON) scripts/install
	@mkdir -p .make && touch $@

.make/tested-with: .make/installed scripts/install-for-tests
	scripts/install-for-tests
	@touch $@

.PHONY: help install demo test check bench clean
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  sudo make \1\t/' | expand -t 20

install: .make/installed  ## Install what is missing: Debian packages, a venv with the coracle command

demo: .make/installed  ## Start the cloud and play the lecture's sessions: Docker, Compose, Kubernetes
	scripts/demo

test: .make/tested-with  ## All tests, on real containers with the real clients
	scripts/test

check: .make/tested-with  ## Lint, types and import contracts only
	scripts/check

bench: .make/tested-with  ## Measure, beside the bare floor
	scripts/bench

clean:  ## Stop and remove the cloud of the demo, and what was installed here
	-[ -x .venv/bin/coracle ] && .venv/bin/coracle down --purge
	rm -rf .make .venv
