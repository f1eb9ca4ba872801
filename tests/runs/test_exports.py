from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from audit.models import AuditEvent
from classifiers.errors import InputError
from classifiers.prompts import read_prompts
from classifiers.sources import PromptSource
from classifiers.types import Prompt
from runs import exports, services
from runs.configuration import Configuration
from runs.exports import FORMS, FORMULA, Reading, export_run, form_of, pieces
from runs.files import new_file
from runs.models import Result, Run, Verdict

HOSTILE = [
    "=HYPERLINK(\"http://evil.example\",\"toxic\")",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1+1",
    "'=1",
    "\t=1",
    "\r=1",
    "＝1",
    "two\nlines, \"quoted\" and; a, comma",
    "line\u2028separator \u0085 and \u202eturned\u202c",
    "\ufeffmark, \U0001f469\u200d\U0001f52c, e\u0301, \u05e9\u05dc\u05d5\u05dd",
    "<script>alert(1)</script>",
    "fail here",
    "you are toxic",
]  # fmt: skip
VIEW = [
    *("run_id", "run_name", "position", "prompt", "answer", "input_label", "input_score", "input_categories"),
    *("output_label", "output_score", "output_categories", "human_input_label", "human_output_label"),
    *("human_provenance", "human_notes", "reviewers", "reviewed_at", "effective_input_label"),
    *("effective_output_label", "policy_version", "created_at"),
]
VERDICT = {
    *("check", "label", "own_label", "score", "categories", "flagged", "own_flagged", "thresholds", "spans"),
    *(
        "reason",
        "provider",
        "model",
        "revision",
        "adapter_digest",
        "template_hash",
        "dtype",
        "recalled",
        "latency",
        "stage",
    ),
}
STAGE = {"label", "score", "categories", "human", "provenance", "effective", "verdicts"}
RESULT = {
    *("position", "prompt", "answer", "metadata", "input", "output", "reviews", "policy_version", "degraded"),
    *("texts", "relabelled", "created_at"),
}
MORE = ["degraded", "texts", "metadata", "verdicts", "reviews"]


@pytest.fixture
def run(done_run: Callable[..., Run]) -> Run:
    return done_run(HOSTILE, name="=hostile")


@pytest.fixture
def exported(run: Run, tmp_path: Path) -> Callable[[str], Path]:
    def export(form: str) -> Path:
        path = tmp_path / f"results.{form}"
        export_run(Reading(run), form=form, path=path, actor="test")
        return path

    return export


class TestJson:
    def test_it_has_the_promised_shape(self, run: Run, exported: Callable[[str], Path]) -> None:
        whole = json.loads(exported("json").read_text(encoding="utf-8"))
        assert whole.keys() == {"run", "results"}
        assert whole["run"].keys() >= {"id", "name", "status", "configuration", "versions", "counts", "seconds"}
        assert whole["run"]["counts"]["total"] == len(HOSTILE)
        assert whole["run"]["counts"]["input"] == run.counts["input"]
        assert [result["prompt"] for result in whole["results"]] == HOSTILE
        assert [result["position"] for result in whole["results"]] == list(range(len(HOSTILE)))
        safe, failed, toxic = whole["results"][1], whole["results"][-2], whole["results"][-1]
        assert safe.keys() == RESULT
        assert safe["input"].keys() == safe["output"].keys() == STAGE
        assert safe["input"]["verdicts"][0].keys() == VERDICT
        assert (safe["input"]["label"], safe["answer"]) == ("SAFE", "You said: +1")
        assert (toxic["input"]["label"], toxic["input"]["categories"]) == ("TOXIC", ["toxic"])
        assert (toxic["answer"], toxic["output"]) == (None, None)
        assert (failed["input"]["label"], failed["input"]["score"]) == ("ERROR", None)
        assert "told to fail" in failed["input"]["verdicts"][0]["reason"]

    def test_a_line_of_jsonl_is_a_result_of_json(self, exported: Callable[[str], Path]) -> None:
        whole = json.loads(exported("json").read_text(encoding="utf-8"))
        lines = exported("jsonl").read_text(encoding="utf-8").removesuffix("\n").split("\n")
        assert [json.loads(line) for line in lines] == whole["results"]

    def test_a_run_without_results_is_whole(self, make_run: Callable[..., Run], tmp_path: Path) -> None:
        export_run(Reading(make_run(["waiting"])), form="json", path=tmp_path / "empty.json", actor="test")
        assert json.loads((tmp_path / "empty.json").read_text())["results"] == []


