"""Runs as the REST API takes and shows them."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from audit.rest import Paged, Question
from moderation.policies import chosen
from runs.configuration import MAX_ALTERNATIVES, MAX_BATCH
from runs.models import Run, RunLog
from runs.requests import MAX_CHECKS, MAX_LIMIT, MAX_PROMPTS
from runs.services import MAX_NAME

MAX_ALIAS = 100
MAX_POLICY = 120


class RunSerializer(serializers.ModelSerializer):
    """A run in short, with how many of its results are what."""

    done = serializers.IntegerField(read_only=True)
    flagged = serializers.IntegerField(read_only=True)
    errors = serializers.IntegerField(read_only=True)
    reviewed = serializers.IntegerField(read_only=True)
    disputed = serializers.IntegerField(read_only=True)
    live = serializers.SerializerMethodField(help_text="Whether it records what programs ask.")
    policy = serializers.CharField(
        read_only=True,
        allow_null=True,
        help_text="The version of the policy that its labels follow from, NAME@3; null: the classifiers' own word.",
    )

    class Meta:
        model = Run
        fields: tuple[str, ...] = (
            *("id", "name", "status", "live", "total", "skipped", "done", "flagged", "errors", "reviewed", "disputed"),
            *("policy", "policy_version", "relabelled_at"),
            *("error", "created_by", "created_at", "started_at", "finished_at"),
        )

    def get_live(self, run: Run) -> bool:
        return run.live is not None


class RunDetailSerializer(RunSerializer):
    """A run with all that it was made of."""

    configuration = serializers.DictField(help_text="Source, checks, generator and batch size, as the run keeps them.")
    versions = serializers.DictField(help_text="Of packages and models, from the first chunk on.")
    counts = serializers.DictField(help_text="Labels by stage, when the run is done.")

    class Meta(RunSerializer.Meta):
        fields = (*RunSerializer.Meta.fields, "prompts_digest", "configuration", "versions", "counts")


class RunQuestion(Paged):
    status = serializers.ChoiceField(choices=Run.Status.choices, required=False)
    name = serializers.CharField(max_length=MAX_NAME, required=False, help_text="A part of the name.")
    policy = serializers.CharField(
        max_length=120,
        required=False,
        help_text="What labels follow from: NAME@3, NAME for its newest version, or none.",
    )

    def narrow(self, runs: Any, asked: Any) -> Any:
        if "policy" in asked:
            runs = runs.filter(policy_version=chosen(asked["policy"]))
        if "status" in asked:
            runs = runs.filter(status=asked["status"])
        return runs.filter(name__icontains=asked["name"]) if "name" in asked else runs


class SourceBody(serializers.Serializer):
    """Where the prompts are read from."""

    dataset_id = serializers.CharField(
        max_length=500,
        help_text="A data set of the Hugging Face hub, owner/name or owner/name:configuration, or a file in a folder "
        "that the site may read for this.",
    )
    split = serializers.CharField(max_length=100, default="train")
    text_column = serializers.CharField(
        max_length=200,
        allow_null=True,
        default=None,
        help_text="May be dotted: prompt.text. Found by its name if null.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=MAX_LIMIT, default=100, help_text="Prompts to read.")
    shuffle = serializers.BooleanField(default=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**32 - 1, allow_null=True, default=None)
    skip_bad_rows = serializers.BooleanField(default=False, help_text="Else a row without a usable text is an error.")
    sources_column = serializers.CharField(
        max_length=200,
        allow_null=True,
        default=None,
        help_text="Of the document, or documents, that an answer should rest on. Kept as sources in the metadata.",
    )


class RunBody(serializers.Serializer):
    """A run to be made: a source, or else prompts, with their sources or without; and the aliases of who judges and answers."""

    name = serializers.CharField(max_length=MAX_NAME, allow_blank=True, default="")
    source = SourceBody(required=False)
    prompts = serializers.ListField(
        child=serializers.RegexField(r"\S", trim_whitespace=False),
        min_length=1,
        max_length=MAX_PROMPTS,
        required=False,
        help_text="The texts themselves.",
    )
    sources = serializers.ListField(
        child=serializers.ListField(child=serializers.CharField(trim_whitespace=False)),
        min_length=1,
        max_length=MAX_PROMPTS,
        required=False,
        help_text="For each of prompts the documents that its answer should rest on; they are looked for attacks too.",
    )
    input_checks = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ALIAS),
        min_length=1,
        max_length=MAX_CHECKS,
        help_text="Aliases of classifiers, with the options that they have in settings; others cannot be sent.",
    )
    generator = serializers.CharField(
        max_length=MAX_ALIAS, allow_null=True, default=None, help_text="Who answers; null: nobody."
    )
    output_checks = serializers.ListField(
        child=serializers.CharField(max_length=MAX_ALIAS), max_length=MAX_CHECKS, default=list
    )
    batch_size = serializers.IntegerField(min_value=1, max_value=MAX_BATCH, allow_null=True, default=None)
    alternatives = serializers.IntegerField(
        min_value=0,
        max_value=MAX_ALTERNATIVES,
        default=0,
        help_text="Further answers to each prompt, for output checks that compare: consistency.",
    )
    policy = serializers.CharField(
        max_length=MAX_POLICY,
        allow_blank=True,
        default="",
        help_text="NAME, or NAME@3 for that version: what labels follow from; empty: the default policy; none: the "
        "classifiers' own word.",
    )
    reuse_verdicts = serializers.BooleanField(
        default=False, help_text="Take over what was said of identical texts in earlier runs."
    )


class RunLogSerializer(serializers.ModelSerializer):
    """A line of a run's log."""

    class Meta:
        model = RunLog
        fields = ("id", "time", "level", "message")


