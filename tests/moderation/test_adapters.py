"""Adapters behind aliases: named as ``gemma@mine``, promoted for the plain alias, pinned by runs."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from classifiers.errors import InputError
from classifiers.policy import Rule, Rules
from classifiers.types import Label
from moderation import adapters, services
from moderation.models import Adapter, Promotion
from moderation.services import Choice
from runs.requests import create_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine() -> Adapter:
    return adapter("mine")


def adapter(name: str) -> Adapter:
    return Adapter.objects.create(
        name=name, digest=name * 8, folder=f"/adapters/{name}", base_model="embedded", card="", created_by="test"
    )


def promote(made: Adapter | None, alias: str = "gemma") -> None:
    Promotion.objects.create(alias=alias, adapter=made, created_by="test")


def options(choice: Choice) -> dict[str, Any]:
    return services.entry_of("classifier", choice)[1]


class TestNamed:
    def test_it_is_loaded_over_the_options_of_its_alias(self, mine: Adapter, settings: Any) -> None:
        entry = settings.SAFETY_CLASSIFIERS["gemma"]
        settings.SAFETY_CLASSIFIERS = {
            **settings.SAFETY_CLASSIFIERS,
            "gemma": {**entry, "OPTIONS": {"base_model": "x/y", "threads": 3}},
        }
        given = {"base_model": "embedded", "adapter_path": "/adapters/mine", "threads": 3}
        assert options(Choice("gemma@mine")) == given
        assert options(Choice("gemma@mine", {"threads": 1})) == {**given, "threads": 1}

    def test_it_is_offered_where_classifiers_are_chosen(self, mine: Adapter) -> None:
        assert "gemma@mine" in services.names("classifier")
        assert [name for name in services.names("classifier") if name.endswith("@mine")] == ["gemma@mine"]
        assert "gemma@mine" not in services.names("generator")

    @pytest.mark.parametrize(
        ("alias", "says"),
        [
            ("gemma@mien", r"no adapter 'mien'\. Did you mean mine\? Known: mine"),
            ("gemma@", "no adapter ''"),
            ("gemma@\0", "no adapter"),
            ("fake@mine", "fake takes no adapters"),
            ("nobody@mine", "no classifier called 'nobody@mine'"),
        ],
    )
    def test_what_is_not_there_is_told(self, mine: Adapter, alias: str, says: str) -> None:
        with pytest.raises(InputError, match=says):
            services.check_alias("classifier", alias)

    def test_a_client_of_the_model_server_names_it_there(self, mine: Adapter, settings: Any) -> None:
        client = {
            "BACKEND": "classifiers.providers.openai.OpenAIModeration",
            "OPTIONS": {"model": "gemma", "base_url": "http://127.0.0.1:1/v1"},
        }
        settings.SAFETY_SERVED = {"gemma": settings.SAFETY_CLASSIFIERS["gemma"]}
        settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "gemma": client, "pii": client}
        assert options(Choice("gemma@mine")) == {"model": "gemma@mine", "base_url": "http://127.0.0.1:1/v1"}
        promote(mine)
        assert options(Choice("gemma"))["model"] == "gemma@mine"
        assert options(Choice("gemma", adapter=""))["model"] == "gemma"

    def test_thresholds_for_an_alias_hold_for_its_adapters(self) -> None:
        rules = Rules((Rule("toxic", 0.9, check="gemma@mine"), Rule("toxic", 0.5, check="gemma"), Rule("toxic", 0.1)))

        def label(check: str) -> Label:
            return rules.decide(Label.SAFE, {"toxic": 0.7}, (), check=check, stage="INPUT")[0]

        assert [label(check) for check in ("gemma@mine", "gemma@other", "gemma")] == ["SAFE", "TOXIC", "TOXIC"]


class TestPromoted:
    def test_the_newest_row_of_the_alias_holds(self, mine: Adapter) -> None:
        assert "adapter_path" not in options(Choice("gemma"))
        promote(mine)
        assert options(Choice("gemma"))["adapter_path"] == "/adapters/mine"
        promote(adapter("other"), alias="toxic-bert")
        assert options(Choice("gemma"))["adapter_path"] == "/adapters/mine"
        promote(None)
        assert "adapter_path" not in options(Choice("gemma"))

    def test_who_names_weights_gets_those(self, mine: Adapter) -> None:
        promote(mine)
        assert "adapter_path" not in options(Choice("gemma", {"base_model": "embedded"}))
        assert options(Choice("gemma", {"adapter_path": "/x"}))["adapter_path"] == "/x"

    def test_a_run_keeps_what_held_when_it_was_made(self, mine: Adapter) -> None:
        other = adapter("other")
        before, after = (Choice.from_json(_run_of("gemma", promoted=each)) for each in (None, mine))
        promote(other)
        assert (before.adapter, after.adapter) == ("", "mine")
        assert "adapter_path" not in options(before)
        assert options(after)["adapter_path"] == "/adapters/mine"
        assert Choice.from_json({"alias": "gemma"}).adapter is None  # runs made before there were any

    def test_other_classifiers_are_asked_for_without_a_query(self, django_assert_num_queries: Any) -> None:
        with django_assert_num_queries(0):
            assert services.pinned(Choice("fake")) == Choice("fake")
            services.classifier(Choice("fake"))

    def test_an_alias_with_an_adapter_takes_no_promotion(self, mine: Adapter) -> None:
        with pytest.raises(IntegrityError):
            promote(mine, alias="gemma@mine")


def _run_of(alias: str, *, promoted: Adapter | None) -> dict[str, Any]:
    if promoted:
        promote(promoted)
    run = create_run(actor="test", input_checks=[alias], prompts=["Hello."])
    return dict(run.configuration["input"][0])


@pytest.mark.parametrize("name", ["a b", "", "a/b", "a@b", "x" * 61, "ä"])
def test_a_name_can_stand_behind_an_alias(name: str) -> None:
    with pytest.raises(InputError, match="gemma@mine"):
        adapters.check_name(name)
