"""The pipeline against providers that do everything wrong that a provider can do."""

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import ProviderError, TransientError
from classifiers.pipeline import Check, Generation, Pipeline
from classifiers.providers.fake import FakeClassifier, FakeGenerator
from classifiers.types import (
    Answer,
    Classification,
    Judgement,
    Label,
    ModelInfo,
    Outcome,
    Prompt,
    Span,
    Stage,
    StageOutcome,
    Subject,
    judgement_key,
)

SAFE = Classification(Label.SAFE, score=0.1)
INFO = ModelInfo(provider="test")


class Scripted:
    """Answers with what it is given, whatever it is asked; remembers the texts."""

    def __init__(self, *answers: Classification | Exception) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
        self.asked += [subject.text for subject in subjects]
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
        return list(self.answers) if self.answers else [SAFE] * len(subjects)  # type: ignore[arg-type]


class Writer:
    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = answers

    def generate(self, prompts: Sequence[str]) -> list[Answer]:
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
        return list(self.answers)  # type: ignore[arg-type]


def outcomes(texts: Sequence[str], judge: object, **options: object) -> list[Outcome]:
    pipeline = Pipeline([Check("judge", judge, INFO)], **options)  # type: ignore[arg-type]
    return list(pipeline.run(Prompt(text, i) for i, text in enumerate(texts)))


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("the cable is out"), "the cable is out"),
        (TransientError("busy"), "busy"),
        (KeyError("results"), "results"),
    ],
)
def test_a_classifier_that_raises_gives_errors_with_its_reason(failure: Exception, reason: str) -> None:
    (only,) = outcomes(["hello"], Scripted(failure), generation=Generation("fake", FakeGenerator()))
    assert only.input.label is Label.ERROR
    assert reason in only.input.judgements[0].classification.reason
    assert only.answer is None
    assert only.output is None


@pytest.mark.parametrize("fail_open", [True, False])
def test_failing_open_lets_pass_what_could_not_be_judged_and_nothing_that_is_toxic(fail_open: bool) -> None:
    checks = [Check(name, FakeClassifier(**{name: ()}), INFO) for name in ("toxic", "fail")]
    pipeline = Pipeline(checks, Generation("fake", FakeGenerator()), checks, fail_open=fail_open)
    told = list(pipeline.run(Prompt(text) for text in ("hello", "fail", "toxic", "fail toxic")))
    assert [o.input.label for o in told] == [Label.SAFE, Label.ERROR, Label.TOXIC, Label.TOXIC]
    assert [o.output and o.output.label for o in told] == [Label.SAFE, Label.ERROR if fail_open else None, None, None]
    assert [o.answer for o in told] == ["You said: hello", "You said: fail" if fail_open else None, None, None]
    assert [o.degraded for o in told] == [False, fail_open, False, False]


def test_failing_open_makes_no_answer_of_a_generator_that_fails() -> None:
    generation = Generation("w", Writer(Answer(None, reason="It is out.")))
    (only,) = outcomes(["hello"], FakeClassifier(), generation=generation, fail_open=True)
    assert only.output
    assert (only.answer, only.output.label, only.degraded) == (None, Label.ERROR, False)


def test_a_provider_that_cannot_work_at_all_stops_the_run() -> None:
    with pytest.raises(ProviderError, match="no key"):
        outcomes(["hello"], FakeClassifier(broken="There is no key."))
    with pytest.raises(ProviderError, match="no model"):
        outcomes(["hello"], FakeClassifier(), generation=Generation("w", Writer(ProviderError("There is no model."))))


