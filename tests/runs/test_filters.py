from __future__ import annotations

from typing import Any

import pytest
from django.http import QueryDict
from django.utils import timezone

from classifiers.errors import InputError
from runs.filters import ResultFilter, in_words, results
from runs.models import Result, Run

NOW = timezone.now()
# What each result is, beside a safe prompt that nobody looked at; its position is its place here.
CAST: list[dict[str, Any]] = [
    {},
    {"input_label": "TOXIC", "input_score": 0.9, "input_categories": ["hate", 'a"b']},
    {"output_label": "TOXIC", "input_score": 0.1, "output_score": 0.7, "output_categories": ["violence"]},
    {"input_label": "ERROR"},
    {"output_label": "ERROR", "input_score": 0.4},
    {"output_label": "SAFE", "input_score": 0.2, "output_score": 0.3, "prompt": "good day"},
    # People agree with the machine, overrule it, disagree, are unsure.
    {"input_label": "TOXIC", "human_input_label": "TOXIC", "input_provenance": "unanimous", "reviewed_at": NOW},
    {"input_label": "TOXIC", "human_input_label": "SAFE", "input_provenance": "majority", "reviewed_at": NOW},
    {"output_label": "SAFE", "human_output_label": "TOXIC", "output_provenance": "adjudicated", "reviewed_at": NOW},
    {"reviewed_at": NOW, "disputed": True},
    {"human_input_label": "UNSURE", "reviewed_at": NOW},
    {"input_label": "ERROR", "human_input_label": "SAFE", "input_provenance": "single", "reviewed_at": NOW},
]


@pytest.fixture
def run(db: None) -> Run:
    run = Run.objects.create(name="filtered")
    basis = {"prompt": "text", "input_label": "SAFE", "created_at": NOW}
    Result.objects.bulk_create(Result(run=run, position=i, **basis | fields) for i, fields in enumerate(CAST))
    return run


def chosen(**filters: str) -> list[int]:
    return sorted(results(filters).values_list("position", flat=True))


@pytest.mark.parametrize(
    ("filters", "positions"),
    [
        ({}, list(range(12))),
        ({"flagged": "true"}, [1, 2, 6, 7]),
        ({"flagged": "false"}, [0, 3, 4, 5, 8, 9, 10, 11]),
        ({"flagged": "true", "stage": "output"}, [2]),
        ({"flagged": "false", "stage": "output"}, [4, 5, 8]),
        ({"stage": "output"}, [2, 4, 5, 8]),
        ({"errors": "true"}, [3, 4, 11]),
        ({"errors": "true", "stage": "input"}, [3, 11]),
        ({"errors": "false"}, [0, 1, 2, 5, 6, 7, 8, 9, 10]),
        ({"input_label": "TOXIC"}, [1, 6, 7]),
        ({"input_label": "SAFE", "output_label": "SAFE"}, [5, 8]),
        ({"output_label": "ERROR"}, [4]),
        ({"min_score": ".35"}, [1, 2, 4]),
        ({"min_score": "0.35", "stage": "input"}, [1, 4]),
        ({"max_score": "0.2"}, [2, 5]),
        ({"min_score": ".3", "max_score": ".3"}, [5]),
        ({"min_score": ".25", "max_score": ".4"}, [4, 5]),
        ({"min_score": "0", "max_score": "1", "stage": "output"}, [2, 5]),
        ({"category": "hate"}, [1]),
        ({"category": 'a"b'}, [1]),
        ({"category": "b"}, []),
        ({"category": "violence", "stage": "input"}, []),
        ({"category": "violence"}, [2]),
        ({"reviewed": "true"}, [6, 7, 8, 9, 10, 11]),
        ({"reviewed": "false", "flagged": "true"}, [1, 2]),
        ({"human": "SAFE"}, [7, 11]),
        ({"human": "TOXIC", "stage": "output"}, [8]),
        ({"human": "UNSURE"}, [10]),
        ({"disagreement": "people"}, [9]),
        ({"disagreement": "machine"}, [7, 8]),
        ({"disagreement": "machine", "stage": "input"}, [7]),
        ({"provenance": "majority"}, [7]),
        ({"provenance": "machine", "stage": "input"}, [0, 1, 2, 3, 4, 5, 8, 9, 10]),
        ({"q": "good"}, [5]),
        ({"q": "good", "flagged": "true"}, []),
        ({"q": "", "run": "", "flagged": ""}, list(range(12))),
    ],
)
def test_filters_choose(run: Run, filters: dict[str, str], positions: list[int]) -> None:
    assert chosen(**filters) == positions
    assert chosen(run=str(run.pk), **{name: value for name, value in filters.items() if name != "run"}) == positions