class ComparisonQuestion(Question):
    def get_fields(self) -> dict[str, Any]:
        """``with`` is a word of Python."""
        number = serializers.IntegerField(min_value=1, max_value=2**63 - 1, help_text="The other run.")
        return {"with": number}


class AgreementSerializer(serializers.Serializer):
    """How two runs judged one stage of the prompts that they share."""

    table = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()), help_text="This run's label, then the other's."
    )
    judged = serializers.IntegerField(help_text="By both, as SAFE or TOXIC.")
    errors = serializers.IntegerField(help_text="Where one of them could not judge.")
    unshared = serializers.IntegerField(help_text="That came to this stage in one run only.")
    agreement = serializers.FloatField(allow_null=True, help_text="The share of those judged on which they agree.")
    kappa = serializers.FloatField(allow_null=True, help_text="Cohen's.")
    mcnemar_p = serializers.FloatField(help_text="How likely so uneven a difference is if neither is stricter; exact.")


class DifferingSerializer(serializers.Serializer):
    result = serializers.IntegerField(source="pk", help_text="Of this run.")
    position = serializers.IntegerField()
    input_label = serializers.CharField()
    output_label = serializers.CharField(allow_null=True)
    other_input_label = serializers.CharField()
    other_output_label = serializers.CharField(allow_null=True)


class ComparisonSerializer(serializers.Serializer):
    """Two runs over the same prompts."""

    matched = serializers.IntegerField(help_text="Prompts at the same position of both, with the same text.")
    policies = serializers.ListField(
        child=serializers.CharField(allow_null=True), help_text="That the labels of the two follow from, as of a run."
    )
    input = AgreementSerializer()
    output = AgreementSerializer()
    differing = DifferingSerializer(many=True, help_text="The first results that they judged differently.")


class SaidSerializer(serializers.Serializer):
    stage = serializers.ChoiceField(choices=["input", "output"])
    machine = serializers.CharField(allow_null=True)
    people = serializers.CharField()
    results = serializers.IntegerField()


class MetricsSerializer(serializers.Serializer):
    """What the machine said in a run, and people of it, in numbers of results."""

    done = serializers.IntegerField()
    flagged = serializers.IntegerField()
    errors = serializers.IntegerField()
    reviewed = serializers.IntegerField()
    disputed = serializers.IntegerField()
    labels = serializers.DictField(
        child=serializers.DictField(child=serializers.IntegerField()), help_text="By stage and label."
    )
    categories = serializers.DictField(child=serializers.IntegerField(), help_text="Of flagged results.")
    scores = serializers.DictField(
        child=serializers.DictField(child=serializers.ListField(child=serializers.IntegerField())),
        help_text="By stage and label, in twenty equal bins from 0 to 1.",
    )
    people = SaidSerializer(many=True, help_text="Labels that people agreed on, beside the machine's.")
