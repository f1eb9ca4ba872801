from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from classifiers.errors import InputError
from runs import services, textindex
from runs.models import Result, Run
from runs.search import MAX_SEARCH, Term, parse

# Different ones, however many are asked for.
WORDS: dict[str, Callable[[int], str]] = {
    "words": lambda i: f"w{i:06x}",
    "signs of four bytes": lambda i: chr(0x20000 + i // 40_000) + chr(0x20000 + i % 40_000),
    "long words": lambda i: "long" * 800 + f"{i:x}",
}


def store(run: Run, *texts: str | tuple[str, str]) -> list[Result]:
    """Results with these prompts, or prompts and answers."""
    pairs = [text if isinstance(text, tuple) else (text, None) for text in texts]
    first = run.results.count()
    return Result.objects.bulk_create(
        Result(run=run, position=first + i, prompt=prompt, answer=answer, input_label="SAFE", created_at=timezone.now())
        for i, (prompt, answer) in enumerate(pairs)
    )


def found(text: str) -> list[int]:
    return sorted(Result.objects.search(text).values_list("position", flat=True))


@pytest.fixture
def run(db: None) -> Run:
    return Run.objects.create(name="searched")


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "terms"),
        [
            ("good day", [Term(("good",)), Term(("day",))]),
            ('"good day" sun', [Term(("good", "day")), Term(("sun",))]),
            ("sun*", [Term(("sun",), prefix=True)]),
            ('"good da"* x', [Term(("good", "da"), prefix=True), Term(("x",))]),
            ('"never closed', [Term(("never", "closed"))]),
            ("a-b OR (NOT x:y)", [Term(("a", "b")), Term(("OR",)), Term(("NOT",)), Term(("x", "y"))]),
            ("don't 😀 ''", [Term(("don", "t"))]),
        ],
    )
    def test_words_phrases_and_beginnings(self, text: str, terms: list[Term]) -> None:
        assert parse(text) == terms

    @pytest.mark.parametrize("text", ["", " ", '""', "***", "😀", "-- ; ' \"", "()&|!<->:*"])
    def test_no_word_is_said(self, text: str) -> None:
        with pytest.raises(InputError, match="no word"):
            parse(text)

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("x" * (MAX_SEARCH + 1), "at most 500 characters"),
            ("x" * 10_000, "not 10000"),
            ("a\0b", "NUL"),
            ("\ud800", "lone surrogate"),
        ],
    )
    def test_what_no_search_can_be_is_refused(self, text: str, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            parse(text)


class TestFinding:
    def test_all_words_must_stand_in_prompt_or_answer(self, run: Run) -> None:
        store(run, "Good morning sunshine", ("good day", "Sunshine at last"), ("rain", "good"), "sunny good")
        assert found("good sunshine") == [0, 1]
        assert found("GOOD") == [0, 1, 2, 3]
        assert found("good sun*") == [0, 1, 3]
        assert found("missing") == []

    def test_a_phrase_stands_in_one_text_in_its_order(self, run: Run) -> None:
        store(run, "good day", "day good", "good fine day", ("it is good", "day by day"), "a good day indeed")
        assert found('"good day"') == [0, 4]
        assert found('"good da"*') == [0, 4]
        assert found("good day") == [0, 1, 2, 3, 4]

    def test_punctuation_parts_words_on_either_database(self, run: Run) -> None:
        store(run, "see http://example.com/a_b?c=d", "<script>alert(1)</script>", "well-known don't 3.14 x@y.org")
        for text in ("example", "a_b", '"com a b c d"', "http"):
            assert found(text) == [0], text
        for text in ("script", "alert", "<script>", "alert(1)"):
            assert found(text) == [1], text
        for text in ("known", "well-known", "don't", "3.14", "org", "x@y.org"):
            assert found(text) == [2], text

    def test_any_script_is_searched(self, run: Run) -> None:
        store(run, "Ünïcode wörter", "Привет мир", "हिन्दी में", "日本語", "cafe", "café", "a😀b")
        assert found("WÖRTER") == [0]
        assert found("привет") == [1]
        assert found("हिन्दी") == [2]
        assert found("日本語") == [3]
        assert found("café") == [5]
        assert found("b 😀") == [6]

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "a' OR 1=1 --",
                "a & b | !c <-> d:*",
                "NEAR(a b, 3)",
                "prompt:a",
                "{prompt}: a",
                "a^2",
                "^a + b",
                "a\\'b",
            ),
            *(
                "\u202ea",
                "a\u200bb",
                "é" * MAX_SEARCH,
                "a\tb\nc\rd",
                "“a”",
                "'a'",
                "%s a",
                "a%",
                "{a}",
                "a;DROP TABLE x",
            ),
            *("a" * 250 + " " + "😀" * 200, '"a" "" "b', "٣", "ﬁ", "İ", "a\x01\x1fb", "AND", "a* b* c*"),
        ],
    )
    def test_garbage_finds_something_or_nothing(self, run: Run, text: str) -> None:
        store(run, "a b c")
        assert found(text) in ([], [0])

    def test_more_conditions_hold_at_once(self, run: Run) -> None:
        store(run, "word", "word", "other")
        assert list(Result.objects.search("word").filter(position__gt=0).values_list("position", flat=True)) == [1]


class TestKeeping:
    def test_a_changed_text_is_found_by_its_new_words_alone(self, run: Run) -> None:
        result, _ = store(run, ("before", "old"), "before too")
        Result.objects.filter(pk=result.pk).update(prompt="after", answer="new")
        assert (found("before"), found("old"), found("after new")) == ([1], [], [0])

    def test_a_result_judged_again_is_found(self, done_run: Callable[..., Run]) -> None:
        run = done_run(["please fail"], check="fake")
        services.retry_errors(run, actor="test")
        for _ in services.execute_run(run, actor="test"):
            pass
        assert found("please fail") == [0]

    def test_a_deleted_result_is_not_found(self, run: Run) -> None:
        result, _ = store(run, "word", "word")
        result.delete()
        assert found("word") == [1]
        assert _indexed() == 1
        run.delete()
        assert _indexed() == 0

    def test_results_from_before_the_index_are_found(self, run: Run) -> None:
        textindex.remove(connection)
        store(run, ("earlier", "text"))
        textindex.install(connection)
        assert found("earlier text") == [0]
        store(run, "later")
        assert found("later") == [1]

    @pytest.mark.parametrize("characters", [1_000_000, 5_000_000])
    @pytest.mark.parametrize("word", WORDS)
    def test_a_prompt_of_megabytes_is_saved_and_found_by_its_beginning(
        self, run: Run, characters: int, word: str
    ) -> None:
        length = len(WORDS[word](0))
        text = "beginning " + " ".join(WORDS[word](i) for i in range(characters // length))
        store(run, (text[:characters], text[:characters]), "small")
        assert found("beginning") == [0]
        assert found("small") == [1]

    def test_a_long_text_is_searched_up_to_its_limit(self, run: Run) -> None:
        store(run, f"{'x ' * 24_990} within {'x ' * 50} beyond")
        assert (found("within"), found("beyond")) == ([0], [])


@pytest.mark.django_db(transaction=True)
def test_emptying_the_tables_empties_the_index() -> None:
    run = Run.objects.create(name="flushed")
    store(run, "word")
    call_command("flush", interactive=False, verbosity=0)
    assert _indexed() == 0
    store(Run.objects.create(name="again"), "word")
    assert found("word") == [0]


def _indexed() -> int:
    """How many texts the index holds."""
    table = "runs_result_text_docsize" if connection.vendor == "sqlite" else "runs_result_text"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])