@pytest.mark.parametrize("count", [1, 3])
def test_a_wrong_number_of_verdicts_is_believed_for_none(count: int) -> None:
    told = outcomes(["a", "b"], Scripted(*[SAFE] * count))
    assert [o.input.label for o in told] == [Label.ERROR] * 2
    assert f"gave {count} answers for 2 texts" in told[0].input.judgements[0].classification.reason


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -0.1, 1.5])
def test_a_score_that_is_no_probability_is_an_error(score: float) -> None:
    for broken in (Classification(Label.SAFE, score=score), Classification(Label.SAFE, categories={"toxic": score})):
        (only,) = outcomes(["a"], Scripted(broken))
        assert only.input.label is Label.ERROR


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "SAFE",
        Classification(None),  # type: ignore[arg-type]
        Classification("safe"),  # type: ignore[arg-type]
        Classification(Label.SAFE, score="0.1"),  # type: ignore[arg-type]
        Classification(Label.SAFE, categories={"toxic": None}),  # type: ignore[dict-item]
        Classification(Label.SAFE, score=0.1, thresholds={"toxic": float("nan")}),
        Classification(Label.SAFE, score=0.1, spans=(Span(0, 1, "\0"),)),
    ],
)
def test_what_is_no_sound_verdict_is_an_error_and_harms_no_other(broken: Classification) -> None:
    told = outcomes(["a", "b"], Scripted(broken, SAFE), generation=Generation("fake", FakeGenerator()))
    assert [o.input.label for o in told] == [Label.ERROR, Label.SAFE]
    assert told[0].input.judgements[0].classification.reason
    assert told[0].answer is None


@pytest.mark.parametrize("made", [None, 5])
def test_what_is_no_list_of_verdicts_or_answers_is_an_error(made: object) -> None:
    class Mute:
        def classify(self, subjects: Sequence[Subject]) -> object:
            return made

        def generate(self, prompts: Sequence[str]) -> object:
            return made

    (judged,) = outcomes(["a"], Mute())
    assert judged.input.label is Label.ERROR
    (answered,) = outcomes(["a"], Scripted(), generation=Generation("mute", Mute()))  # type: ignore[arg-type]
    assert answered.output is not None
    assert answered.output.label is Label.ERROR


def test_an_error_has_a_reason_and_no_score() -> None:
    (only,) = outcomes(["a"], Scripted(Classification(Label.ERROR, score=0.3)))
    assert only.input.score is None
    assert only.input.judgements[0].classification.reason


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_a_category_that_no_database_takes_is_an_error(name: str) -> None:
    for broken in (
        Classification(Label.TOXIC, score=0.9, categories={name: 0.9}),
        Classification(Label.TOXIC, score=0.9, flagged=(name,)),
    ):
        (only,) = outcomes(["a"], Scripted(broken))
        assert only.input.label is Label.ERROR


@pytest.mark.parametrize(
    ("writer", "reason"),
    [
        (Writer(RuntimeError("out of paper")), "out of paper"),
        (Writer(), "gave 0 answers for 1 prompts"),
        (Writer(Answer("one"), Answer("two")), "gave 2 answers for 1 prompts"),
        (Writer(Answer(None, reason="no idea")), "no idea"),
        (Writer("hello"), "gave no text but 'hello'"),  # type: ignore[arg-type]
        (Writer(Answer(5)), "gave no text but"),  # type: ignore[arg-type]
        (Writer(Answer("a\0b")), "NUL"),
        (Writer(Answer("\ud800")), "surrogate"),
    ],
)
@pytest.mark.parametrize("judged", [True, False])
def test_a_prompt_without_an_answer_is_an_error_of_the_output(writer: Writer, reason: str, judged: bool) -> None:
    checks = [Check("judge", Scripted(), INFO)] if judged else []
    (only,) = outcomes(["hello"], Scripted(), generation=Generation("writer", writer), output_checks=checks)
    assert only.answer is None
    assert only.output is not None
    assert only.output.label is Label.ERROR
    assert only.output.judgements[0].check == "writer"
    assert reason in only.output.judgements[0].classification.reason


def test_nothing_may_pass_unjudged() -> None:
    with pytest.raises(ValueError, match="at least one input check"):
        Pipeline([])


