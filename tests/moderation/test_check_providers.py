from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.conftest import test_database_url
from tests.runs.commands import refused, said

ROOT = Path(__file__).resolve().parents[2]
FAKE = "classifiers.providers.fake.FakeClassifier"


@pytest.fixture(autouse=True)
def _two_providers(settings: Settings) -> None:
    settings.SAFETY_CLASSIFIERS = {
        "fine": {"BACKEND": FAKE, "OPTIONS": {}},
        "wrong": {"BACKEND": FAKE, "OPTIONS": {"nonsense": 1}},
        "keyless": {"BACKEND": "classifiers.providers.openai.OpenAIModeration", "OPTIONS": {}},
    }
    settings.SAFETY_GENERATORS = {}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_each_alias_has_a_line_and_so_has_the_machine() -> None:
    lines = {line.split()[1]: line for line in said("check_providers").splitlines() if line.startswith("classifier")}
    assert lines["fine"].endswith(" ok")
    assert "does not take these OPTIONS" in lines["wrong"]
    assert "Set the environment variable OPENAI_API_KEY" in lines["keyless"]
    text = said("check_providers")
    for part in ("torch 2.13.0", "bitsandbytes", "CUDA devices", "Hub login", "OPENAI_API_KEY not set"):
        assert part in text


def test_the_key_is_told_of_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "OPENAI_API_KEY set" in said("check_providers", "fine")
    assert "sk-secret" not in said("check_providers") + said("check_providers", "--json")


def test_those_that_are_named_must_run() -> None:
    assert "wrong" not in said("check_providers", "fine")
    assert refused("check_providers", "fine", "wrong") == "Cannot run here: wrong."


def test_an_unknown_alias_is_a_sentence() -> None:
    assert "There is no alias 'nix' in settings. Known: fine, keyless, wrong." in refused("check_providers", "nix")


def test_json() -> None:
    found = json.loads(said("check_providers", "fine", "--json"))
    assert found["providers"] == [{"kind": "classifier", "alias": "fine", "problems": []}]
    assert found["machine"].keys() >= {"packages", "cuda_devices", "torch_threads", "hub_login", "openai_api_key"}


@pytest.mark.slow
def test_no_model_is_loaded(transactional_db: None) -> None:
    """In a process of its own, with the site's providers: transformers imports its models only when it loads one."""
    program = (
        "import sys; sys.argv = ['manage.py', 'check_providers']; import manage; manage.main();"
        "sys.exit(any(name.startswith('transformers.models.') for name in sys.modules))"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "AI_SAFETY_MONITOR_DB": test_database_url()}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "HF_HUB_OFFLINE is set" in done.stdout