def test_another_run_has_none(run: Run) -> None:
    assert chosen(run=str(run.pk + 1)) == []


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"colour": "red"}, 'There is no filter "colour". There are: q, run, flagged, errors, stage'),
        ({"run__id__exact": "3"}, "There is no filter"),
        ({"x" * 10_000: "1"}, "There is no filter"),
        ({"flagged": "maybe"}, 'The filter flagged cannot be "maybe". It is one of: true, false.'),
        ({"flagged": "True"}, "It is one of: true, false"),
        ({"run": "three"}, 'cannot be "three". It is the number of a run.'),
        ({"run": "0"}, "It is the number of a run."),
        ({"run": "9" * 30}, "It is the number of a run."),
        ({"run": "1e400"}, "It is the number of a run."),
        ({"min_score": "nan"}, "It is a number from 0 to 1."),
        ({"max_score": "1.5"}, "It is a number from 0 to 1."),
        ({"input_label": "UNSURE"}, "It is one of: SAFE, TOXIC, ERROR."),
        ({"human": "ERROR"}, "It is one of: SAFE, TOXIC, UNSURE."),
        ({"stage": "INPUT"}, "It is one of: input, output."),
        ({"provenance": "x" * 10_000}, "cannot be"),
        ({"category": "c" * 201}, "at most 200 characters"),
        ({"category": "a\0"}, "NUL"),
        ({"q": "?!"}, "no word"),
        ({"q": "\ud800"}, "lone surrogate"),
    ],
)
@pytest.mark.django_db
def test_what_is_no_filter_is_refused_with_a_sentence(filters: dict[str, str], sentence: str) -> None:
    for ask in (results, in_words):
        with pytest.raises(InputError) as raised:
            ask(filters)
        assert sentence in raised.value.message
        assert len(raised.value.message) < 400


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({}, "all results"),
        ({"category": "hate", "flagged": "true", "run": "3"}, "run 3, flagged, category hate"),
        ({"min_score": ".4", "max_score": "0.60", "stage": "output"}, "at the output stage, score from 0.4 to 0.6"),
        ({"disagreement": "machine", "reviewed": "true"}, "reviewed, people overrule the machine"),
        ({"q": '"good day"', "errors": "false"}, 'without errors, words "good day"'),
    ],
)
@pytest.mark.django_db
def test_filters_are_said_in_words(filters: dict[str, str], words: str) -> None:
    assert in_words(filters) == words


@pytest.mark.django_db
def test_every_filter_has_words() -> None:
    given = {"q": "a", "run": "1", "min_score": "0", "max_score": "1", "category": "c"}
    for name in ResultFilter.base_filters:
        choices = getattr(ResultFilter.base_filters[name], "extra", {}).get("choices", [("", "")])
        filters = {name: given.get(name, str(choices[0][0]))}
        assert in_words(filters) != "all results", name


@pytest.mark.django_db
def test_a_query_string_is_a_choice_of_filters() -> None:
    assert str(results(QueryDict("flagged=true&run=3")).query) == str(results({"flagged": "true", "run": "3"}).query)
