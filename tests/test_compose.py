"""docker-compose.yml says what the documentation and the settings say."""

import re

import yaml

from safetysite import database
from tests.conftest import ROOT

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_postgresql_is_reached_at_5433_with_the_documented_account() -> None:
    postgres = SERVICES["postgres"]
    assert postgres["image"] == "postgres:15"
    assert postgres["ports"] == ["127.0.0.1:5433:5432"]
    assert postgres["environment"] == {
        "POSTGRES_USER": "myuser",
        "POSTGRES_PASSWORD": "mypassword",
        "POSTGRES_DB": "mydb",
    }


def test_site_and_workers_use_that_database() -> None:
    for name in ("setup", "web", "worker"):
        where = database.parse(SERVICES[name]["environment"]["AI_SAFETY_MONITOR_DB"])
        assert [where[key] for key in ("HOST", "USER", "PASSWORD", "NAME")] == [
            "postgres",
            "myuser",
            "mypassword",
            "mydb",
        ]


def test_the_worker_runs_under_the_watchdog() -> None:
    assert SERVICES["worker"]["command"] == "python manage.py run_workers"
    assert SERVICES["worker"]["init"]


def test_every_switch_is_one_that_the_settings_read() -> None:
    settings = (ROOT / "safetysite" / "settings.py").read_text()
    read = set(re.findall(r'env(?:_int|_bool)?\("([A-Z_]+)"', settings)) | {"DB"}
    set_here = {name for name in SERVICES["web"]["environment"] if name.startswith("AI_SAFETY_MONITOR_")}
    assert {name.removeprefix("AI_SAFETY_MONITOR_") for name in set_here} <= read


def test_the_models_are_held_by_one_container_that_only_the_others_reach() -> None:
    models = SERVICES["models"]
    server = SERVICES["web"]["environment"]["AI_SAFETY_MONITOR_MODEL_SERVER"]
    assert server == SERVICES["worker"]["environment"]["AI_SAFETY_MONITOR_MODEL_SERVER"] == "http://models:8100/v1"
    assert "--bind 0.0.0.0:8100" in models["command"]
    assert models["environment"]["AI_SAFETY_MONITOR_MODEL_SERVER"] == ""
    assert "ports" not in models
