"""What is stored of texts, under each of the three settings: a cast of secrets is looked for wherever anything is kept."""

import traceback
from pathlib import Path

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from classifiers.errors import ProviderError, SafetyError
from classifiers.serving import ModelServer
from classifiers.types import Stage, digest
from guardrails.pii import PiiCheck
from runs import retention, services, tasks
from runs.models import Chunk, Payload, Result, Verdict
from runs.storing import NOT_KEPT, UNTOLD
from runs.verification import discrepancies
from tests.classifiers.test_serving import hosting
from tests.leaks import CARD, EMAIL, LETTER, PHONE, SECRETS, leaks, nothing, redacted, rules_alone  # noqa: F401  fixtures

pytestmark = pytest.mark.usefixtures("rules_alone")


def test_texts_are_stored_as_they_come_unless_asked_otherwise(done_run):
    result = Result.objects.get(run=done_run([LETTER]))
    assert (result.prompt, result.texts, result.digests) == (LETTER, None, None)


def test_personal_data_is_stored_as_placeholders(redacted, done_run):  # noqa: F811
    result = Result.objects.get(run=done_run([LETTER]))
    told = "Write to <EMAIL_1> or call <PHONE_1>. The card is <CARD_1>, says <EMAIL_1>."
    assert (result.prompt, result.answer) == (told, f"You said: {told}")
    assert result.texts == "REDACTED"
    assert not leaks()


def test_a_text_without_personal_data_is_as_it_came(redacted, done_run):  # noqa: F811
    result = Result.objects.get(run=done_run(["How are you?"]))
    assert (result.prompt, result.texts) == ("How are you?", None)


def test_the_classifier_judges_what_came(redacted, done_run):  # noqa: F811
    (verdict,) = Verdict.objects.filter(result__run=done_run([LETTER], check="rules", generator=None))
    assert verdict.label == "TOXIC"
    assert sorted(verdict.flagged) == ["CREDIT_CARD", "EMAIL_ADDRESS", "PHONE_NUMBER"]


def test_places_in_a_text_move_with_its_words(redacted, done_run):  # noqa: F811
    run = done_run([LETTER], check="rules", generator=None)
    result, verdict = Result.objects.get(run=run), Verdict.objects.get(result__run=run)
    quoted = [result.prompt[span["start"] : span["end"]] for span in verdict.spans]
    assert quoted == ["<EMAIL_1>", "<PHONE_1>", "<CARD_1>", "<EMAIL_1>"]


def test_what_a_row_held_beside_its_prompt_is_redacted_too(redacted, done_run):  # noqa: F811
    metadata = {"by": EMAIL, "card": int(CARD.replace(" ", "")), EMAIL: [{"tel": PHONE}], "source": "wiki", "n": 3}
    result = Result.objects.get(run=done_run(["Hello"], metadata=metadata))
    assert result.metadata == {
        "by": "<EMAIL_1>",
        "card": "<CARD_1>",
        "<EMAIL_1>": [{"tel": "<PHONE_1>"}],
        "source": "wiki",
        "n": 3,
    }


def test_what_a_provider_sent_and_why_say_no_more_than_the_text(redacted, done_run):  # noqa: F811
    run = done_run([LETTER], check="telltale", generator=None)
    verdict, payload = Verdict.objects.get(result__run=run), Payload.objects.get()
    assert verdict.reason == "It says: Write to <EMAIL_1> or call <PHONE_1>. The card is <CARD_1>, says <EMAIL_1>."
    assert payload.value["card"] == "<CARD_1>"
    assert not leaks()


def test_nothing_is_stored_of_texts_when_nothing_is_to_be(nothing, done_run):  # noqa: F811
    run = done_run([LETTER], check="telltale", metadata={"by": EMAIL})
    result = Result.objects.get(run=run)
    assert (result.prompt, result.answer, result.metadata, result.texts) == (NOT_KEPT, NOT_KEPT, {}, "NOT_KEPT")
    assert result.digest_of(Stage.INPUT) == digest(LETTER)
    assert not Payload.objects.exists()
    assert {verdict.reason for verdict in Verdict.objects.all()} == {""}
    assert not leaks(of=[*SECRETS, "Write to"])


