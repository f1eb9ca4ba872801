"""OpenAI's moderation and chat over a real HTTP server, through every knob: never SAFE by failure, never lost."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from classifiers import remote
from classifiers.errors import InputError, ProviderError
from classifiers.protocols import AnswerGenerator, Checkable, ClassifierProvider, Described
from classifiers.providers.openai import OpenAIChat, OpenAIModeration
from classifiers.types import Label, Stage, Subject
from tests.stub_server import CATEGORIES, StubServer

IMPATIENT = {"timeout": 0.3, "give_up_after": 1.0}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.002)
    monkeypatch.setattr(remote, "LONGEST_WAIT", 0.01)
    monkeypatch.setattr(remote, "ATTEMPTS", 3)
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stub():
    with StubServer() as server:
        yield server


def subjects(*texts):
    return [Subject(text, Stage.INPUT) for text in texts]


def moderate(stub, *texts, **options):
    return OpenAIModeration(base_url=stub.url, **{**IMPATIENT, **options}).classify(subjects(*texts))


def answer(stub, *prompts, **options):
    return OpenAIChat(base_url=stub.url, **{**IMPATIENT, **options}).generate(prompts)


def closed_port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def test_they_are_providers():
    assert isinstance(OpenAIModeration(), ClassifierProvider)
    assert isinstance(OpenAIChat(), AnswerGenerator)
    for provider in (OpenAIModeration(), OpenAIChat()):
        assert isinstance(provider, Described)
        assert isinstance(provider, Checkable)


# Moderation: what it says


def test_a_flagged_text_is_toxic_and_another_safe(stub):
    toxic, safe = moderate(stub, "I will kill you", "Good morning")
    assert (toxic.label, toxic.score, toxic.flagged) == (Label.TOXIC, 0.9, ("harassment", "violence"))
    assert (safe.label, safe.score, safe.flagged) == (Label.SAFE, 0.01, ())
    assert toxic.raw["category_applied_input_types"]["hate"] == ["text"]
    assert toxic.raw["model"] == "omni-moderation-stub"
    assert toxic.latency > 0


def test_categories_have_their_wire_names(stub):
    stub.result = {"flagged": True, "categories": dict.fromkeys(CATEGORIES, True)}
    (found,) = moderate(stub, "x")
    assert tuple(found.categories) == CATEGORIES
    assert found.flagged == tuple(sorted(CATEGORIES))
    assert {"self-harm/intent", "hate/threatening", "illicit/violent", "sexual/minors"} <= set(found.flagged)


def test_texts_go_out_in_arrays_several_requests_at_once(stub):
    stub.latency = 0.05
    texts = [f"text {i}" + " kill" * (i % 7 == 0) for i in range(100)]
    found = moderate(stub, *texts)
    assert [c.label == Label.TOXIC for c in found] == [i % 7 == 0 for i in range(100)]
    assert sorted(len(seen.body["input"]) for seen in stub.posts) == [4, 32, 32, 32]
    assert stub.most_out == 4


def test_order_is_kept_through_retries(stub):
    stub.script = {0: 500, 3: 429, 5: 503, 6: "disconnect"}
    texts = [f"text {i}" + " kill" * (i % 3 == 0) for i in range(60)]
    found = moderate(stub, *texts, texts_per_request=4, timeout=5, give_up_after=30)
    assert [c.label == Label.TOXIC for c in found] == [i % 3 == 0 for i in range(60)]


def test_nothing_in_nothing_out():
    assert OpenAIModeration().classify([]) == []
    assert OpenAIChat().generate([]) == []


def test_null_booleans_are_no_flags_and_null_scores_no_scores(stub):
    stub.result = {
        "categories": {"illicit": None, "illicit/violent": None, "hate": False},
        "category_scores": {"illicit": 0.2, "illicit/violent": None, "hate": 0.1},
    }
    (found,) = moderate(stub, "x")
    assert (found.label, found.categories) == (Label.SAFE, {"illicit": 0.2, "hate": 0.1})


def test_a_new_category_is_kept_and_flags(stub):
    stub.result = {"flagged": False, "categories": {"fraud/new": True}, "category_scores": {"fraud/new": 0.4}}
    (found,) = moderate(stub, "x")
    assert (found.label, found.flagged, found.categories) == (Label.TOXIC, ("fraud/new",), {"fraud/new": 0.4})


def test_flagged_without_a_category_is_toxic(stub):
    stub.result = {"flagged": True}
    (found,) = moderate(stub, "x", thresholds={"hate": 0.99})
    assert (found.label, found.flagged) == (Label.TOXIC, ())


def test_own_thresholds_decide_for_the_categories_they_name(stub):
    stub.result = {
        "flagged": True,
        "categories": {"hate": True, "violence": False, "sexual": False},
        "category_scores": {"hate": 0.6, "violence": 0.3, "sexual": 0.2},
    }
    (lenient,) = moderate(stub, "x", thresholds={"hate": 0.7})
    assert (lenient.label, lenient.flagged, lenient.thresholds) == (Label.SAFE, (), {"hate": 0.7})
    (strict,) = moderate(stub, "x", thresholds={"violence": 0.3})
    assert (strict.label, strict.flagged) == (Label.TOXIC, ("hate", "violence"))


def test_a_threshold_for_a_category_that_has_no_score_is_an_error(stub):
    (found,) = moderate(stub, "x", thresholds={"violense": 0.5})
    assert found.label == Label.ERROR
    assert "no score for violense" in found.reason


@pytest.mark.parametrize("options", [{"thresholds": {"hate": 1.5}}, {"texts_per_request": 0}, {"concurrency": 0}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(InputError):
        OpenAIModeration(**options)


# Moderation: what goes wrong

FAULTS = {
    400: "answered 400",
    500: "answered 500",
    503: "answered 503",
    429: "answered 429",
    422: "answered 422",
    "hang": "did not answer within",
    "disconnect": "cannot be reached",
    "bad_json": "not JSON",
    "html": "not JSON",
    "nan": "not JSON",
    "not_an_object": "not an object",
    "missing_fields": "without flagged",
    "wrong_count": "results for",
    "bad_score": "must lie between 0 and 1",
}


@pytest.mark.parametrize(("fault", "reason"), FAULTS.items())
def test_a_fault_is_an_error_with_its_reason_for_every_text(stub, fault, reason):
    stub.always = fault
    found = moderate(stub, "Good morning", "I will kill you", "x", texts_per_request=2, timeout=0.1, give_up_after=0.5)
    assert [c.label for c in found] == [Label.ERROR] * 3
    assert all(reason in c.reason for c in found), found
    assert [c.score for c in found] == [None] * 3
    json.dumps([c.raw for c in found], allow_nan=False)


@pytest.mark.parametrize(
    "result",
    [
        {"flagged": None},
        {"flagged": "false"},
        {"categories": []},
        {"categories": {"hate": "no"}},
        {"category_scores": {}},
        {"category_scores": None},
        {"categories": {"hate": False}, "category_scores": {"hate": "0.1"}},
        {"categories": {"hate": False}, "category_scores": {"hate": True}},
        {"categories": {"hate": None}, "category_scores": {"hate": None}},
        {"categories": {"hate": False}, "category_scores": {"hate": -0.1}},
        {"categories": {"hate": False}, "category_scores": {"hate": None}},
    ],
)
def test_a_result_with_a_broken_field_is_an_error(stub, result):
    stub.result = result
    (found,) = moderate(stub, "x")
    assert found.label == Label.ERROR
    assert found.reason


def test_a_rejected_array_is_halved_until_only_the_bad_text_is_an_error(stub):
    stub.reject_words = ("poison",)
    texts = [f"text {i}" + " kill" * (i == 3) for i in range(32)]
    texts[11] = texts[30] = "poison"
    found = moderate(stub, *texts)
    assert [i for i, c in enumerate(found) if c.label == Label.ERROR] == [11, 30]
    assert [i for i, c in enumerate(found) if c.label == Label.TOXIC] == [3]
    assert len(stub.posts) < 2 * 2 * 6


def test_a_lone_surrogate_is_an_error_of_its_text_only(stub):
    found = moderate(stub, "Good morning", "half \ud83d", "nul \x00 and ünïcödé 🙂")
    assert [c.label for c in found] == [Label.SAFE, Label.ERROR, Label.SAFE]
    assert "no valid Unicode" in found[1].reason


def test_nobody_listens():
    provider = OpenAIModeration(base_url=f"http://127.0.0.1:{closed_port()}/v1", **IMPATIENT)
    found = provider.classify(subjects("a", "b"))
    assert [c.label for c in found] == [Label.ERROR] * 2
    assert "cannot be reached" in found[0].reason


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (401, None, "api_key"),
        (403, None, "denies access"),
        (404, None, "Check the model's name"),
        (400, "model_not_found", "Check the model's name"),
        (429, "insufficient_quota", "Add credit"),
    ],
)
def test_what_every_request_would_meet_is_a_provider_error(stub, status, code, advice):
    stub.always, stub.error_code = status, code
    with pytest.raises(ProviderError, match=advice):
        moderate(stub, *("x" * 100))
    with pytest.raises(ProviderError, match=advice):
        answer(stub, "x")


def test_openai_without_a_key_is_a_sentence():
    for call in (lambda: OpenAIModeration().classify(subjects("x")), lambda: OpenAIChat().generate(["x"])):
        with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
            call()
    (problem,) = OpenAIModeration().problems()
    assert "OPENAI_API_KEY" in problem


def test_the_key_of_the_environment_goes_to_openai_only(stub, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")
    moderate(stub, "x")
    moderate(stub, "x", api_key="own")
    monkeypatch.setenv("OPENAI_BASE_URL", stub.url)
    OpenAIModeration().classify(subjects("x"))
    sent = [seen.headers["authorization"] for seen in stub.posts]
    assert sent == ["Bearer none", "Bearer own", "Bearer sk-secret"]


def test_a_key_or_an_address_that_cannot_be_is_a_sentence(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-…")
    with pytest.raises(ProviderError, match="Copy it again"):
        OpenAIModeration().classify(subjects("x"))
    for address in ("localhost:8000", "http://[bad", "http://"):
        with pytest.raises(ProviderError, match="is no address"):
            OpenAIModeration(base_url=address).classify(subjects("x"))


def test_a_password_in_the_address_is_used_but_neither_stored_nor_shown(stub):
    stub.always = 500
    address = stub.url.replace("//", "//user:hunter2@")
    provider = OpenAIModeration(base_url=address, give_up_after=0.5)
    (found,) = provider.classify(subjects("x"))
    assert stub.posts
    assert "hunter2" not in f"{found} {provider.describe()} {OpenAIChat(base_url=address).describe()}"
    assert provider.describe() == OpenAIModeration(base_url=stub.url).describe()


def test_a_key_is_never_quoted(stub):
    """The HTTP client's complaint about a line break in a header holds all of it, and reasons are stored."""
    with pytest.raises(ProviderError, match="Copy it again") as raised:
        moderate(stub, "x", api_key="sk-secret\nsk-other")
    assert "sk-" not in str(raised.value)