@pytest.mark.parametrize("form", list(FORMS))
def test_a_page_is_forgotten_before_the_next_is_read(form: str, db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "PAGE", 10)
    monkeypatch.setattr(exports, "GROUP", 2**18)
    run, long = Run.objects.create(name="long"), 50_000
    now = timezone.now()
    results = [Result(run=run, position=n, prompt="x" * long, input_label="SAFE", created_at=now) for n in range(100)]
    Result.objects.bulk_create(results)
    Verdict.objects.bulk_create(
        Verdict(result=r, stage="INPUT", check_name="c", label="SAFE", score=0.1) for r in results
    )
    del results
    next(pieces(Reading(run), form))  # what loading modules takes is not of the export
    tracemalloc.start()
    size = sum(len(piece) for piece in pieces(Reading(run), form))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert form == "parquet" or size > 100 * long  # which packs them
    assert peak < 40 * long


class TestCsv:
    def test_no_cell_is_a_formula_and_each_text_comes_back(self, exported: Callable[[str], Path]) -> None:
        with exported("csv").open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert list(rows[0]) == [*VIEW, *MORE]
        assert not [cell for row in rows for cell in row.values() if cell.lstrip()[:1] in {*"=+-@＝＋－＠"} - {""}]
        assert [unescaped(row["prompt"]) for row in rows] == HOSTILE
        assert rows[0]["run_name"] == "'=hostile"
        assert json.loads(rows[-1]["input_categories"]) == ["toxic"]

    @given(st.text(alphabet=st.sampled_from("'=+-@\t\r\n＝ ax")))
    def test_the_mark_can_be_taken_off_again(self, text: str) -> None:
        assert unescaped(exports.cell(text)) == text