def test_why_a_text_could_not_be_judged_may_quote_it_and_is_not_stored_then(nothing, done_run):  # noqa: F811
    run = done_run([f"fail {LETTER}"], check="telltale", generator=None)
    assert Verdict.objects.get(result__run=run).reason == UNTOLD
    assert Result.objects.get(run=run).input_label == "ERROR"


@pytest.mark.parametrize("kept", ["redacted", "none"])
def test_logs_quote_no_text(kept, settings, done_run, caplog):
    settings.SAFETY_STORE_TEXT = kept
    done_run([f"fail {LETTER}"], check="telltale")
    assert "TelltaleClassifier failed on 1 texts" in caplog.text
    assert "ValueError. What else it said is not kept" in caplog.text
    assert not any(secret in caplog.text for secret in [*SECRETS, "Write to"])
    assert not leaks()


@pytest.mark.parametrize("kept", ["redacted", "none"])
def test_a_run_that_fails_says_why_without_personal_data(kept, settings, make_run, caplog):
    settings.SAFETY_STORE_TEXT = kept
    run = make_run([f"stop {LETTER}"], check="telltale")
    with pytest.raises(ProviderError):
        list(services.execute_run(run, actor="test"))
    run.refresh_from_db()
    assert run.error.startswith("The key is used up. The last text was: stop Write to <EMAIL_1>")
    assert "The key is used up" in caplog.text
    assert not any(secret in caplog.text for secret in SECRETS)
    assert {table for _, table in leaks()} == {"runs_chunk"}  # which waits to be taken up again


def test_a_task_that_fails_leaves_no_text_with_the_task_queue(redacted, make_run):  # noqa: F811
    chunk = make_run([f"stop {LETTER}"], check="telltale", queued=True).chunks.get()
    with pytest.raises(SafetyError, match="The key is used up") as raised:
        tasks.execute_chunk(chunk.pk)
    assert EMAIL not in "".join(traceback.format_exception(raised.value))


def test_logs_are_whole_where_texts_are(done_run, caplog):
    done_run([f"fail {LETTER}"], check="telltale")
    assert EMAIL in caplog.text


def test_what_cannot_be_redacted_is_not_stored(redacted, settings, done_run, caplog):  # noqa: F811
    settings.SAFETY_REDACTOR = "fake-broken"
    result = Result.objects.get(run=done_run([LETTER, "Hello"]), position=0)
    assert (result.prompt, result.texts) == (NOT_KEPT, "NOT_KEPT")
    assert "The texts of 2 of 2 results are not kept: the check fake-broken could not redact them." in caplog.text
    assert not leaks()


def test_the_check_that_finds_it_may_be_served(redacted, settings, done_run):  # noqa: F811
    """As for web processes, which load no model."""
    with hosting(ModelServer(), pii=PiiCheck(["EMAIL_ADDRESS", "CREDIT_CARD", "PHONE_NUMBER"])) as server:
        client = {"model": "pii", "base_url": server.url, "timeout": 5.0, "give_up_after": 0.5}
        backend = "classifiers.providers.openai.OpenAIModeration"
        settings.SAFETY_CLASSIFIERS = {
            **settings.SAFETY_CLASSIFIERS,
            "served": {"BACKEND": backend, "OPTIONS": client},
        }
        settings.SAFETY_REDACTOR = "served"
        assert Result.objects.get(run=done_run([LETTER])).prompt.startswith("Write to <EMAIL_1> or call <PHONE_1>.")
    gone = Result.objects.get(run=done_run([LETTER]))
    assert (gone.prompt, gone.texts) == (NOT_KEPT, "NOT_KEPT")
    assert not leaks()


def test_one_text_that_cannot_be_redacted_takes_no_other_with_it(redacted, settings, done_run):  # noqa: F811
    settings.SAFETY_REDACTOR = "fake"  # which fails on what says so, and finds nothing
    texts = done_run(["unfailing fail", "Hello"], check="rules", generator=None).results.values_list("texts", flat=True)
    assert list(texts.order_by("position")) == ["NOT_KEPT", None]


def test_the_same_text_is_judged_once_though_it_is_not_kept(nothing, done_run):  # noqa: F811
    run = done_run([LETTER, LETTER, "Hello"], generator=None, batch_size=1)
    assert list(Verdict.objects.filter(result__run=run).order_by("pk").values_list("recalled", flat=True)) == [
        False,
        True,
        False,
    ]