# Retry-After and concurrency, over the wire


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_no_request_goes_out_before_retry_after(stub, form):
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    moment_of_date = time.monotonic() + (until - datetime.now(UTC)).total_seconds()
    stub.retry_headers = {
        "seconds": {"Retry-After": "0.4"},
        "milliseconds": {"retry-after-ms": "400", "Retry-After": "60"},
        "date": {"Retry-After": format_datetime(until, usegmt=True)},
    }[form]
    stub.script, stub.latency = {5: 429}, 0.01
    provider = OpenAIModeration(base_url=stub.url, texts_per_request=1, concurrency=2, timeout=5, give_up_after=10)
    found = provider.classify(subjects(*(f"text {i}" for i in range(30))))
    assert {c.label for c in found} == {Label.SAFE}
    refused = stub.posts[5].answered
    resumed = moment_of_date if form == "date" else refused + 0.4
    later = [seen.arrived for seen in stub.posts if seen.arrived > refused + 0.03]
    assert later
    assert min(later) >= resumed


def test_an_episode_of_429s_shrinks_the_limit_once_and_500s_do_not(stub):
    stub.script = {**dict.fromkeys(range(10), 429), **dict.fromkeys(range(10, 15), 500)}
    stub.latency = 0.02
    provider = OpenAIModeration(base_url=stub.url, texts_per_request=1, concurrency=10, max_concurrency=10)
    found = provider.classify(subjects(*"abcdefghij"))
    assert {c.label for c in found} == {Label.SAFE}
    assert 8.0 <= provider.endpoint.pool.limit.value < 8.6
    assert stub.most_out == 10


