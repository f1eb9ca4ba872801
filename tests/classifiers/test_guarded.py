"""An exchange under guard: whatever comes, in whatever pieces, nothing is released before its verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import ProviderError, TransientError
from classifiers.guarded import LONG, Guarded, Said, as_they_come, ready
from classifiers.pipeline import Check
from classifiers.providers.fake import FakeClassifier
from classifiers.types import Classification, Label, ModelInfo, Stage, Subject
from classifiers.upstream import Call, Piece

WORDS = st.sampled_from(["Well", " and", " good", ". ", "! ", "\n", " toxic", " fail", "\u3002", " ", "x" * 300])


class Recording:
    """A fake that remembers what it said SAFE of."""

    def __init__(self) -> None:
        self.fake, self.safe, self.seen = FakeClassifier(), [], []

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        said = self.fake.classify(subjects)
        self.seen += subjects
        self.safe += [s.text for s, c in zip(subjects, said, strict=True) if c.label is Label.SAFE]
        return said


class Model:
    name, whole_conversation = "model", True

    def __init__(self, *pieces: str | Piece | Exception, pause: float = 0) -> None:
        self.pieces, self.pause, self.asked = pieces, pause, 0

    def ask(self, body: Mapping[str, Any], *, streamed: bool) -> Iterator[Piece]:
        self.asked += 1
        for piece in self.pieces:
            time.sleep(self.pause)
            if isinstance(piece, Exception):
                raise piece
            yield Piece(text=piece) if isinstance(piece, str) else piece


END = Piece(finish="stop")


def guarded(model: Model, *asked: str, judge: Any = None, streamed: bool = True, fail_open: bool = False) -> Guarded:
    checks = [Check("fake", judge or FakeClassifier(), ModelInfo("fake"))]
    if fail_open:  # two, for one that fails cannot say TOXIC
        checks = [Check(name, FakeClassifier(**{name: ()}), ModelInfo(name)) for name in ("toxic", "fail")]
    said = [Said(text, "user", place) for place, text in enumerate(asked or ("Hello.",), start=1)]
    return Guarded(said, checks, checks, model, {}, streamed=streamed, fail_open=fail_open)


@given(st.lists(WORDS, max_size=12), st.booleans())
def test_what_is_released_was_judged_safe_and_is_a_beginning(words: list[str], streamed: bool) -> None:
    judge = Recording()
    exchange = guarded(Model(*words, END), judge=judge, streamed=streamed)
    released = ""
    for piece in exchange.run():
        released += piece.text
        # By then, and not later.
        assert any(text == released for text in judge.safe)
    whole = "".join(words)
    assert whole.startswith(released)
    assert "toxic" not in released
    assert "fail" not in released
    assert (released == whole) is (exchange.label is Label.SAFE)
    assert exchange.released == len(released)


@given(st.lists(WORDS, max_size=12), st.booleans())
def test_failing_open_releases_what_is_not_toxic_and_says_when_it_was_not_judged(
    words: list[str], streamed: bool
) -> None:
    exchange = guarded(Model(*words, END), streamed=streamed, fail_open=True)
    released = "".join(piece.text for piece in exchange.run())
    whole = "".join(words)
    assert (released == whole) is exchange.passed
    assert exchange.passed is ("toxic" not in whole)
    assert "toxic" not in released
    assert exchange.label is (Label.TOXIC if "toxic" in whole else Label.ERROR if "fail" in whole else Label.SAFE)
    assert exchange.degraded or "fail" not in released
    assert not exchange.degraded or "fail" in (exchange.judged or "")


def test_failing_open_asks_the_model_what_could_not_be_judged_and_keeps_the_error() -> None:
    exchange = guarded(Model("Fine.", END), "fail", fail_open=True)
    assert "".join(piece.text for piece in exchange.run()) == "Fine."
    assert exchange.output
    assert (exchange.input.label, exchange.output.label, exchange.label) == (Label.ERROR, Label.SAFE, Label.ERROR)
    assert (exchange.passed, exchange.degraded) == (True, True)


def test_failing_open_makes_no_answer_of_a_model_that_fails() -> None:
    exchange = guarded(Model("Fine. ", TransientError("It fell over.")), fail_open=True)
    list(exchange.run())
    assert (exchange.label, exchange.passed, exchange.degraded) == (Label.ERROR, False, False)


@given(st.lists(WORDS, min_size=1, max_size=12), st.integers(0, 12))
def test_an_answer_that_breaks_off_is_an_error_or_was_blocked(words: list[str], after: int) -> None:
    exchange = guarded(Model(*words[:after], TransientError("It fell over.")))
    released = "".join(piece.text for piece in exchange.run())
    assert "".join(words[:after]).startswith(released)
    assert exchange.label in (Label.ERROR, Label.TOXIC)


@given(st.text(max_size=1500))
def test_a_text_is_cut_within_itself(text: str) -> None:
    assert 0 <= ready(text) <= len(text)
    assert len(text) < 2 * LONG or ready(text) > 0


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("No end", 0),
        ("One.", 0),  # it may be 1.5
        ("One. ", 4),
        ('He said "no." And', 13),
        ("One.\nTwo", 5),
        ("\u597d\u3002\u4e8c", 2),
        ("One. Two! Thr", 9),
    ],
)
def test_where_sentences_end(text: str, cut: int) -> None:
    assert ready(text) == cut


def test_the_model_is_not_asked_what_is_not_safe() -> None:
    for text, label in (("toxic", Label.TOXIC), ("fail", Label.ERROR)):
        model = Model("x", END)
        exchange = guarded(model, text)
        assert (list(exchange.run()), exchange.label, model.asked) == ([], label, 0)


def test_the_worst_of_all_messages_counts_and_says_which() -> None:
    exchange = guarded(Model("x", END), "fail", "toxic", "Hello.")
    assert list(exchange.run()) == []
    (judgement,) = exchange.input.judgements
    assert (judgement.classification.label, judgement.classification.reason) == (Label.TOXIC, "In message 2 (user).")


def test_a_block_stops_in_the_middle() -> None:
    exchange = guarded(Model("Fine. ", "All toxic. ", "Fine. ", END, pause=0.03))
    assert "".join(piece.text for piece in exchange.run()) == "Fine."
    assert exchange.label is Label.TOXIC
    assert "All toxic." in (exchange.answer or "")


def test_tool_calls_come_out_last_and_judged() -> None:
    judge = Recording()
    pieces = (Call(0, "1", "say", '{"a"'), Call(0, arguments=": 1}"))
    model = Model("Look. ", *(Piece(calls=(call,)) for call in pieces), Piece(finish="tool_calls"))
    released = list(guarded(model, judge=judge).run())
    assert released[-1].calls == (Call(0, "1", "say", '{"a": 1}'),)
    assert judge.safe[-1] == 'Look. \nsay({"a": 1})'


def test_what_comes_while_a_check_is_at_work_is_judged_with_the_next() -> None:
    judge = Recording()
    judge.fake.latency = 0.1
    list(guarded(Model(*["One. "] * 20, END, pause=0.005), judge=judge).run())
    outputs = [s.text for s in judge.seen if s.stage is Stage.OUTPUT]
    assert len(outputs) < 8
    assert outputs[-1] == "One. " * 20


def test_a_provider_that_cannot_work_is_an_error() -> None:
    exchange = guarded(Model("x", END), judge=FakeClassifier(broken="No key."))
    assert (list(exchange.run()), exchange.label, exchange.broken) == ([], Label.ERROR, True)


@pytest.mark.parametrize("error", [ProviderError("No key."), ValueError("surprise")])
def test_whatever_the_model_raises_is_told(error: Exception) -> None:
    exchange = guarded(Model("One. ", error), streamed=False)
    assert list(exchange.run()) == []
    assert exchange.failure is not None
    assert (exchange.label, exchange.answer) == (Label.ERROR, None)


def test_nothing_passes_without_checks() -> None:
    with pytest.raises(ValueError, match="unjudged"):
        Guarded([Said("x")], [], [], Model(), {})


def test_pieces_come_before_the_error_after_them() -> None:
    came = as_they_come(iter(Model("a", "b", TransientError("x")).ask({}, streamed=True)))
    texts = []
    with pytest.raises(TransientError):
        texts.extend(piece.text for bunch, _ in came for piece in bunch)
    assert "".join(texts) == "ab"
