"""What may happen to a run, and when."""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import verify
from classifiers.errors import ConflictError, InputError, NotFoundError, ProviderError
from classifiers.providers.fake import FakeClassifier
from classifiers.sources import PromptSource
from classifiers.types import ModelInfo, Span
from moderation import services as moderation
from runs import leases, services
from runs.configuration import Configuration
from runs.models import Chunk, Payload, Result, Run, RunLog, Verdict

MakeRun = Callable[..., Run]
TEXTS = [f"prompt {i}" for i in range(10)]


def work(run: Run, chunks: int | None = None) -> None:
    """Works on a run, or only on its first few chunks, and then walks away."""
    for number, _ in enumerate(services.execute_run(run, actor="test"), start=1):
        if number == chunks:
            return


def test_a_run_has_a_chunk_for_each_batch(make_run: MakeRun) -> None:
    run = make_run(TEXTS, batch_size=4)
    assert list(run.chunks.order_by("index").values_list("lo", "hi", "state")) == [
        (0, 4, "OPEN"),
        (4, 8, "OPEN"),
        (8, 10, "OPEN"),
    ]


def test_a_done_chunk_lets_its_prompts_go(done_run: MakeRun) -> None:
    run = done_run(TEXTS)
    assert set(run.chunks.values_list("state", "payload", "holder", "lease_until")) == {("DONE", "", "", None)}


def test_what_the_row_held_beside_its_text_is_kept(make_run: MakeRun) -> None:
    run = make_run(["hello"], metadata={"id": 7, "scores": {"toxicity": 0.25}})
    work(run)
    assert Result.objects.get(run=run).metadata == {"id": 7, "scores": {"toxicity": 0.25}}


def test_nothing_is_stored_when_a_provider_cannot_work(make_run: MakeRun) -> None:
    with pytest.raises(ProviderError, match="Give it one"):
        make_run(TEXTS, check="fake-broken")
    assert not Run.objects.exists()