def test_an_interrupt_ends_a_hanging_call_promptly():
    code = (
        "import sys\nfrom classifiers.providers.openai import OpenAIModeration\n"
        "from classifiers.types import Stage, Subject\n"
        "OpenAIModeration(base_url=sys.argv[1]).classify([Subject('x', Stage.INPUT)])"
    )
    with StubServer(always="hang") as stub:
        child = subprocess.Popen([sys.executable, "-c", code, stub.url], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 20
        while not stub.posts and time.monotonic() < deadline:
            time.sleep(0.02)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        _, errors = child.communicate(timeout=10)
    assert time.monotonic() - start < 2
    assert "KeyboardInterrupt" in errors


def test_the_stub_runs_as_a_process_of_its_own():
    command = [sys.executable, "-m", "tests.stub_server", "--rate-429=0.2", "--retry-after=0.01", "--toxic", "rude"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        provider = OpenAIModeration(base_url=child.stdout.readline().strip(), texts_per_request=1)
        found = provider.classify(subjects(*["rude", "kill"] * 20))
        child.terminate()
    assert [c.label for c in found] == [Label.TOXIC, Label.SAFE] * 20


# Chat


def test_answers_come_in_order(stub):
    stub.script = {1: 500, 2: 429}
    prompts = [f"prompt {i}" for i in range(20)]
    assert [a.text for a in answer(stub, *prompts)] == [f"An answer to: {prompt}" for prompt in prompts]


def test_what_is_sent(stub):
    answer(stub, "Hello", system_prompt="Be brief.", max_tokens=48, model="m")
    assert stub.posts[0].body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}],
        "max_tokens": 48,
        "temperature": 0.0,
    }
    answer(stub, "Hello", temperature=None)
    assert "temperature" not in stub.posts[1].body


