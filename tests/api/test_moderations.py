"""Texts judged one by one: POST /v1/moderations and GET /v1/models as OpenAI has them, and the doors of our own."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import openai
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from runs.gateway.moderations import CATEGORIES
from runs.models import Result, Run
from runs.verification import discrepancies
from tests.api.conftest import Program
from tests.api.protocol import Site, extra, result
from tests.review.conftest import Cast
from tests.stub_server import StubServer

ADDRESS, OURS = "/v1/moderations", "/api/v1/moderations/"


def ask(cast: Cast, given: Any, model: str | None = "fake", **body: Any) -> Any:
    return Program(cast.prog, "moderate").post(ADDRESS, {"input": given, "model": model, **body})


class TestByOpenAIsClient:
    @pytest.mark.parametrize("category", CATEGORIES)
    def test_each_category_flagged_alone_arrives_flagged(self, site: Site, stub: StubServer, category: str) -> None:
        scores = {name: 0.9 if name == category else 0.01 for name in CATEGORIES}
        stub.result = {
            "flagged": True,
            "categories": {name: name == category for name in CATEGORIES},
            "category_scores": scores,
        }
        (told,) = site().moderations.create(model="stub", input="Some text.").results
        flags, of = told.categories.model_dump(by_alias=True), told.category_scores.model_dump(by_alias=True)
        assert told.flagged
        assert [name for name, flag in flags.items() if flag] == [category]
        assert of == scores
        assert told.category_applied_input_types.model_dump(by_alias=True) == {name: ["text"] for name in CATEGORIES}

    def test_several_classifiers_as_one(self, site: Site, stub: StubServer) -> None:
        (told,) = site().moderations.create(model="stub,fake", input="toxic idiot").results
        assert told.flagged
        assert told.categories.harassment
        assert extra(told, "other_categories")["toxic"] == {"flagged": True, "score": 0.9}

    def test_several_texts_in_their_order(self, site: Site, stub: StubServer) -> None:
        told = site().moderations.create(model="stub", input=["I kill", "I sing", "idiot"])
        assert [each.flagged for each in told.results] == [True, False, True]
        assert (told.model, told.id[:5]) == ("stub", "modr-")

    def test_what_a_classifier_cannot_judge_is_false_and_named(self, site: Site, cast: Cast) -> None:
        (told,) = site().moderations.create(model="fake", input="toxic").results
        assert told.flagged
        assert not any(told.categories.model_dump().values())
        assert extra(told, "unjudged_categories") == list(CATEGORIES)
        assert extra(told, "other_categories") == {"toxic": {"flagged": True, "score": 0.9}}
        assert extra(told, "thresholds") == {"toxic": 0.5}

    def test_the_models_that_there_are(self, site: Site) -> None:
        listed = {model.id: extra(model, "serves") for model in site().models.list()}
        assert listed["fake"] == ["moderations", "chat/completions", "responses"]
        assert listed["toxic-bert"] == ["moderations"]
        assert site().models.retrieve("fake").object == "model"
        with pytest.raises(openai.NotFoundError) as caught:
            site().models.retrieve("no/such")
        assert caught.value.code == "model_not_found"

    def test_a_key_that_is_none(self, site: Site) -> None:
        with pytest.raises(openai.AuthenticationError) as caught:
            site(key="asm_none").moderations.create(model="fake", input="x")
        assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize(
    "name", ["omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-stable", None]
)
def test_an_unchanged_client_gets_the_classifier_of_the_settings(cast: Cast, settings: Any, name: str | None) -> None:
    settings.SAFETY_MODERATION_MODEL = "fake"
    assert ask(cast, "x", name).json()["model"] == "fake"


def test_parts_of_type_text_are_texts(cast: Cast) -> None:
    answer = ask(cast, [{"type": "text", "text": "toxic"}, {"type": "text", "text": "x"}])
    assert [each["flagged"] for each in answer.json()["results"]] == [True, False]


def test_it_is_recorded(cast: Cast, settings: Any) -> None:
    ask(cast, ["toxic", "x"])
    run = Run.objects.get()
    kept = list(Result.objects.order_by("position"))
    assert [(each.prompt, each.input_label, each.output_label) for each in kept] == [
        ("toxic", "TOXIC", None),
        ("x", "SAFE", None),
    ]
    assert kept[1].metadata == {"asked_by": "user:prog", "token": "program 0", "index": 1}
    assert (run.live is not None, run.total, list(discrepancies(run))) == (True, 2, [])
    settings.SAFETY_RECORD_MODERATIONS = False
    assert ask(cast, "toxic").json()["results"][0]["result"] is None
    assert Result.objects.count() == 2


@pytest.mark.parametrize("model", ["fake", "fake-broken"])
def test_a_text_that_cannot_be_judged_fails_the_request(cast: Cast, model: str) -> None:
    answer = ask(cast, ["x", "I fail"], model)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (503, "server_error", "unjudged")
    assert f"Text {1 if model == 'fake' else 0} could not be judged: The fake" in error["message"]
    assert answer["Retry-After"]
    assert "flagged" not in answer.content.decode()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (None, "input is missing"),
        (5, "input must be"),
        (True, "input must be"),
        ([], "this has 0"),
        (["x"] * 10_000, "this has 10000"),
        (["x", 5], "input must be"),
        ([["x"]], "input must be"),
        ([{"type": "image_url", "image_url": {"url": "https://example.org/x.png"}}], "Images cannot be judged"),
        ("x\0", "NUL"),
        (["x", "\udc00"], "surrogate"),
    ],
)
def test_what_is_no_text_is_refused_and_nothing_is_stored(cast: Cast, given: Any, says: str) -> None:
    answer = ask(cast, given)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]
    assert Run.objects.count() == 0


def test_other_faults_of_a_request(cast: Cast, settings: Any) -> None:
    assert (ask(cast, "x", "nobody").status_code, ask(cast, "x", nonsense=1).status_code) == (404, 400)
    assert Program(cast.nora).post(ADDRESS, {"input": "x"}).status_code == 403
    assert Program(cast.prog, "read").post(ADDRESS, {"input": "x"}).json()["error"]["code"] == "scope_missing"
    settings.SAFETY_API_BODY = 100
    answer = ask(cast, "x" * 200)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert Run.objects.count() == 0


class TestOurOwnShape:
    def test_an_error_is_one_among_the_others(self, cast: Cast) -> None:
        answer = Program(cast.prog).post(OURS, {"texts": ["x", "toxic", "I fail", " "], "model": "fake"})
        assert answer.status_code == 200
        told = answer.json()
        assert [each["label"] for each in told["results"]] == ["SAFE", "TOXIC", "ERROR", "SAFE"]
        assert told["results"][1]["flagged"] == ["toxic"]
        assert told["results"][2]["reason"]
        assert told["run"] == Run.objects.get().pk

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({}, 400),
            ({"texts": []}, 400),
            ({"texts": "x"}, 400),
            ({"texts": ["x\0"]}, 422),
            ({"texts": ["x"] * 1001}, 400),
            ({"texts": ["x"], "a": 1}, 400),
        ],
    )
    def test_bad_input(self, cast: Cast, body: Any, status: int) -> None:
        answer = Program(cast.prog).post(OURS, body)
        assert (answer.status_code, answer.json()["code"]) == (status, "invalid")
        assert Run.objects.count() == 0

    def test_several_classifiers_judge_side_by_side(self, cast: Cast) -> None:
        body = {"texts": ["How rude.", "x", "I fail"], "model": "fake, fake-strict"}
        told = Program(cast.prog).post(OURS, body).json()
        assert told["model"] == "fake,fake-strict"
        assert [each["label"] for each in told["results"]] == ["TOXIC", "SAFE", "ERROR"]
        rude = told["results"][0]
        assert [(each["check"], each["label"]) for each in rude["checks"]] == [
            ("fake", "SAFE"),
            ("fake-strict", "TOXIC"),
        ]
        assert rude["score"] == max(each["score"] for each in rude["checks"])
        assert rude["thresholds"]["toxic"] == min(each["thresholds"]["toxic"] for each in rude["checks"])
        assert list(Result.objects.values_list("run", flat=True)) == [told["run"]] * 3

    @pytest.mark.parametrize(("model", "status"), [
        ("fake,nobody", 404), ("fake,", 404), (",".join(f"a{i}" for i in range(11)), 422),
    ])  # fmt: skip
    def test_several_of_which_one_is_none(self, cast: Cast, model: str, status: int) -> None:
        answer = Program(cast.prog).post(OURS, {"texts": ["x"], "model": model})
        assert (answer.status_code, Run.objects.count()) == (status, 0)

    def test_who_may_not(self, cast: Cast) -> None:
        body = {"texts": ["x"], "model": "fake"}
        assert Program(cast.ruth).post(OURS, body).status_code == 403
        assert Program(cast.prog, "review").post(OURS, body).json()["code"] == "scope_missing"


class TestTheCommand:
    def test_it_says_what_the_api_says(self, db: None) -> None:
        out = io.StringIO()
        call_command("moderate_text", "toxic", "x", provider="fake,fake-strict", stdout=out)
        told = json.loads(out.getvalue())["results"]
        assert [each["label"] for each in told] == ["TOXIC", "SAFE"]
        assert [each["check"] for each in told[0]["checks"]] == ["fake", "fake-strict"]

    def test_lines_of_a_file_and_of_the_input(self, db: None, tmp_path: Any, monkeypatch: Any) -> None:
        file = tmp_path / "texts.txt"
        file.write_text("one\n\ntwo\n")
        call_command("moderate_text", file=file, provider="fake", stdout=io.StringIO())
        monkeypatch.setattr("sys.stdin", io.StringIO("three\n"))
        call_command("moderate_text", provider="fake", stdout=io.StringIO())
        assert list(Result.objects.order_by("pk").values_list("prompt", flat=True)) == ["one", "two", "three"]

    @pytest.mark.parametrize(
        ("texts", "options", "says"),
        [
            (["I fail"], {}, "1 of 1 texts could not be judged"),
            (["x"], {"provider": "fake,fakes"}, "Did you mean fake"),
            (["x"], {"file": "x"}, "either texts or a file"),
            ([], {"file": Path("/no/such")}, "cannot be read"),
        ],
    )
    def test_what_goes_wrong_is_a_sentence(self, db: None, texts: list[str], options: Any, says: str) -> None:
        with pytest.raises(CommandError, match=says):
            call_command("moderate_text", *texts, stdout=io.StringIO(), **{"provider": "fake", **options})


class TestThePage:
    def test_what_each_check_says(self, client: Client, cast: Cast) -> None:
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        address = reverse("admin:runs_run_try")
        assert "Judge it" in client.get(address).content.decode()
        page = client.post(address, {"text": "How rude.", "check": ["fake", "fake-strict"]}).content.decode()
        assert page.count('data-label="TOXIC"') >= 2
        assert 'data-label="SAFE"' in page
        kept = Result.objects.get()
        assert (kept.input_label, kept.metadata["asked_by"]) == ("TOXIC", "user:lena")
        assert set(kept.verdicts.values_list("check_name", "label")) == {("fake", "SAFE"), ("fake-strict", "TOXIC")}

    @pytest.mark.parametrize("data", [{}, {"text": " "}, {"text": "x", "check": ["nobody"]}, {"text": "x\0"}])
    def test_what_cannot_be_tried(self, client: Client, cast: Cast, data: Any) -> None:
        client.force_login(cast.lena, backend="django.contrib.auth.backends.ModelBackend")
        assert client.post(reverse("admin:runs_run_try"), {"check": ["fake"], **data}).status_code == 400
        assert Result.objects.count() == 0

    @pytest.mark.parametrize("name", ["ruth", "sara", "axel", "nora"])
    def test_who_may_not(self, client: Client, cast: Cast, name: str) -> None:
        client.force_login(cast[name], backend="django.contrib.auth.backends.ModelBackend")
        assert client.post(reverse("admin:runs_run_try"), {"text": "x", "check": ["fake"]}).status_code == 403


def result_of(alias: str) -> Result:
    return Result.objects.get(run__name__startswith=f"moderations {alias} ")


def test_one_text_by_its_result(cast: Cast) -> None:
    assert ask(cast, "x").json()["results"][0]["result"] == result().pk
