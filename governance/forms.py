"""What a person fills in to have classifiers or a run evaluated, or an adapter trained. Errors stand beside their fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django import forms

from classifiers.curves import Aim
from classifiers.labelled import Columns
from classifiers.measuring import FITS
from governance import uploads
from governance.hyper import HYPER, Hyper
from governance.promotion import promotable
from governance.services import MAX_NAME, Data, Wish
from governance.training_jobs import trainable
from moderation.adapters import COMES_ALONG, newest
from moderation.adapters import MAX_NAME as MAX_ADAPTER
from moderation.models import Adapter
from moderation.services import names

AIMS = (
    ("", "none"),
    ("f1", "the best F1"),
    ("precision", "this precision"),
    ("recall", "this recall"),
    ("fpr", "this share of false positives"),
    ("cost", "the least cost"),
)
MAX_COLUMN = 200


class PickForm(forms.Form):
    """How a threshold is chosen."""

    kind = forms.ChoiceField(choices=AIMS[1:], initial="f1", label="Choose one for")
    value = forms.FloatField(required=False, min_value=0, label="Target", widget=forms.NumberInput({"step": "any"}))

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.label_suffix = ""

    @property
    def aim(self) -> Aim:
        return Aim(self.cleaned_data["kind"], self.cleaned_data["value"] or 0.0)


def _column(label: str, help_text: str = "") -> forms.CharField:
    return forms.CharField(required=False, max_length=MAX_COLUMN, label=label, help_text=help_text)


class LabelledForm(forms.Form):
    """A labelled file, and how texts and labels stand in it."""

    file = forms.FileField(label="Labelled file", help_text=f"One of {', '.join(uploads.KINDS)}.")
    label = _column("Column of the label", "Found by itself for the usual names: label, toxic, hateful, …")
    text = _column("Column of the text", "Found by itself for the usual names.")
    toxic = _column("Labels that mean toxic", "Beside 1, true, toxic, …; several with commas between.")
    safe = _column("Labels that mean safe", "Beside 0, false, safe, …")
    toxic_from = forms.FloatField(
        required=False, label="Toxic from this number on", widget=forms.NumberInput({"step": "any"})
    )
    prompt = _column("Column of the prompt", "The texts are answers to these.")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.label_suffix = ""

    @property
    def columns(self) -> Columns:
        given = self.cleaned_data
        named = {name: given[name] for name in ("label", "toxic_from", "prompt")}
        return Columns(**named, toxic=_several(given["toxic"]), safe=_several(given["safe"]))

    @property
    def source(self) -> dict[str, str | None]:
        return {"text_column": self.cleaned_data["text"] or None}

    def read(self) -> Data:
        """The labelled texts of the file. Raises InputError."""
        file = self.cleaned_data["file"]
        return uploads.read_file(file.name, file.chunks(), self.columns, **self.source)


class EvaluationForm(LabelledForm):
    """The fields of the REST body, with a file in place of its rows."""

    classifiers = forms.MultipleChoiceField(
        required=False, widget=forms.CheckboxSelectMultiple, label="Which classifiers"
    )
    run = forms.IntegerField(required=False, min_value=1, label="or what this run said", help_text="Its number.")
    everything = forms.ChoiceField(
        required=False,
        choices=[("", "no, there is a label"), ("SAFE", "all are SAFE"), ("TOXIC", "all are TOXIC")],
        label="Is all of it alike?",
        help_text="For a set of harmless texts, whose flagged share is that of false positives.",
    )
    category = _column("Column of the category", "Texts are counted apart for each value.")
    answers = forms.BooleanField(required=False, label="The texts are answers, without their prompts")
    sources = _column("Column of the documents", "That an answer should rest on, for the check grounding.")
    name = forms.CharField(
        required=False, max_length=MAX_NAME, help_text="Left empty, it says what was held against which file."
    )
    policy = forms.CharField(
        required=False,
        max_length=120,
        help_text="NAME or NAME@3: whose thresholds decide. Left empty, the default one; none: the classifiers' own word.",
    )
    calibration = forms.ChoiceField(required=False, choices=[("", "none"), *((name, name) for name in FITS)])
    kind = forms.ChoiceField(required=False, choices=AIMS, label="Choose a threshold for")
    value = forms.FloatField(
        required=False,
        min_value=0,
        label="Target",
        widget=forms.NumberInput({"step": "any"}),
        help_text="A share such as 0.05; for the least cost, how many false positives a miss is as bad as.",
    )
    share = forms.FloatField(
        initial=0.5,
        min_value=0.05,
        max_value=0.95,
        label="Share to fit on",
        widget=forms.NumberInput({"step": "any"}),
        help_text="Of the texts. Calibration and threshold are told of on the others.",
    )
    cost = forms.FloatField(
        required=False, min_value=0, label="Cost of a thousand texts", widget=forms.NumberInput({"step": "any"})
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: Any = self.fields
        fields["classifiers"].choices = [(alias, alias) for alias in names("classifier")]

    @property
    def wish(self) -> Wish:
        given = self.cleaned_data
        aim = Aim(given["kind"], given["value"] or 0.0) if given["kind"] else None
        return Wish(given["name"], given["calibration"], aim, given["share"], cost_per_thousand=given["cost"])

    @property
    def columns(self) -> Columns:
        given = self.cleaned_data
        more = {name: given[name] for name in ("category", "everything")}
        return replace(super().columns, **more, output=given["answers"])

    @property
    def source(self) -> dict[str, str | None]:
        return {**super().source, "sources_column": self.cleaned_data["sources"] or None}


class TrainingForm(LabelledForm):
    """The fields of the REST body, with a file in place of its rows. What is left empty is as the recipe has it."""

    name = forms.CharField(
        max_length=MAX_ADAPTER, help_text="Letters, digits, dots, dashes, underscores: it is named as gemma@NAME."
    )
    alias = forms.ChoiceField(label="For the classifier")
    learn_from = forms.ChoiceField(
        choices=[("reviews", "what people decided here"), ("file", "a labelled file")], label="It learns from"
    )
    start = forms.ChoiceField(
        required=False, label="Starts from", help_text="Another adapter brings its base model, rank, alpha and layers."
    )
    base_model = forms.CharField(
        required=False,
        max_length=200,
        help_text="Left empty, the classifier's own; embedded, or a model of the hub (owner/name).",
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: Any = self.fields
        fields["file"].required = False
        fields["alias"].choices = [(alias, alias) for alias in trainable()]
        comes_along = {COMES_ALONG: "the one that comes with the embedded Gemma"}
        named = comes_along | {name: name for name in newest()}
        fields["start"].choices = [("", "nothing: it is new"), *named.items()]
        fields |= {each.name: _hyper(each) for each in HYPER}

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if given.get("learn_from") == "file" and not given.get("file") and "file" not in self.errors:
            self.add_error("file", "Choose a file, or have it learn from what people decided here.")
        return given

    @property
    def wanted(self) -> dict[str, Any]:
        """As ``training_jobs.ask`` takes it."""
        given = self.cleaned_data
        recipe = {each.name: given[each.name] for each in HYPER if given[each.name] is not None}
        return {**{name: given[name] for name in ("name", "alias", "start", "base_model")}, **recipe}

    @property
    def hyper(self) -> list[forms.BoundField]:
        return [self[each.name] for each in HYPER]


class ComparisonForm(LabelledForm):
    """Which adapter is held against what a classifier loads now, and on which texts."""

    adapter = forms.ModelChoiceField(Adapter.objects.order_by("-pk"), to_field_name="name", empty_label=None)
    alias = forms.ChoiceField(label="In the place of what this classifier loads now")
    category = _column("Column of the category", "Texts are counted apart for each value.")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fields: Any = self.fields
        fields["file"].required = False
        fields["file"].help_text += " Left empty, they are compared on what people decided here."
        fields["alias"].choices = [(alias, alias) for alias in promotable()]

    @property
    def columns(self) -> Columns:
        return replace(super().columns, category=self.cleaned_data["category"])

    @property
    def of_the_file(self) -> list[forms.BoundField]:
        return [self[name] for name in ("label", "text", "category", "toxic", "safe", "toxic_from", "prompt")]


def _hyper(each: Hyper) -> Any:
    kind: Any = forms.IntegerField if each.whole else forms.FloatField
    shown = {
        "placeholder": "no limit" if each.default is None else f"{each.default:g}",
        "step": "1" if each.whole else "any",
    }
    return kind(
        required=False, min_value=each.low, max_value=each.high, help_text=each.says, widget=forms.NumberInput(shown)
    )


def _several(given: str) -> tuple[str, ...]:
    return tuple(value.strip() for value in given.split(",") if value.strip())
