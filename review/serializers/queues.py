"""Queues as the REST API shows and takes them: to whom works in them, and to whom oversees them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from audit.rest import Paged, Question
from review import saved
from review.exports import WRITERS
from review.models import Claim, Draft, Queue, QueueItem
from review.places import able_to_review
from review.queues import FILLING, SETTINGS
from review.serializers.shared import Filters, LabelsSerializer, Number


class PlaceSerializer(serializers.Serializer):
    left = serializers.IntegerField(help_text="Results that wait for you, counted up to 1,001.")
    held = serializers.IntegerField(help_text="Results in your hand.")


class StandingSerializer(serializers.Serializer):
    """How many results are in which state, and how many verdicts on them were given and are wanted."""

    total = serializers.IntegerField()
    open = serializers.IntegerField()
    disputed = serializers.IntegerField()
    closed = serializers.IntegerField()
    known = serializers.IntegerField(help_text="With a known answer; they stand apart.")
    held = serializers.IntegerField()
    given = serializers.IntegerField()
    wanted = serializers.IntegerField()
    people = serializers.IntegerField()
    oldest = serializers.DateTimeField(allow_null=True, help_text="Since when the result waits that waits longest.")


class DetailsSerializer(serializers.ModelSerializer):
    """What those see who oversee queues."""

    filters = serializers.DictField(child=serializers.CharField())
    words = serializers.SerializerMethodField(help_text="The filters as a person reads them.")
    population = serializers.DictField(child=serializers.IntegerField())
    members = serializers.SerializerMethodField()
    standing = serializers.SerializerMethodField()

    class Meta:
        model = Queue
        fields = (
            *("needed", "gold_percent", "restricted", "members", "filters", "words", "sample_percent", "population"),
            *("learner", "compared", "size", "random_percent", "standing", "version", "created_by", "created_at"),
        )

    def get_words(self, queue: Queue) -> str:
        return saved.in_words(queue.filters)

    def get_members(self, queue: Any) -> list[str]:
        return [seat.user.get_username() for seat in queue.members]

    @extend_schema_field(StandingSerializer)
    def get_standing(self, queue: Queue) -> Any:
        return StandingSerializer(self.context["standings"][queue.pk]).data


class QueueSerializer(serializers.ModelSerializer):
    """``place`` is null for whoever may not work in the queue now, ``details`` for whoever does not oversee queues."""

    place = serializers.SerializerMethodField()
    details = serializers.SerializerMethodField()

    class Meta:
        model = Queue
        fields = (
            *("id", "name", "instructions", "stages", "blind", "lease_seconds", "closed_at"),
            *("place", "details"),
        )

    @extend_schema_field(PlaceSerializer(allow_null=True))
    def get_place(self, queue: Queue) -> Any:
        place = self.context["places"].get(queue.pk)
        return place and PlaceSerializer(place).data

    @extend_schema_field(DetailsSerializer(allow_null=True))
    def get_details(self, queue: Queue) -> Any:
        overseen = queue.pk in self.context["standings"]
        return DetailsSerializer(queue, context=self.context).data if overseen else None


class SettingsSerializer(serializers.ModelSerializer):
    """What can be changed of a queue at any time."""

    members = serializers.SlugRelatedField(
        slug_field="username", many=True, required=False, queryset=able_to_review(), help_text="Who may review here."
    )

    class Meta:
        model = Queue
        fields: tuple[str, ...] = (*SETTINGS, "members")
        extra_kwargs = {"name": {"required": False}}


class NewQueueSerializer(SettingsSerializer):
    """Those settings, and what is fixed when the queue is filled."""

    filters = Filters(required=False)

    class Meta(SettingsSerializer.Meta):
        fields = (*SETTINGS, "members", "filters", *FILLING)
        extra_kwargs: dict[str, Any] = {}


class PreviewSerializer(serializers.ModelSerializer):
    filters = Filters(required=False)

    class Meta:
        model = Queue
        fields = ("filters", *(name for name in FILLING if name != "blind"))


class ForecastSerializer(serializers.Serializer):
    """What a queue would hold: what its filter finds, and a sample of what is neither found nor flagged. With a check that
    is to learn, of what is found so many drawn at random and at most so many chosen.
    """

    words = serializers.CharField()
    found = serializers.IntegerField()
    flagged = serializers.IntegerField()
    unflagged = serializers.IntegerField()
    sampled = serializers.IntegerField()
    random = serializers.IntegerField()
    chosen = serializers.IntegerField()


class QueueQuestion(Paged):
    closed = serializers.BooleanField(required=False, default=False, help_text="Those that are closed instead.")


class ItemQuestion(Paged):
    state = serializers.ChoiceField(choices=QueueItem.State.choices, required=False, default="")


ExportQuestion = type(
    "ExportQuestion",
    (Question,),
    {
        "as": serializers.ChoiceField(choices=list(WRITERS)),
        "pseudonyms": serializers.BooleanField(required=False, default=False, help_text="r1, r2 … instead of names."),
    },
)


class ItemSerializer(serializers.ModelSerializer):
    """A result in a queue, for those who oversee it."""

    known = serializers.BooleanField(source="gold")
    known_input = serializers.CharField(source="gold_input")
    known_output = serializers.CharField(source="gold_output")
    run = serializers.IntegerField(source="result.run_id")
    position = serializers.IntegerField(source="result.position")

    class Meta:
        model = QueueItem
        fields = (
            *("id", "result", "run", "position", "state", "needed", "claimed", "done", "origin"),
            *("known", "known_input", "known_output", "created_at", "closed_at"),
        )


class KnownSerializer(LabelsSerializer):
    """The right answer: SAFE or TOXIC for all that the queue asks."""

    result = Number()


class ColleagueSerializer(serializers.Serializer):
    name = serializers.CharField(source="username")


class PaceSerializer(serializers.Serializer):
    name = serializers.CharField()
    judged = serializers.IntegerField()
    seconds = serializers.FloatField(allow_null=True, help_text="The median for one result, if it is known.")


class ClaimSerializer(serializers.ModelSerializer):
    """A result that somebody holds, or what became of it; without its texts."""

    queue = serializers.IntegerField(source="item.queue_id")
    result = serializers.IntegerField(source="item.result_id")
    reviewer = serializers.CharField(source="reviewer.username")

    class Meta:
        model = Claim
        fields = (
            *("id", "queue", "result", "reviewer", "state", "claimed_at", "expires_at", "given_by", "reason"),
        )  # fmt: skip


class LateSerializer(serializers.ModelSerializer):
    """A verdict that came too late for its slot, and waits as a draft."""

    reviewer = serializers.CharField(source="reviewer.username")

    class Meta:
        model = Draft
        fields = ("reviewer", "saved_at")


class WaitingSerializer(serializers.Serializer):
    longer_than = serializers.CharField()
    results = serializers.IntegerField()


class PeopleSerializer(serializers.Serializer):
    """Who judged how much, who holds what, what was skipped or escalated and why, and what came too late."""

    paces = PaceSerializer(many=True)
    waiting = WaitingSerializer(many=True)
    held = ClaimSerializer(many=True)
    aside = ClaimSerializer(many=True)
    late = LateSerializer(many=True)
