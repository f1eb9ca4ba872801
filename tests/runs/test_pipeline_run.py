from collections.abc import Callable

from runs.models import Result, Run, Verdict


def test_toxic_prompts_go_no_further(done_run: Callable[..., Run]) -> None:
    run = done_run(["hello", "you are toxic", "fail here", "good day"])
    labels = Result.objects.filter(run=run).order_by("position").values_list("input_label", "output_label", "answer")
    assert list(labels) == [
        ("SAFE", "SAFE", "You said: hello"),
        ("TOXIC", None, None),
        ("ERROR", None, None),
        ("SAFE", "SAFE", "You said: good day"),
    ]
    assert run.status == "DONE"
    assert run.counts == {"input": {"SAFE": 2, "TOXIC": 1, "ERROR": 1}, "output": {"SAFE": 2}}
    assert Verdict.objects.filter(result__run=run).count() == 6
