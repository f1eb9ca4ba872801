"""The card of an adapter, with the metadata that model hubs read, and the notice that a derivative of Gemma must carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from classifiers.loading import need

NOTICE = (
    "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms\n\n"
    "This adapter is a Model Derivative of Gemma: it was trained on it and changes what it says. Whoever is given it must be\n"
    "given this notice and the terms, and may not use it for what ai.google.dev/gemma/prohibited_use_policy forbids.\n"
)
SHOWN = {
    "roc_auc": "ROC-AUC", "auprc": "average precision", "recall_at_5_percent_fpr": "recall at 5 % false alarms",
    "f1": "F1 at the threshold in use", "recall": "recall at it", "false_positive_rate": "false alarms at it",
    "expected_calibration_error": "expected calibration error",
}  # fmt: skip


def write_card(adapter: Path, *, name: str, about: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Writes README.md, and NOTICE for a Gemma, beside the weights; returns the card.

    ``about`` holds base_model, base_revision, digest, command, recipe, data (parts by name, each with n, toxic, digest),
    dataset, judging (temperature, shift, threshold) and sources, a line each; ``evaluation`` what the held rows showed: n, figures by name with value, low, high, threshold, bins.
    """
    hub = need("huggingface_hub", feature="A model card")
    gemma = about["base_model"] == "embedded" or "gemma" in about["base_model"].lower()
    data = hub.ModelCardData(
        model_name=name, base_model=_hub_name(about["base_model"]), library_name="peft", pipeline_tag="text-classification",
        tags=["lora", "toxicity"], license="gemma" if gemma else None,
        eval_results=_results(hub, about["dataset"], evaluation["figures"]),
    )  # fmt: skip
    card = hub.ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n".join(_lines(name, about, evaluation, gemma)))
    (adapter / "README.md").write_text(str(card))
    if gemma:
        (adapter / "NOTICE").write_text(NOTICE)
    return str(card)


def _hub_name(base: str) -> str:
    return "google/gemma-3-270m" if base == "embedded" else base


def _results(hub: Any, dataset: str, figures: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    return [
        hub.EvalResult(
            task_type="text-classification", dataset_type="held", dataset_name=dataset, metric_type=metric,
            metric_name=SHOWN[metric], metric_value=round(figures[metric]["value"], 4),
        )
        for metric in SHOWN
        if figures[metric]["value"] is not None
    ]  # fmt: skip


def _lines(name: str, about: Mapping[str, Any], evaluation: Mapping[str, Any], gemma: bool) -> Sequence[str]:
    parts = [f"| {part} | {n['n']} | {n['toxic']} | `{n['digest']}` |" for part, n in about["data"].items()]
    figures = [f"| {title} | {shown(evaluation['figures'][key])} |" for key, title in SHOWN.items()]
    bins = [
        f"| {each['low']:.2f} to {each['high']:.2f} | {each['n']} | {each['score']:.2f} | {each['toxic']:.2f} |"
        for each in evaluation["bins"]
        if each["n"]
    ]
    told = {
        key: value for key, value in about["recipe"].items() if value is not None and key != "start"
    }  # a folder of here
    recipe = [f"- {key}: {value}" for key, value in sorted(told.items())]
    return [
        f"# {name}", "",
        "A LoRA adapter that has a language model tell toxic texts from safe ones by its first answer token.", "",
        f"- base model: {about['base_model']}, revision `{about['base_revision']}`",
        f"- digest of this folder: `{about['digest']}`",
        f"- made by: `{about['command']}`", "",
        *(["See NOTICE: the Gemma Terms of Use and their use restrictions hold for this adapter.", ""] if gemma else []),
        "## Data", "", f"From {about['dataset']}; no text stands in two parts.", "",
        *([*(f"- {source}" for source in about["sources"]), ""] if about["sources"] else []),
        "| part | texts | toxic | digest |", "|---|---|---|---|", *parts, "",
        "## Measured on the held part", "",
        f"{evaluation['n']} texts, with 95 % bootstrap intervals; {evaluation['errors']} could not be judged.", "",
        "| figure | value |", "|---|---|", *figures, "", *_threshold(about["judging"], evaluation["threshold"]),
        "### Reliability", "", "| score | texts | mean score | toxic |", "|---|---|---|---|", *bins, "",
        "## Recipe", "", *recipe, "",
    ]  # fmt: skip


def _threshold(judging: Mapping[str, float], picked: Mapping[str, Any] | None) -> list[str]:
    sign = "-" if judging["shift"] < 0 else "+"
    scores = f"Scores are sigmoid((toxic - safe {sign} {abs(judging['shift']):g}) / {judging['temperature']:g}) of the logits"
    if picked is None:
        why = (
            "so that they keep to the share of toxic texts that were learnt from: the others are too few to fit them on"
        )
        return [f"{scores}, {why}. From 0.5 on a text is TOXIC.", ""]
    why = f"fitted on {picked['fitted']} texts that were neither learnt from nor measured with"
    half = "half the best F1 on these texts, where probabilities have their best F1"
    return [f"{scores}, {why}. From {judging['threshold']:g} on a text is TOXIC: {half}.", ""]


def shown(estimate: Mapping[str, Any]) -> str:
    """A figure with its interval, where there is one."""
    value, low, high = (estimate[key] for key in ("value", "low", "high"))
    if value is None:
        return "undefined"
    return f"{value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if low is not None else "")