def test_identical_texts_are_judged_once_in_a_batch() -> None:
    judge = Scripted()
    told = outcomes(["a", "b", "a", "a"], judge)
    assert judge.asked == ["a", "b"]
    assert [o.input.judgements[0].recalled for o in told] == [False, False, True, True]


def test_what_is_known_is_not_asked_again() -> None:
    known = {judgement_key(INFO, Subject("a", Stage.INPUT)): Classification(Label.TOXIC, score=0.9)}

    def recall(keys: Sequence[str]) -> Mapping[str, Classification]:
        return {key: known[key] for key in keys if key in known}

    judge = Scripted()
    told = outcomes(["a", "b"], judge, recall=recall)
    assert judge.asked == ["b"]
    assert [o.input.label for o in told] == [Label.TOXIC, Label.SAFE]


def test_judgements_that_depend_on_the_prompt_are_kept_apart() -> None:
    reads = ModelInfo(provider="test", reads_context=True)
    first, second = (Subject("yes", Stage.OUTPUT, prompt=prompt) for prompt in ("nice?", "nasty?"))
    assert judgement_key(reads, first) != judgement_key(reads, second)
    assert judgement_key(INFO, first) == judgement_key(INFO, second)
    assert judgement_key(INFO, first) != judgement_key(INFO, Subject("yes", Stage.INPUT))


labels = st.lists(st.sampled_from(Label), min_size=1, max_size=5)


@given(labels)
def test_a_stage_is_toxic_before_it_is_an_error_before_it_is_safe(said: list[Label]) -> None:
    stage = StageOutcome(tuple(Judgement(str(i), Classification(label), "") for i, label in enumerate(said)))
    if Label.TOXIC in said:
        assert stage.label is Label.TOXIC
    else:
        assert stage.label is (Label.ERROR if Label.ERROR in said else Label.SAFE)


texts = st.lists(st.sampled_from(["plain", "so toxic", "fail", "unanswerable", "other", ""]), max_size=12)


@given(texts, st.integers(1, 5))
def test_every_prompt_has_one_outcome_in_order_and_only_safe_ones_go_on(said: list[str], batch: int) -> None:
    fake = Check("fake", FakeClassifier(), INFO)
    pipeline = Pipeline([fake], Generation("fake", FakeGenerator()), [fake], batch_size=batch)
    told = list(pipeline.run(Prompt(text, i) for i, text in enumerate(said)))
    assert [(o.prompt.position, o.prompt.text) for o in told] == list(enumerate(said))
    for outcome in told:
        if outcome.input.label is not Label.SAFE:
            assert outcome.answer is None
            assert outcome.output is None
        else:
            assert outcome.output is not None
            assert (outcome.answer is None) == ("unanswerable" in outcome.prompt.text)
            assert (outcome.output.label is Label.ERROR) == (outcome.answer is None)


def test_alternatives_go_with_the_answer_to_their_prompt() -> None:
    class Writer:
        """Answers differ, and some fail."""

        def __init__(self) -> None:
            self.count = 0

        def generate(self, prompts: Sequence[str]) -> list[Answer]:
            made = []
            for prompt in prompts:
                self.count += 1
                made.append(Answer(None, "no") if self.count == 4 else Answer(f"{prompt} {self.count}"))
            return made

    class Reader(FakeClassifier):
        def classify(self, subjects: Sequence[Subject]) -> list[Classification]:
            seen.extend(subjects)
            return super().classify(subjects)

    seen: list[Subject] = []
    info = ModelInfo("reader", reads_context=True)
    pipeline = Pipeline(
        [Check("fake", FakeClassifier(), ModelInfo("fake"))],
        Generation("writer", Writer()),
        [Check("reader", Reader(), info)],
        alternatives=2,
    )
    list(pipeline.run([Prompt("a", 0), Prompt("b", 1)]))
    assert [(s.text, s.alternatives) for s in seen] == [("a 1", ("a 3",)), ("b 2", ("b 5", "b 6"))]