def test_places_are_found_anew_where_words_were_replaced(redacted, done_run):  # noqa: F811
    run = done_run([LETTER, LETTER], check="rules", generator=None, batch_size=1)
    first, second = Verdict.objects.filter(result__run=run).order_by("pk")
    assert not second.recalled
    assert first.spans == second.spans


@pytest.mark.parametrize("kept", ["full", "redacted", "none"])
def test_what_is_stored_is_what_the_audit_trail_committed_to(kept, settings, done_run):
    settings.SAFETY_STORE_TEXT = kept
    run = done_run([LETTER, "Hello", "toxic"])
    assert not list(discrepancies(run))
    Result.objects.filter(run=run, position=0).update(prompt="Another text")
    assert [each.position for each in discrepancies(run)] == [0]


def test_prompts_wait_in_their_chunk_and_are_let_go_when_it_is_done(redacted, make_run):  # noqa: F811
    run = make_run([LETTER])
    assert EMAIL in Chunk.objects.get(run=run).payload
    for _ in services.execute_run(run, actor="test"):
        pass
    assert not leaks()


def test_errors_are_not_judged_again_from_what_is_left_of_their_prompts(redacted, done_run):  # noqa: F811
    run = done_run([f"fail {LETTER}"], generator=None)
    with pytest.raises(services.InputError, match="The prompts of 1 errors are not kept as they came"):
        services.retry_errors(run, actor="test")


def test_errors_whose_prompts_are_whole_are_judged_again(redacted, done_run):  # noqa: F811
    run = done_run(["fail", f"fail {LETTER}"], generator=None)
    assert services.retry_errors(run, actor="test") == 1


def test_secrets_are_looked_for_where_they_can_be_found(done_run):
    done_run([LETTER])
    assert {table for _, table in leaks()} >= {"runs_result"}


@pytest.mark.slow
@pytest.mark.parametrize("kept", ["redacted", "none"])
def test_no_file_and_no_terminal_holds_them_after_a_run(kept, manage, prompts_file):
    """By the site's own redactor, in a process of its own."""
    fakes = ("--input-classifier", "fake", "--answer-generator", "fake", "--output-classifier", "fake")
    path = prompts_file([LETTER, f"fail {LETTER}", f"toxic {LETTER}"], by=EMAIL)
    environment = {"AI_SAFETY_MONITOR_STORE_TEXT": kept}
    process = manage("run_pipeline", "--dataset-id", str(path), "--limit", "0", *fakes, **environment)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert Result.objects.count() == 3
    assert not leaks()
    assert not [secret for secret in SECRETS if secret in told]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        stored = Path(connection.settings_dict["NAME"]).read_bytes()
        assert not [secret for secret in SECRETS if secret.encode() in stored]


class TestPages:
    @pytest.fixture
    def page(self, admin_client):
        def get(run):
            return admin_client.get(
                reverse("admin:runs_result_change", args=[Result.objects.get(run=run).pk])
            ).content.decode()

        return get

    def test_placeholders_are_shown_as_such(self, redacted, done_run, page):  # noqa: F811
        told = page(done_run([LETTER]))
        assert 'Write to <span class="placeholder">&lt;EMAIL_1&gt;</span> or call' in told

    def test_what_only_looks_like_one_is_text(self, done_run, page):
        assert "placeholder" not in page(done_run(["Write to <EMAIL_1>"]))

    def test_a_text_that_is_not_kept_is_called_so_and_never_masked(self, nothing, done_run, page):  # noqa: F811
        told = page(done_run(["toxic"], output=None))
        assert "The prompt is not kept: only what was decided on it is." in told
        assert "Hidden" not in told

    def test_a_text_that_was_let_go_is_called_so(self, done_run, page):
        run = done_run(["Hello"])
        list(retention.let_texts_go(before=timezone.now(), actor="test"))
        told = page(run)
        assert "The prompt was let go by retention on" in told
        assert "The answer was let go by retention on" in told

    def test_a_search_finds_the_words_that_are_kept(self, redacted, done_run, admin_client):  # noqa: F811
        run = done_run([LETTER])
        found = [admin_client.get(f"/admin/runs/result/?run={run.pk}&q={word}").content.decode() for word in WORDS]
        assert ["No result" not in each and "Write to" in each for each in found] == [True, False]


WORDS = ("write", "nimbusmail")
