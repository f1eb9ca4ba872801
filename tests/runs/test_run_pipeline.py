"""The command as its user meets it: what it prints, what it writes, and what it says when it cannot."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from classifiers.providers.fake import FakeClassifier
from runs import services
from runs.management.pipeline import absolute
from runs.models import Chunk, Result, Run

pytestmark = pytest.mark.django_db
FAKES = ("--input-classifier", "fake", "--answer-generator", "fake", "--output-classifier", "fake")


def pipeline(*arguments: object, checks: tuple[str, ...] = FAKES) -> None:
    call_command("run_pipeline", *checks, *map(str, arguments))


def test_it_prints_a_preview_and_writes_the_results(
    prompts_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "out.json"
    pipeline(
        "--dataset-id", prompts_file(["hello", "toxic", "fail"], id=1), "--preview", 2, "--output", file, "--name", "n"
    )
    shown = capsys.readouterr().out
    assert "[0] hello" in shown
    assert "answer  You said: hello" in shown
    assert "[2]" not in shown
    assert "1 ERROR, 1 SAFE, 1 TOXIC" in shown
    assert "--retry-errors" in shown
    told = json.loads(file.read_text())
    assert [r["input"]["label"] for r in told["results"]] == ["SAFE", "TOXIC", "ERROR"]
    assert [r["output"] and r["output"]["label"] for r in told["results"]] == ["SAFE", None, None]
    assert told["results"][2]["input"]["verdicts"][0]["reason"] == "The fake classifier was told to fail on this text."
    assert told["results"][0]["metadata"] == {"id": 1}
    assert told["run"]["counts"]["input"] == {"SAFE": 1, "TOXIC": 1, "ERROR": 1}
    assert told["run"]["name"] == "n"
    assert told["run"]["versions"]["torch"]


def test_no_answers_are_made_without_a_generator(prompts_file: Callable[..., Path]) -> None:
    pipeline("--dataset-id", prompts_file(["hello"]), checks=(*FAKES[:2], "--answer-generator", "none"))
    result = Result.objects.get()
    assert (result.answer, result.output_label) == (None, None)


def test_answers_may_go_unjudged(prompts_file: Callable[..., Path]) -> None:
    pipeline("--dataset-id", prompts_file(["hello"]), checks=(*FAKES[:4], "--output-classifier", "none"))
    result = Result.objects.get()
    assert (result.answer, result.output_label) == ("You said: hello", None)


def test_the_input_only_runner_judges_and_nothing_more(prompts_file: Callable[..., Path]) -> None:
    call_command("run_moderation", "--provider", "fake", "--dataset-id", str(prompts_file(["hello", "toxic"])))
    assert list(Result.objects.order_by("position").values_list("input_label", "answer", "output_label")) == [
        ("SAFE", None, None),
        ("TOXIC", None, None),
    ]


def test_a_queued_run_waits_for_workers(prompts_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    pipeline("--dataset-id", prompts_file(["a", "b", "c"]), "--queue", "--batch-size", 2)
    assert "in 2 tasks" in capsys.readouterr().out
    assert Run.objects.get().status == "QUEUED"
    assert Chunk.objects.filter(enqueued_at=None).count() == 0


def test_the_shuffle_can_be_had_again(prompts_file: Callable[..., Path]) -> None:
    file = prompts_file([f"p{i}" for i in range(50)])
    pipeline("--dataset-id", file, "--shuffle", "--limit", 5)
    seed = Run.objects.get().configuration["source"]["seed"]
    pipeline("--dataset-id", file, "--shuffle", "--limit", 5, "--seed", seed)
    first, second = Run.objects.order_by("pk")
    assert first.prompts_digest == second.prompts_digest


def bad(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


GOOD = '{"prompt": "hello"}\n'
FILES: dict[str, tuple[str, str | bytes, list[str], str]] = {
    "empty": ("a.jsonl", "", [], "it has no rows"),
    "broken line 1000": ("a.jsonl", GOOD * 999 + '{"prompt": \n', ["--limit", "0"], "1,?000.*--skip-bad-rows"),
    "NUL": ("a.jsonl", '{"prompt": "a\\u0000b"}\n', [], "NUL"),
    "lone surrogate": ("a.jsonl", '{"prompt": "a\\ud800b"}\n', [], "surrogate"),
    "ragged": ("a.csv", "prompt,id\nhello,1\nworld,2,3\n", [], "line 3"),
    "wrong column": ("a.jsonl", GOOD, ["--text-column", "nope"], "prompt.*--text-column"),
    "no usual column": ("a.jsonl", '{"colour": "red"}\n', [], "colour.*--text-column"),
    "wrong split": ("a.jsonl", GOOD, ["--split", "test"], "train"),
    "no text": ("a.jsonl", GOOD + '{"prompt": 3}\n', [], "a number"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_bad_source_is_one_sentence_and_stores_nothing(case: str, tmp_path: Path) -> None:
    name, content, options, told = FILES[case]
    with pytest.raises(CommandError, match=told) as raised:
        pipeline("--dataset-id", bad(tmp_path, name, content), *options)
    assert raised.value.returncode == 1
    assert not Run.objects.exists()


OPTIONS: dict[str, tuple[list[str], str]] = {
    "missing file": (["--dataset-id", "missing/prompts.jsonl"], "missing/prompts.jsonl"),
    "unknown alias": (["--input-classifier", "gemm"], "no classifier called 'gemm'. Did you mean gemma.*Known:"),
    "unknown generator": (["--answer-generator", "opnai"], "no generator called 'opnai'.*openai"),
    "broken provider": (["--input-classifier", "fake-broken"], "has no key"),
    "unwritable output": (["--output", "/nonexistent/folder/out.json"], "cannot be written"),
    "folder as output": (["--output", "/tmp"], "is a folder"),
    "queue and output": (["--queue", "--output", "/tmp/x.json"], "--output needs the results"),
    "batch of none": (["--batch-size", "0"], "from 1 to 1000"),
    "negative limit": (["--limit", "-1"], "0 for all"),
    "seed alone": (["--seed", "1"], "--shuffle"),
    "a name too long": (["--name", "n" * 201], "at most 200"),
    "retry alone": (["--retry-errors"], "--resume"),
    "useless option": (["--gemma-base-model", "embedded"], "does not use"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_bad_option_is_one_sentence_and_stores_nothing(case: str, prompts_file: Callable[..., Path]) -> None:
    options, told = OPTIONS[case]
    with pytest.raises(CommandError, match=told):
        pipeline("--dataset-id", prompts_file(["hello"]), *options)
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "option", [["--limit", "3"], ["--batch-size", "2"], ["--shuffle"], ["--output-checks", "none"]]
)
def test_a_run_goes_on_with_its_own_configuration(done_run: Callable[..., Run], option: list[str]) -> None:
    run = done_run(["hello"])
    with pytest.raises(CommandError, match=f"{option[0]} cannot be given with --resume"):
        pipeline("--resume", run.pk, *option, checks=())


def test_openai_without_a_key_is_told_before_anything_is_stored(
    prompts_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(CommandError, match="OPENAI_API_KEY"):
        pipeline("--dataset-id", prompts_file(["hello"]), checks=("--input-classifier", "openai"))
    assert not Run.objects.exists()


def test_a_prompt_of_five_megabytes_passes(prompts_file: Callable[..., Path]) -> None:
    text = "five megabytes " * 350_000
    pipeline("--dataset-id", prompts_file([text]))
    assert Result.objects.get().prompt == text


def test_bad_rows_can_be_skipped(tmp_path: Path) -> None:
    pipeline("--dataset-id", bad(tmp_path, "a.jsonl", GOOD + "{\n" + GOOD), "--skip-bad-rows")
    run = Run.objects.get()
    assert (run.total, run.skipped) == (2, 1)
    assert "line 2" in run.logs.get(level="WARNING").message


def test_a_name_that_cannot_be_stored_is_refused(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"\xff.jsonl")
    file.write_text(GOOD)
    with pytest.raises(CommandError, match=r"source\.dataset_id has a lone surrogate .* cannot be stored"):
        pipeline("--dataset-id", file)
    assert not Run.objects.exists()


@pytest.mark.parametrize("value", ["a" * 300, "~nobody-of-this-name/model", "google/gemma-2b-it", "embedded", 48, None])
def test_what_names_no_file_here_is_left_as_it_is(value: Any) -> None:
    assert absolute(value) == value


def test_a_file_here_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "adapter").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert absolute("adapter") == absolute("~/adapter") == str((tmp_path / "adapter").resolve())


class TestStoppedByAnother:
    @pytest.fixture(autouse=True)
    def _stopped(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = FakeClassifier.classify

        def classify(self: FakeClassifier, subjects: Any) -> Any:
            services.cancel_run(Run.objects.get(), actor="another")
            if "ctrl-c" in subjects[0].text:
                raise KeyboardInterrupt
            return original(self, subjects)

        monkeypatch.setattr(FakeClassifier, "classify", classify)

    def test_the_command_says_so_and_writes_no_results(self, prompts_file: Callable[..., Path], tmp_path: Path) -> None:
        file = prompts_file(["one", "two"])
        with pytest.raises(CommandError, match=r"is CANCELLED: .*--resume") as raised:
            pipeline("--dataset-id", file, "--batch-size", 1, "--output", tmp_path / "out.json")
        assert raised.value.returncode == 1
        assert not (tmp_path / "out.json").exists()
        assert Result.objects.count() == 1

    def test_ctrl_c_is_still_ctrl_c(self, prompts_file: Callable[..., Path]) -> None:
        with pytest.raises(CommandError, match="--resume") as raised:
            pipeline("--dataset-id", prompts_file(["ctrl-c"]))
        assert raised.value.returncode == 130


class TestProcess:
    """What only a process of its own shows: exit codes, signals, and a database that is not there."""

    Manage = Callable[..., subprocess.Popen[str]]

    def test_an_error_is_exit_code_1_and_no_traceback(self, manage: Manage) -> None:
        process = manage("run_pipeline", *FAKES, "--dataset-id", "missing.jsonl")
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "missing.jsonl" in told
        assert "Traceback" not in told

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("postgresql://nobody:secret@127.0.0.1:1/none", "cannot be used"),
            ("sqlite:////nonexistent/folder/a.db", "cannot be used"),
            ("sqlite:///./fresh.db", "setup_db"),
            ("mysql://localhost/none", "must start with"),
            ("postgresql:me:secret@localhost/none", "must start with"),
            ("postgresql://me:secret#1@localhost/none", "cannot be read"),
            ("postgresql://me:secret\uff03@localhost/none", "cannot be read"),
            ("sqlite:///./text.db", "cannot be used: file is not a database"),
            ("", "--database-url is empty"),
        ],
    )
    def test_a_database_that_is_not_there_is_one_sentence(
        self, manage: Manage, prompts_file: Callable[..., Path], url: str, told: str, tmp_path: Path
    ) -> None:
        (tmp_path / "text.db").write_text("This is a text. " * 1000)
        url = url.replace("./", f"{tmp_path}/")
        process = manage("run_pipeline", *FAKES, "--dataset-id", str(prompts_file(["a"])), "--database-url", url)
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        assert told in said
        assert "secret" not in said
        assert "Traceback" not in said

    def test_a_shortened_database_url_is_not_ignored(self, manage: Manage, tmp_path: Path) -> None:
        """It would be read too late, and the command would go on with another database."""
        process = manage("list_runs", "--database", f"sqlite:///{tmp_path}/mine.db")
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 2
        assert "unrecognized arguments: --database" in said

    def test_ctrl_c_leaves_a_run_that_goes_on(self, manage: Manage, prompts_file: Callable[..., Path]) -> None:
        checks = ("--input-classifier", "fake-slow", "--answer-generator", "fake", "--output-classifier", "fake")
        file = str(prompts_file([f"prompt {i}" for i in range(200)]))
        process = manage("run_pipeline", *checks, "--dataset-id", file, "--limit", "0", "--batch-size", "2")
        wait_until(lambda: Result.objects.count() >= 4)
        os.kill(process.pid, signal.SIGINT)
        told, _ = process.communicate(timeout=60)
        run = Run.objects.get()
        assert process.returncode == 130
        assert f"--resume {run.pk}" in told
        assert "Traceback" not in told
        assert run.status == "CANCELLED"
        saved = Result.objects.count()
        assert 4 <= saved < 200
        process = manage("run_pipeline", "--resume", str(run.pk))
        told, _ = process.communicate(timeout=60)
        assert process.returncode == 0, told
        assert Result.objects.filter(run=run).count() == 200


def wait_until(holds: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "It did not come about."
        time.sleep(0.02)