def test_a_provider_that_stops_working_fails_the_run_which_goes_on_later(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(TEXTS)
    work(run, chunks=1)
    with monkeypatch.context() as patch:
        patch.setattr(FakeClassifier, "classify", lambda *_: raise_(ProviderError("The key was revoked. Get another.")))
        with pytest.raises(ProviderError, match="revoked"):
            work(run)
    run.refresh_from_db()
    assert (run.status, run.error) == ("FAILED", "The key was revoked. Get another.")
    assert Result.objects.filter(run=run).count() == 4
    services.resume_run(run, actor="test")
    work(run)
    assert Result.objects.filter(run=run).count() == 10


def raise_(error: Exception) -> None:
    raise error


def test_an_unknown_alias_is_told_with_the_known_ones(make_run: MakeRun) -> None:
    with pytest.raises(InputError, match=r"no classifier called 'gema'. Did you mean gemma\? Known: .*openai"):
        make_run(TEXTS, check="gema")
    assert not Run.objects.exists()


def test_a_stopped_run_goes_on_where_it_stopped(make_run: MakeRun) -> None:
    run = make_run(TEXTS)
    work(run, chunks=1)
    services.cancel_run(run, actor="alice", reason="lunch")
    assert (run.status, run.error) == ("CANCELLED", "lunch")
    before = list(Result.objects.filter(run=run).values_list("pk", flat=True))
    services.resume_run(run, actor="alice")
    work(run)
    run.refresh_from_db()
    assert run.status == "DONE"
    assert list(Result.objects.filter(run=run).order_by("position").values_list("position", flat=True)) == list(
        range(10)
    )
    assert set(before) < set(Result.objects.filter(run=run).values_list("pk", flat=True))


def test_a_done_run_is_not_resumed(done_run: MakeRun) -> None:
    with pytest.raises(ConflictError, match="nothing is left to resume"):
        services.resume_run(done_run(TEXTS), actor="test")


def test_a_run_at_work_elsewhere_is_not_resumed(make_run: MakeRun) -> None:
    run = make_run(TEXTS)
    Run.objects.filter(pk=run.pk).update(status="RUNNING")
    assert leases.claim_next(run, holder="elsewhere:1:1.0")
    run.refresh_from_db()
    with pytest.raises(ConflictError, match="being worked on by elsewhere"):
        services.resume_run(run, actor="test")


def test_a_lease_that_ran_out_frees_the_chunk(make_run: MakeRun) -> None:
    run = make_run(TEXTS)
    Run.objects.filter(pk=run.pk).update(status="RUNNING")
    assert leases.claim_next(run, holder="elsewhere:1:1.0")
    Chunk.objects.filter(state="HELD").update(lease_until=timezone.now() - timedelta(seconds=1))
    run.refresh_from_db()
    services.resume_run(run, actor="test")
    work(run)
    assert Result.objects.filter(run=run).count() == 10


def test_who_lost_the_chunk_saves_nothing(make_run: MakeRun) -> None:
    run = make_run(TEXTS, batch_size=10)
    work_of_first = services.execute_run(run, actor="first")
    original = leases.kept

    def stolen(chunk: Chunk) -> object:
        Chunk.objects.filter(pk=chunk.pk).update(holder="thief:1:1.0")
        return original(chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "kept", stolen)
        assert next(work_of_first) == []
    assert not Result.objects.exists()
    assert not Verdict.objects.exists()


def test_an_error_is_judged_again_in_place(make_run: MakeRun, settings: object) -> None:
    run = make_run(["fine", "fail me", "toxic", "unanswerable", "fail too"], batch_size=2)
    work(run)
    before = {r.position: r.pk for r in Result.objects.filter(run=run)}
    fake = settings.SAFETY_CLASSIFIERS["fake"]  # type: ignore[attr-defined]
    mended = {**settings.SAFETY_CLASSIFIERS, "fake": {**fake, "OPTIONS": {"fail": []}}}  # type: ignore[attr-defined]
    settings.SAFETY_CLASSIFIERS = mended  # type: ignore[attr-defined]
    run.refresh_from_db()
    assert services.retry_errors(run, actor="alice") == 3
    work(run)
    run.refresh_from_db()
    rows = Result.objects.filter(run=run).order_by("position").values_list("input_label", "output_label")
    assert list(rows) == [("SAFE", "SAFE"), ("SAFE", "SAFE"), ("TOXIC", None), ("SAFE", "ERROR"), ("SAFE", "SAFE")]
    assert {r.position: r.pk for r in Result.objects.filter(run=run)} == before
    assert Verdict.objects.filter(result__run=run).count() == 9
    assert run.counts["input"] == {"SAFE": 4, "TOXIC": 1}
    assert verify().fault is None


def test_a_run_without_errors_has_none_to_retry(done_run: MakeRun) -> None:
    with pytest.raises(InputError, match="no errors to retry"):
        services.retry_errors(done_run(["fine"]), actor="test")


def test_a_run_that_is_not_done_is_not_retried(make_run: MakeRun) -> None:
    with pytest.raises(ConflictError, match="is not done"):
        services.retry_errors(make_run(["fail"]), actor="test")


def test_a_stalled_run_fails_and_can_be_resumed(make_run: MakeRun) -> None:
    run = make_run(TEXTS)
    work(run, chunks=1)
    assert services.fail_stalled_runs(idle=timedelta(minutes=5), actor="cron") == []
    long_ago = timezone.now() - timedelta(minutes=10)
    Run.objects.update(started_at=long_ago, created_at=long_ago)
    Result.objects.update(created_at=long_ago)
    assert services.fail_stalled_runs(idle=timedelta(minutes=5), actor="cron") == [run]
    run.refresh_from_db()
    assert "Stalled" in run.error
    services.resume_run(run, actor="test")
    work(run)
    assert Run.objects.get().status == "DONE"


def test_a_run_that_was_never_begun_is_stalled_unless_workers_will_come(make_run: MakeRun) -> None:
    mine, for_workers = make_run(TEXTS), make_run(TEXTS, queued=True)
    Run.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    assert services.fail_stalled_runs(idle=timedelta(minutes=5), actor="cron") == [mine]
    for_workers.refresh_from_db()
    assert for_workers.status == "QUEUED"


def test_a_run_is_found_by_number_and_by_name(make_run: MakeRun) -> None:
    run = make_run(TEXTS, name="monday")
    assert services.find_run(str(run.pk)) == run
    assert services.find_run("monday") == run
    with pytest.raises(NotFoundError, match="no run tuesday"):
        services.find_run("tuesday")


def test_the_digest_is_of_the_prompts_and_of_nothing_else(make_run: MakeRun) -> None:
    first, second, other = (make_run(t, batch_size=n) for t, n in [(TEXTS, 3), (TEXTS, 7), (TEXTS[::-1], 3)])
    assert first.prompts_digest == second.prompts_digest != other.prompts_digest


def test_the_log_is_stored_as_the_run_goes(make_run: MakeRun) -> None:
    run = make_run(TEXTS, batch_size=5)
    work(run, chunks=1)
    assert RunLog.objects.get(run=run).message == "Prompts 0 to 4 are done."


def test_the_log_is_stored(done_run: MakeRun) -> None:
    run = done_run(TEXTS, batch_size=5)
    assert list(RunLog.objects.filter(run=run).values_list("level", "message")) == [
        ("INFO", "Prompts 0 to 4 are done."),
        ("INFO", "Prompts 5 to 9 are done."),
    ]


def test_the_audit_trail_tells_the_whole_life_and_no_text(done_run: MakeRun) -> None:
    done_run(["a secret prompt", "another secret"], batch_size=1)
    events = list(AuditEvent.objects.order_by("sequence"))
    assert [e.action for e in events] == [
        "run.created",
        "run.running",
        "run.chunk_saved",
        "run.chunk_saved",
        "run.done",
    ]
    assert not any("secret" in e.data for e in events)
    assert verify().fault is None


def test_verdicts_name_what_judged(done_run: MakeRun) -> None:
    done_run(["fine"])
    verdict = Verdict.objects.get(stage="INPUT")
    assert verdict.version is not None
    assert verdict.version.alias == "fake"
    assert verdict.thresholds == {"toxic": 0.5}
    assert verdict.latency is not None
    assert not Payload.objects.exists()


class TestDuplicates:
    TEXTS = ["same", "other", "same", "same", "toxic", "toxic"]

    @pytest.fixture
    def asked(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        asked: list[str] = []
        original = FakeClassifier.classify

        def classify(self: FakeClassifier, subjects: list) -> list:
            asked.extend(f"{s.stage}:{s.text}" for s in subjects)
            return original(self, subjects)

        monkeypatch.setattr(FakeClassifier, "classify", classify)
        return asked

    def test_identical_texts_are_judged_once_a_run(self, done_run: MakeRun, asked: list[str]) -> None:
        run = done_run(self.TEXTS, batch_size=2)
        assert sorted(asked) == [
            "INPUT:other",
            "INPUT:same",
            "INPUT:toxic",
            "OUTPUT:You said: other",
            "OUTPUT:You said: same",
        ]
        assert Verdict.objects.filter(result__run=run, stage="INPUT").count() == 6

    def test_a_second_run_judges_anew(self, done_run: MakeRun, asked: list[str]) -> None:
        done_run(["same"], output=None)
        done_run(["same"], output=None)
        assert asked == ["INPUT:same"] * 2

    def test_a_second_run_may_reuse_verdicts(self, done_run: MakeRun, asked: list[str]) -> None:
        first, second = done_run(["same"]), done_run(["same"], reuse_verdicts=True)
        assert len(asked) == 2
        said = [
            Verdict.objects.filter(result__run=run).values_list("label", "score", "recalled") for run in (first, second)
        ]
        assert [row[:2] for row in said[0]] == [row[:2] for row in said[1]]
        assert [row[2] for row in said[1]] == [True, True]

    def test_another_version_is_not_reused(self, done_run: MakeRun, asked: list[str]) -> None:
        done_run(["rude word"], output=None)
        run = done_run(["rude word"], check="fake-strict", output=None, reuse_verdicts=True)
        assert len(asked) == 2
        assert Result.objects.get(run=run).input_label == "TOXIC"

    def test_errors_are_never_reused(self, done_run: MakeRun, asked: list[str]) -> None:
        done_run(["fail"])
        done_run(["fail"], reuse_verdicts=True)
        assert asked == ["INPUT:fail"] * 2


def test_a_message_that_no_database_takes_still_fails_the_run(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(TEXTS)
    monkeypatch.setattr(FakeClassifier, "classify", lambda *_: raise_(ProviderError("The server said: \0 \ud800")))
    with pytest.raises(ProviderError):
        work(run)
    run.refresh_from_db()
    assert (run.status, run.error) == ("FAILED", "The server said: \\0 \\ud800")


def test_a_run_resumed_before_it_began_knows_when_it_began(make_run: MakeRun) -> None:
    run = make_run(TEXTS)
    services.resume_run(run, actor="test")
    assert run.started_at
    began = run.started_at
    work(run, chunks=1)
    services.cancel_run(run, actor="test")
    services.resume_run(run, actor="test")
    assert run.started_at == began


def test_a_provider_that_prefers_more_than_a_run_saves_at_once_gets_less(
    done_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeClassifier, "preferred_batch", 5000, raising=False)
    run = done_run(TEXTS, batch_size=None, generator=None)
    assert (run.status, run.configuration["batch_size"]) == ("DONE", 1000)


def test_no_run_has_a_name_that_cannot_be_stored(make_run: MakeRun) -> None:
    make_run(TEXTS)
    for name in ("\0", "\udcff"):
        with pytest.raises(NotFoundError):
            services.find_run(name)


@pytest.fixture
def _fresh_versions() -> Iterator[None]:
    moderation.forget_versions()
    yield
    moderation.forget_versions()


@pytest.mark.usefixtures("_fresh_versions")
def test_after_a_failure_verdicts_name_the_model_that_is_there_now(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "1"
    monkeypatch.setattr(FakeClassifier, "describe", lambda _: ModelInfo("fake", revision=revision), raising=False)
    run = make_run(TEXTS, batch_size=5, generator=None)
    work(run, chunks=1)
    with monkeypatch.context() as patch:
        patch.setattr(FakeClassifier, "classify", lambda *_: raise_(ProviderError("Its model was replaced.")))
        with pytest.raises(ProviderError):
            work(run)
    revision = "2"
    services.resume_run(run, actor="test")
    work(run)
    said = Verdict.objects.filter(result__run=run).order_by("result__position")
    assert [v.version.revision for v in said] == ["1"] * 5 + ["2"] * 5


class TestRetry:
    @pytest.fixture
    def wordy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Classifiers keep their payload and mark what they found."""
        original = FakeClassifier._classify
        found = (Span(0, 4, "word", 0.5),)
        monkeypatch.setattr(
            FakeClassifier, "_classify", lambda *_: replace(original(*_), raw={"said": _[1]}, spans=found)
        )

    @pytest.mark.usefixtures("wordy")
    def test_what_was_judged_stays_when_only_the_answer_is_made_again(self, done_run: MakeRun) -> None:
        run = done_run(["unanswerable", "unanswerable"], batch_size=1)
        before = list(Verdict.objects.filter(stage="INPUT").order_by("pk").values_list())
        assert services.retry_errors(run, actor="test") == 2
        work(run)
        assert list(Verdict.objects.filter(stage="INPUT").order_by("pk").values_list()) == before
        assert Payload.objects.get(verdict__recalled=False, verdict__stage="INPUT").value == {"said": "unanswerable"}
        assert Verdict.objects.filter(result__run=run).count() == 4

    @pytest.mark.usefixtures("wordy")
    def test_a_judgement_taken_over_keeps_its_spans(self, done_run: MakeRun) -> None:
        done_run(["same", "same"], batch_size=1, generator=None)
        first, second = Verdict.objects.order_by("pk")
        assert (first.recalled, second.recalled) == (False, True)
        assert first.spans == second.spans == [{"start": 0, "end": 4, "kind": "word", "score": 0.5}]

    def test_who_comes_late_to_finish_does_not_end_it(self, done_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> None:
        """It saw that all chunks were done; before it said so, another did, and the errors were taken up again."""
        run = done_run(["fail"])
        Run.objects.filter(pk=run.pk).update(status="RUNNING")
        original = services._locked

        def overtaken(run: Run, status: Run.Status) -> bool:
            monkeypatch.setattr(services, "_locked", original)
            assert services.finish_run(run, actor="faster")
            assert services.retry_errors(run, actor="alice") == 1
            return original(run, status)

        monkeypatch.setattr(services, "_locked", overtaken)
        assert not services.finish_run(run, actor="slow")
        assert Run.objects.get().status == "RUNNING"


@pytest.mark.django_db
class TestMemory:
    """Of a run in the making: its prompts and its bad rows are never all in memory."""

    def peak(self, source: PromptSource) -> tuple[Run, int]:
        configuration = Configuration(source, (moderation.Choice("fake"),), batch_size=6)
        services.create_run(configuration, actor="warm-up")
        tracemalloc.start()
        try:
            return services.create_run(configuration, actor="test"), tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_of_long_prompts(self, tmp_path: Path) -> None:
        file = tmp_path / "prompts.txt"
        with file.open("w") as lines:
            lines.writelines(f"{i} {'long ' * 10_000}\n" for i in range(600))
        run, peak = self.peak(PromptSource(str(file), limit=0))
        assert run.total == 600
        assert peak < 15_000_000

    def test_of_bad_rows(self, tmp_path: Path) -> None:
        file = tmp_path / "prompts.jsonl"
        file.write_text('{"prompt": "good"}\n' + "bad\n" * 20_000)
        run, peak = self.peak(PromptSource(str(file), skip_bad_rows=True))
        assert run.skipped == 20_000
        assert list(run.logs.values_list("message", flat=True))[20:] == ["Skipped 19980 more rows."]
        assert peak < 1_000_000
