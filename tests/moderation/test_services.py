from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from classifiers.errors import InputError, ProviderError
from classifiers.providers.fake import FakeClassifier
from classifiers.types import Classification, Label, ModelInfo, Stage, Subject
from moderation import services
from moderation.checks import providers_are_well_formed
from moderation.models import ClassifierVersion
from moderation.services import Choice


class Described:
    """A provider that names its model, and has what it takes to be told apart."""

    def __init__(self, revision: str = "1", missing: str = "") -> None:
        self.revision, self.missing = revision, missing

    def classify(self, subjects: list[Subject]) -> list[Classification]:
        return [Classification(Label.SAFE) for _ in subjects]

    def describe(self) -> ModelInfo:
        return ModelInfo(provider="tests", model="m", revision=self.revision)

    def problems(self) -> list[str]:
        return [self.missing, "And more."] if self.missing else []


@pytest.fixture
def described(settings: Settings) -> None:
    entry = {"BACKEND": f"{__name__}.Described", "OPTIONS": {}}
    settings.SAFETY_CLASSIFIERS = {**settings.SAFETY_CLASSIFIERS, "described": entry}


class TestChoice:
    def test_it_comes_back_from_json(self) -> None:
        choice = Choice("fake", {"toxic": ["rude"]})
        assert Choice.from_json(choice.as_json()) == choice
        assert Choice.from_json({"alias": "fake"}) == Choice("fake")

    def test_its_options_win_over_those_in_settings(self) -> None:
        subject = Subject("so rude", Stage.INPUT)
        mild, strict = (services.classifier(Choice("fake-strict", o)) for o in ({"toxic": ["toxic"]}, {}))
        assert mild.classify([subject])[0].label is Label.SAFE
        assert strict.classify([subject])[0].label is Label.TOXIC

    def test_equal_choices_share_one_instance(self) -> None:
        assert services.classifier(Choice("fake", {"latency": 0})) is services.classifier(
            Choice("fake", {"latency": 0})
        )
        assert isinstance(services.classifier(Choice("fake")), FakeClassifier)


class TestUnknown:
    def test_an_alias_names_the_known_ones_and_the_nearest(self) -> None:
        with pytest.raises(
            InputError, match=r"no classifier called 'gema'\. Did you mean gemma\? Known: consistency, "
        ) as raised:
            services.classifier(Choice("gema"))
        assert "SAFETY_CLASSIFIERS" in raised.value.message

    def test_a_generator_is_no_classifier(self) -> None:
        with pytest.raises(InputError, match="no classifier called 'local'"):
            services.info_of("classifier", Choice("local"))

    def test_an_option_is_named(self) -> None:
        with pytest.raises(InputError, match=r"FakeClassifier does not take these OPTIONS: .*'nonsense'"):
            services.classifier(Choice("fake", {"nonsense": 1}))


@pytest.mark.usefixtures("described")
class TestReady:
    def test_problems_are_told_together(self) -> None:
        broken = Choice("described", {"missing": "There is no key. Set one."})
        assert services.problems("classifier", broken) == ["There is no key. Set one.", "And more."]
        with pytest.raises(ProviderError, match=r"There is no key\. Set one\. And more\."):
            services.make_ready("classifier", broken)

    def test_one_that_cannot_say_has_none(self) -> None:
        assert services.problems("classifier", Choice("fake")) == []
        services.make_ready("classifier", Choice("fake"))


@pytest.mark.django_db
@pytest.mark.usefixtures("described")
class TestVersions:
    def test_one_row_a_version(self) -> None:
        first = services.version_of(Choice("described"))
        assert services.version_of(Choice("described")) == first
        assert (first.alias, first.model, first.revision) == ("described", "m", "1")
        other = services.version_of(Choice("described", {"revision": "2"}))
        assert other != first
        assert ClassifierVersion.objects.count() == 2

    def test_a_model_has_a_name_of_any_length(self, monkeypatch: pytest.MonkeyPatch) -> None:
        long = {name: f"/{name}" * 500 for name in ("provider", "model", "revision", "dtype", "template_hash")}
        monkeypatch.setattr(Described, "describe", lambda _: ModelInfo(**long))
        version = services.version_of(Choice("described", {"revision": "long"}))
        version.refresh_from_db()
        assert {name: getattr(version, name) for name in long} == long

    def test_without_a_description_class_and_options_stand_for_it(self) -> None:
        version = services.version_of(Choice("fake", {"toxic": ["rude"]}))
        assert version.provider == "classifiers.providers.fake.FakeClassifier"
        assert version.settings == {"toxic": ["rude"]}


class TestChecks:
    def test_the_settings_of_the_site_are_sound(self) -> None:
        assert providers_are_well_formed() == []

    @pytest.mark.parametrize(
        "entry",
        [
            "a.dotted.Path",
            {},
            {"BACKEND": "undotted"},
            {"BACKEND": 1},
            {"BACKEND": "a.B", "OPTIONS": []},
            {"BACKEND": "a.B", "OPTION": {}},
        ],
    )
    def test_a_wrong_entry_stops_the_start(self, settings: Settings, entry: Any) -> None:
        settings.SAFETY_GENERATORS = {"mine": entry}
        (error,) = providers_are_well_formed()
        assert error.id == "moderation.E001"
        assert 'SAFETY_GENERATORS["mine"]' in error.msg
