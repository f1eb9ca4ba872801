"""Exports over REST: streamed, or written in the background and taken away in parts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import RequestFactory
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from audit.models import AuditEvent
from review import export_files
from review.downloads import UnsatisfiableError, part_of
from review.models import Queue
from runs.exports import FORMS
from runs.filters import results
from runs.models import Export, Run
from tests.api.conftest import Program
from tests.review.conftest import Cast, review_next

EXPORTS = "/api/v1/exports/"


@pytest.fixture(autouse=True)
def folder(settings: Settings, tmp_path: Path) -> Path:
    settings.SAFETY_EXPORTS = tmp_path / "exports"
    return settings.SAFETY_EXPORTS


@pytest.fixture
def reviewed(cast: Cast, make_queue: Callable[..., Queue]) -> Run:
    """Eight results; ruth and rob have judged the first ones of their turns."""
    queue = make_queue(needed=2, stages=Queue.Stages.INPUT)
    for person in (cast.ruth, cast.rob, cast.ruth):
        review_next(queue, person, input="TOXIC")
    return Run.objects.get(pk=int(queue.filters["run"]))


@pytest.fixture
def lena(cast: Cast) -> Program:
    return Program(cast.lena, "read")


def streamed(answer: Any) -> bytes:
    assert answer.status_code in (200, 206), answer.content
    return b"".join(answer.streaming_content)


def stream(program: Program, run: Run, **query: Any) -> list[dict[str, Any]]:
    answer = program.get(f"/api/v1/runs/{run.pk}/export/", **{"as": "jsonl", **query})
    return [json.loads(line) for line in streamed(answer).splitlines()]


@pytest.fixture
def written(lena: Program, reviewed: Run) -> dict[str, Any]:
    """An export of the run as JSONL that a worker has written."""
    made = lena.post(EXPORTS, {"run": reviewed.pk, "as": "jsonl"}).json()
    export_files.write(export_files.find_export(made["id"]))
    return lena.get(f"{EXPORTS}{made['id']}/").json()


class TestStream:
    @pytest.mark.parametrize(
        "filters",
        [
            {},
            {"flagged": "true"},
            {"flagged": "false"},
            {"reviewed": "true"},
            {"human": "TOXIC"},
            {"q": "toxic"},
            {"max_score": "0.5", "stage": "input"},
            {"provenance": "single"},
            {"input_label": "ERROR"},
        ],
    )
    def test_it_has_exactly_the_results_of_the_list(
        self, lena: Program, reviewed: Run, filters: dict[str, str]
    ) -> None:
        listed = results({**filters, "run": str(reviewed.pk)}).order_by("position").values_list("position", flat=True)
        assert [row["position"] for row in stream(lena, reviewed, **filters)] == list(listed)
        assert len(listed) < 8 or not filters or filters == {"max_score": "0.5", "stage": "input"}

    def test_what_people_said_is_in_it_raw_and_agreed(self, lena: Program, reviewed: Run) -> None:
        rows = stream(lena, reviewed, reviewed="true")
        said = [(vote["reviewer"], vote["label"]) for row in rows for vote in row["reviews"]]
        assert sorted(said) == [("rob", "TOXIC"), ("ruth", "TOXIC"), ("ruth", "TOXIC")]
        assert all(vote["current"] and vote["standing"] == "stands" for row in rows for vote in row["reviews"])
        assert {(row["input"]["human"], row["input"]["effective"]) for row in rows} == {("TOXIC", "TOXIC")}
        assert {row["input"]["provenance"] for row in rows} <= {"single", "unanimous"}
        assert {verdict["provider"] for row in rows for verdict in row["input"]["verdicts"]} == {
            "classifiers.providers.fake.FakeClassifier"
        }

    def test_pseudonyms_name_nobody_and_are_the_same_throughout(self, lena: Program, reviewed: Run) -> None:
        named = [vote["reviewer"] for row in stream(lena, reviewed) for vote in row["reviews"]]
        hidden = [vote["reviewer"] for row in stream(lena, reviewed, pseudonyms="true") for vote in row["reviews"]]
        assert set(hidden) == {"r1", "r2"}
        assert len(set(zip(named, hidden, strict=True))) == 2
        answer = lena.get(f"/api/v1/runs/{reviewed.pk}/export/", **{"as": "csv", "pseudonyms": "true"})
        assert b"ruth" not in streamed(answer)

    @pytest.mark.parametrize("form", list(FORMS))
    def test_each_form_is_a_file_and_recorded(self, lena: Program, reviewed: Run, form: str) -> None:
        answer = lena.get(f"/api/v1/runs/{reviewed.pk}/export/", **{"as": form, "flagged": "true"})
        assert streamed(answer)
        assert answer["Content-Disposition"] == f'attachment; filename="results-of-run-{reviewed.pk}.{form}"'
        event = AuditEvent.objects.get(action="run.exported")
        assert event.actor == "user:lena"
        assert event.details == {
            "form": form, "filters": {"flagged": "true"}, "pseudonyms": False, "via": f"token {lena.token.pk}",
        }  # fmt: skip

    def test_head_says_what_would_come_and_takes_nothing_out(self, lena: Program, reviewed: Run) -> None:
        answer = lena.send("head", f"/api/v1/runs/{reviewed.pk}/export/?as=csv", None)
        assert (answer.status_code, answer["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert not AuditEvent.objects.filter(action="run.exported").exists()

    def test_whatever_type_is_accepted(self, lena: Program, reviewed: Run) -> None:
        headers = {"Authorization": f"Bearer {lena.key}", "Accept": "text/csv"}
        answer = lena.client.get(f"/api/v1/runs/{reviewed.pk}/export/?as=csv", headers=headers)
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        ("query", "says", "status"),
        [
            ("", "as", 400),
            ("as=xlsx", "as", 400),
            ("as=jsonl&run=1", "no parameter 'run'", 422),
            ("as=jsonl&flaged=true", "no parameter 'flaged'", 422),
            ("as=jsonl&flagged=maybe", "flagged", 400),
            ("as=jsonl&q=%00", "NUL", 422),
            ("as=jsonl&pseudonyms=perhaps", "pseudonyms", 400),
        ],
    )
    def test_what_cannot_be_asked(self, lena: Program, reviewed: Run, query: str, says: str, status: int) -> None:
        answer = lena.get(f"/api/v1/runs/{reviewed.pk}/export/?{query}")
        assert answer.status_code == status
        assert says in answer.json()["detail"]
        assert not AuditEvent.objects.filter(action="run.exported").exists()

    def test_a_run_that_is_not(self, lena: Program) -> None:
        assert lena.get("/api/v1/runs/999/export/?as=csv").status_code == 404


@pytest.mark.parametrize("name", ["ruth", "sara", "axel", "prog", "nora"])
def test_who_may_not_take_results_out(cast: Cast, reviewed: Run, written: dict[str, Any], name: str) -> None:
    program, one = Program(cast[name]), f"{EXPORTS}{written['id']}/"
    paths = (f"/api/v1/runs/{reviewed.pk}/export/?as=csv", EXPORTS, one, f"{one}download/", f"{one}manifest/")
    assert {program.get(path).status_code for path in paths} == {403}
    assert program.post(EXPORTS, {"run": reviewed.pk, "as": "csv"}).status_code == 403
    assert program.post(f"{one}cancel/").status_code == 403
    assert Export.objects.count() == 1


class TestBackground:
    def test_it_is_accepted_written_and_told(self, lena: Program, reviewed: Run) -> None:
        made = lena.post(EXPORTS, {"run": reviewed.pk, "as": "csv", "filters": {"flagged": "true"}})
        one = made.json()
        assert (made.status_code, made["Location"]) == (202, f"{EXPORTS}{one['id']}/")
        assert (one["state"], one["done"], one["total"], one["as"]) == ("WAITING", 0, 3, "csv")
        early = lena.get(f"{EXPORTS}{one['id']}/download/")
        assert (early.status_code, early.json()["code"]) == (409, "not_ready")
        export_files.write(export_files.find_export(one["id"]))
        done = lena.get(f"{EXPORTS}{one['id']}/").json()
        assert (done["state"], done["done"], done["error"]) == ("DONE", 3, "")
        assert [row["id"] for row in lena.get(EXPORTS).json()["results"]] == [one["id"]]

    def test_the_file_is_what_the_stream_is_and_what_the_manifest_says(
        self, lena: Program, reviewed: Run, written: dict[str, Any]
    ) -> None:
        whole = streamed(lena.get(f"{EXPORTS}{written['id']}/download/"))
        assert [json.loads(line) for line in whole.splitlines()] == stream(lena, reviewed)
        manifest = lena.get(f"{EXPORTS}{written['id']}/manifest/").json()
        assert manifest["sha256"] == written["sha256"] == hashlib.sha256(whole).hexdigest()
        assert (manifest["bytes"], manifest["rows"], manifest["asked_by"]) == (len(whole), 8, "lena")
        assert manifest["columns"] == list(json.loads(whole.splitlines()[0]))
        assert (manifest["run"]["id"], manifest["filters"]) == (reviewed.pk, {})

    def test_others_who_may_download_it_and_that_is_recorded(self, cast: Cast, written: dict[str, Any]) -> None:
        streamed(Program(cast.anna, "read").get(f"{EXPORTS}{written['id']}/download/"))
        assert AuditEvent.objects.get(action="export.downloaded").actor == "user:anna"

    def test_an_act_that_is_sent_again_makes_one(self, lena: Program, reviewed: Run) -> None:
        sent = {"run": reviewed.pk, "as": "csv"}
        first, again = (lena.post(EXPORTS, sent, Idempotency_Key="k").json() for _ in range(2))
        assert first == again
        assert Export.objects.count() == 1

    @pytest.mark.parametrize(
        ("sent", "says", "status"),
        [
            ({"as": "csv"}, "run", 400),
            ({"run": 1}, "as", 400),
            ({"run": 1, "as": "xlsx"}, "as", 400),
            ({"run": 1, "as": "csv", "filters": {"flaged": "true"}}, "flaged", 400),
            ({"run": 1, "as": "csv", "filters": {"flagged": "maybe"}}, "flagged", 422),
            ({"run": 1, "as": "csv", "filters": {"run": "2"}}, "run is named already", 422),
            ({"run": 1, "as": "csv", "pseudonym": True}, "no field 'pseudonym'", 400),
        ],
    )
    def test_what_cannot_be_asked(
        self, lena: Program, reviewed: Run, sent: dict[str, Any], says: str, status: int
    ) -> None:
        answer = lena.post(EXPORTS, sent | ({"run": reviewed.pk} if "run" in sent else {}))
        assert answer.status_code == status
        assert says in answer.json()["detail"]
        assert not Export.objects.exists()

    def test_a_stopped_one_has_no_file(self, lena: Program, reviewed: Run, folder: Path) -> None:
        one = lena.post(EXPORTS, {"run": reviewed.pk, "as": "csv"}).json()["id"]
        assert lena.post(f"{EXPORTS}{one}/cancel/").json()["state"] == "CANCELLED"
        export_files.write(export_files.find_export(one))
        assert lena.get(f"{EXPORTS}{one}/download/").status_code == 409
        assert not folder.exists()

    def test_a_written_one_cannot_be_stopped(self, lena: Program, written: dict[str, Any]) -> None:
        assert lena.post(f"{EXPORTS}{written['id']}/cancel/").status_code == 409
        assert streamed(lena.get(f"{EXPORTS}{written['id']}/download/"))

    def test_a_file_that_is_gone_is_told(self, lena: Program, written: dict[str, Any], folder: Path) -> None:
        next(folder.iterdir()).unlink()
        answer = lena.get(f"{EXPORTS}{written['id']}/download/")
        assert answer.status_code == 404
        assert "Ask for a new export" in answer.json()["detail"]


class TestParts:
    def get(self, lena: Program, written: dict[str, Any], **headers: str) -> Any:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return lena.client.get(
            f"{EXPORTS}{written['id']}/download/", headers={"Authorization": f"Bearer {lena.key}", **sent}
        )

    def test_parts_join_to_the_whole(self, lena: Program, written: dict[str, Any]) -> None:
        answer = self.get(lena, written)
        whole, tag = streamed(answer), answer["ETag"]
        assert (tag, answer["Accept-Ranges"], answer["Content-Length"]) == (
            f'"{written["sha256"]}"', "bytes", str(len(whole)),
        )  # fmt: skip
        first = self.get(lena, written, Range="bytes=0-99", If_Range=tag)
        rest = self.get(lena, written, Range="bytes=100-", If_Range=tag)
        assert (first.status_code, rest.status_code) == (206, 206)
        assert (first["Content-Range"], first["Content-Length"]) == (f"bytes 0-99/{len(whole)}", "100")
        assert streamed(first) + streamed(rest) == whole
        assert streamed(self.get(lena, written, Range="bytes=-7")) == whole[-7:]

    def test_a_part_of_another_file_is_the_whole_of_this(self, lena: Program, written: dict[str, Any]) -> None:
        answer = self.get(lena, written, Range="bytes=100-", If_Range='"another"')
        assert (answer.status_code, len(streamed(answer))) == (200, written["size"])

    def test_who_has_it_gets_nothing(self, lena: Program, written: dict[str, Any]) -> None:
        answer = self.get(lena, written, If_None_Match=f'"{written["sha256"]}"')
        assert (answer.status_code, answer.content) == (304, b"")

    def test_a_part_that_is_not_there_is_refused(self, lena: Program, written: dict[str, Any]) -> None:
        answer = self.get(lena, written, Range=f"bytes={written['size']}-")
        assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{written['size']}")
        assert answer.json()["code"] == "range_not_satisfiable"

    def test_only_its_beginning_is_recorded(self, lena: Program, written: dict[str, Any]) -> None:
        for part in ("bytes=5-9", "bytes=10-", "bytes=0-4"):
            streamed(self.get(lena, written, Range=part))
        assert AuditEvent.objects.filter(action="export.downloaded").count() == 1

    def test_head_has_the_length_and_no_file(self, lena: Program, written: dict[str, Any]) -> None:
        answer = lena.send("head", f"{EXPORTS}{written['id']}/download/", None)
        assert (answer.status_code, answer["Content-Length"], answer.content) == (200, str(written["size"]), b"")
        assert not AuditEvent.objects.filter(action="export.downloaded").exists()


NUMBERS = st.integers(0, 30).map(str) | st.just("")


@settings(deadline=None)
@given(first=NUMBERS, last=NUMBERS, size=st.integers(0, 20))
def test_a_range_is_what_a_slice_is(first: str, last: str, size: int) -> None:
    """Against the words of RFC 9110: a part of the bytes, all of them, or none that could be sent."""
    content = bytes(range(size))
    request = RequestFactory().get("/", headers={"Range": f"bytes={first}-{last}"})
    if not (first or last) or (first and last and int(last) < int(first)):
        assert part_of(request, size, '"tag"') is None
        return
    expected = (
        content[int(first) : int(last) + 1 if last else None] if first else content[-int(last) :] * bool(int(last))
    )
    if not expected:
        with pytest.raises(UnsatisfiableError):
            part_of(request, size, '"tag"')
        return
    start, end = part_of(request, size, '"tag"') or (0, size)
    assert content[start:end] == expected


@given(st.text(max_size=30))
def test_no_other_range_is_understood(text: str) -> None:
    request = RequestFactory().get("/")
    request.META["HTTP_RANGE"] = text
    if not text.strip().startswith("bytes="):
        assert part_of(request, 10, '"tag"') is None