def unescaped(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


class TestParquet:
    def test_columns_have_their_types_and_texts_are_faithful(self, run: Run, exported: Callable[[str], Path]) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(exported("parquet"))
        assert table.column_names == [*VIEW, *MORE]
        rows = table.to_pylist()
        assert [row["prompt"] for row in rows] == HOSTILE
        assert rows[-1]["input_categories"] == ["toxic"]
        assert (rows[-2]["input_label"], rows[-2]["input_score"]) == ("ERROR", None)
        assert rows[0]["created_at"] == run.results.get(position=0).created_at
        assert rows[0]["policy_version"] is None
        assert json.loads(rows[0]["metadata"]) == {}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_datasets_loads_it(form: str, exported: Callable[[str], Path], tmp_path: Path) -> None:
    import datasets

    kind = "json" if form == "jsonl" else form
    file, cache = str(exported(form)), str(tmp_path / "cache")
    loaded = datasets.load_dataset(kind, data_files=file, split="train", cache_dir=cache)
    assert loaded["prompt"][:] == HOSTILE


def test_datasets_loads_jsonl_whose_first_rows_show_no_types(tmp_path: Path) -> None:
    """It reads the types off the first ten megabytes, where nobody reviewed anything; a manifest's features help."""
    import datasets

    empty: dict[str, Any] = dict.fromkeys(exports.OBJECT) | {"position": 0, "prompt": "x" * 2000, "reviews": []}
    late = empty | {
        "answer": "y",
        "metadata": {"a": [1, "b"]},
        "reviews": [{"reviewer": "ruth"}],
        "output": {"label": "SAFE"},
    }
    file = tmp_path / "results.jsonl"
    file.write_text("\n".join(map(json.dumps, [empty] * 6000 + [late])))
    features = datasets.Features.from_dict(exports.FEATURES)
    loaded = datasets.load_dataset(
        "json", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"), features=features
    )
    assert loaded[-1] == late


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("metadata", [{}, {"id": 7, "input": "=1", "nested": {"a": [1, None, "\u202e"]}}])
def test_read_back_as_a_data_set_it_gives_equal_prompts(
    form: str, metadata: dict[str, Any], done_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = done_run(HOSTILE, metadata=metadata)
    export_run(Reading(run), form=form, path=tmp_path / f"results.{form}", actor="test")
    read = list(read_prompts(PromptSource(str(tmp_path / f"results.{form}"), limit=0)))
    assert read == [Prompt(text, position, metadata) for position, text in enumerate(HOSTILE)]
    again = services.create_run(replace_source(run, tmp_path / f"results.{form}"), actor="test")
    assert again.prompts_digest == run.prompts_digest


def replace_source(run: Run, path: Path) -> Configuration:
    return replace(Configuration.from_json(run.configuration), source=PromptSource(str(path), limit=0))


TEXT = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(TEXT | st.sampled_from(HOSTILE), min_size=1, max_size=5),
    metadata=st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT), max_size=3),
)
def test_whatever_can_be_stored_comes_back(
    texts: list[str], metadata: dict[str, Any], db: None, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    run, now = Run.objects.create(name="hostile"), timezone.now()
    fields: dict[str, Any] = {"input_label": "SAFE", "created_at": now, "metadata": metadata}
    Result.objects.bulk_create(Result(run=run, position=n, prompt=text, **fields) for n, text in enumerate(texts))
    whole = {form: b"".join(pieces(Reading(run), form)) for form in FORMS}
    lines = [json.loads(line) for line in whole["jsonl"].decode().removesuffix("\n").split("\n")]
    assert [(line["prompt"], line["metadata"]) for line in lines] == [(text, metadata) for text in texts]
    assert json.loads(whole["json"])["results"] == lines
    rows = list(csv.DictReader(io.StringIO(whole["csv"].decode(), newline="")))
    assert [(unescaped(row["prompt"]), json.loads(unescaped(row["metadata"]))) for row in rows] == [
        (text, metadata) for text in texts
    ]
    assert not [row for row in rows for cell in row.values() if cell[:1] in {*"=+-@\t\r\n"}]
    table = pq.read_table(io.BytesIO(whole["parquet"])).to_pylist()
    assert [(row["prompt"], json.loads(row["metadata"])) for row in table] == [(text, metadata) for text in texts]


@pytest.mark.parametrize("form", list(FORMS))
def test_pages_join_without_gaps(form: str, exported: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    once = exported(form).read_bytes()
    monkeypatch.setattr(exports, "PAGE", 4)
    again = exported(form)
    if form == "parquet":
        import pyarrow.parquet as pq

        assert pq.read_table(again).num_rows == len(HOSTILE)
    else:
        assert again.read_bytes() == once


@pytest.mark.parametrize("form", list(FORMS))
def test_what_it_costs_does_not_grow_with_the_rows(
    form: str, run: Run, exported: Callable[[str], Path], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(14):  # two pages of results, the counts, the audit entry
        exported(form)


def test_an_export_is_recorded(run: Run, exported: Callable[[str], Path]) -> None:
    exported("csv")
    event = AuditEvent.objects.get(action="run.exported")
    assert (event.actor, event.target_id, event.details) == (
        "test",
        str(run.pk),
        {"form": "csv", "filters": {}, "pseudonyms": False},
    )


def test_the_metadata_of_the_source_is_kept(run: Run, exported: Callable[[str], Path]) -> None:
    metadata = {"group": "=g", "scores": {"toxicity": 0.25}}
    run.results.update(metadata=metadata)
    assert json.loads(exported("jsonl").read_text().split("\n")[0])["metadata"] == metadata
    with exported("csv").open(newline="") as stream:
        assert json.loads(next(csv.DictReader(stream))["metadata"]) == metadata


class TestTheFile:
    @pytest.mark.parametrize("form", list(FORMS))
    def test_a_writer_that_fails_leaves_nothing(
        self, form: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exports, "PAGE", 4)
        monkeypatch.setattr(exports, "note_export", fail)
        target = tmp_path / "out" / f"results.{form}"
        target.parent.mkdir()
        target.write_text("earlier")
        with pytest.raises(RuntimeError):
            export_run(Reading(run), form=form, path=target, actor="test")
        assert list(target.parent.iterdir()) == [target]
        assert target.read_text() == "earlier"
        assert not AuditEvent.objects.filter(action="run.exported").exists()

    def test_a_full_disk_is_a_sentence(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"No space left on device\. Choose another place"):  # noqa: SIM117
            with new_file(tmp_path / "results"):
                raise OSError(28, "No space left on device")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_a_sentence(self, run: Run, tmp_path: Path) -> None:
        for path, why in [
            (tmp_path / "none" / "results.csv", "No such file or directory"),
            (tmp_path, "is a folder"),
            (Path("/dev/null"), "no ordinary file"),
            (tmp_path / ("x" * 300), "File name too long"),
        ]:
            with pytest.raises(InputError, match=why):
                export_run(Reading(run), form="csv", path=path, actor="test")
        assert Path("/dev/null").is_char_device()

    def test_a_link_stays_a_link(self, tmp_path: Path) -> None:
        link, target = tmp_path / "link", tmp_path / "target"
        target.write_text("earlier")
        link.symlink_to(target)
        with new_file(link) as stream:
            stream.write("later")
        assert link.is_symlink()
        assert target.read_text() == "later"

    def test_its_name_says_the_form(self) -> None:
        assert form_of(Path("results.JSONL")) == "jsonl"
        with pytest.raises(InputError, match="Name one of: json, jsonl, csv, parquet"):
            form_of(Path("results.xlsx"))


def fail(*arguments: Any, **options: Any) -> Any:
    raise RuntimeError("told to fail")


@pytest.mark.django_db
def test_the_view_for_analysts_has_its_columns() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM moderation_results")
        assert [column[0] for column in cursor.description] == VIEW


def test_the_view_has_a_row_for_each_result(run: Run) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT position, prompt, input_label, output_label, effective_input_label, effective_output_label "
            "FROM moderation_results WHERE run_id = %s ORDER BY position",
            [run.pk],
        )
        rows = cursor.fetchall()
    assert [row[1] for row in rows] == HOSTILE
    assert rows[-1][2:] == ("TOXIC", None, "TOXIC", None)
    assert rows[1][2:] == ("SAFE", "SAFE", "SAFE", "SAFE")