def test_openai_gets_the_newer_name_of_the_token_limit():
    assert OpenAIChat().endpoint.token_limit(5) == {"max_completion_tokens": 5}
    assert OpenAIChat(base_url="https://eu.api.openai.com/v1").endpoint.is_openai
    assert not OpenAIChat(base_url="https://api.openai.com.example.org/v1").endpoint.is_openai


CHAT_FAULTS = FAULTS | {"missing_fields": "without a message", "wrong_count": "without choices"}
del CHAT_FAULTS["bad_score"], CHAT_FAULTS["nan"]  # answers have no scores


@pytest.mark.parametrize(("fault", "reason"), CHAT_FAULTS.items())
def test_a_fault_is_no_answer_with_its_reason(stub, fault, reason):
    stub.always = fault
    answers = answer(stub, "a", "b", timeout=0.1, give_up_after=0.5)
    assert [a.text for a in answers] == [None, None]
    assert all(reason in a.reason for a in answers), answers


@pytest.mark.parametrize(
    ("message", "finish", "text", "reason"),
    [
        ({"content": None, "refusal": "I can't help."}, "stop", "I can't help.", "refused"),
        ({"content": "Half an ans"}, "content_filter", "Half an ans", "content filter"),
        ({"content": None}, "content_filter", None, "content filter"),
        ({"content": ""}, "length", None, "without text (finish reason: length)"),
        ({"content": [{"type": "text"}]}, "stop", None, "without text"),
        ({"content": "Half an ans"}, "length", "Half an ans", ""),
    ],
)
def test_refusals_and_filters(stub, message, finish, text, reason):
    stub.message, stub.finish_reason = message, finish
    (found,) = answer(stub, "x")
    assert found.text == text
    assert reason in found.reason


def test_a_nul_in_an_answer_comes_through_as_it_is(stub):
    stub.always = "nul"
    (found,) = answer(stub, "Hello")
    assert found.text == "nul: \x00 An answer to: Hello"


# What they say of themselves


def test_descriptions_tell_versions_apart():
    prints = {
        provider.describe().fingerprint
        for provider in (
            OpenAIModeration(),
            OpenAIModeration(model="omni-moderation-2024-09-26"),
            OpenAIModeration(thresholds={"hate": 0.5}),
            OpenAIModeration(base_url="http://localhost:1/v1"),
            OpenAIChat(),
            OpenAIChat(system_prompt="Be brief."),
            OpenAIChat(max_tokens=5),
        )
    }
    assert len(prints) == 7
    assert OpenAIModeration().describe() == OpenAIModeration(api_key="x", timeout=1).describe()


def test_problems(stub):
    assert OpenAIChat(api_key="sk-x").problems() == []
    assert OpenAIChat(base_url=stub.url).problems() == []
    assert stub.seen[0].path == "/v1/models"
    (problem,) = OpenAIChat(base_url=f"http://127.0.0.1:{closed_port()}/v1").problems()
    assert "cannot be reached" in problem
    assert "Start it" in problem


def test_nothing_heavy_is_imported_before_the_first_call():
    code = "import sys, classifiers.providers.openai, classifiers.providers.served; sys.exit('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
