"""Providers from dotted paths, and what is said of those that do not describe themselves."""

import pytest

from classifiers.errors import InputError, ProviderError
from classifiers.loading import describe, load, need
from classifiers.types import ModelInfo


class Plain:
    def __init__(self, **options: object) -> None:
        self.options = options

    def classify(self, subjects: list) -> list:
        return []


class Described(Plain):
    def describe(self) -> ModelInfo:
        return ModelInfo("mine", model="m")


@pytest.mark.parametrize("path", ["", "nodots", "no.such.module", "classifiers.loading.NoSuchClass", "..x"])
def test_a_path_that_leads_nowhere_is_a_sentence(path: str) -> None:
    with pytest.raises(InputError, match="cannot be imported"):
        load(path)


def test_an_unknown_option_is_a_sentence() -> None:
    with pytest.raises(InputError, match="FakeClassifier does not take these OPTIONS"):
        load("classifiers.providers.fake.FakeClassifier", colour="red")


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(ProviderError, match=r"Flying needs the package no_such_package.*pip install"):
        need("no_such_package.wings", feature="Flying")


def test_a_provider_describes_itself_if_it_can() -> None:
    assert describe(Described(), {"a": 1}).model == "m"


def test_class_and_options_stand_for_the_version_otherwise() -> None:
    one, same, other = (
        describe(Plain(), options) for options in ({"words": ["a"]}, {"words": ["a"]}, {"words": ["b"]})
    )
    assert one.provider.endswith("test_loading.Plain")
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_of_a_secret_only_a_digest_is_told() -> None:
    options = {"api_key": "sk-1", "max_tokens": 5, "headers": {"Authorization": "Bearer sk-2"}}
    info = describe(Plain(), options)
    assert "sk-" not in str(info)
    assert info.settings["max_tokens"] == 5
    assert info.fingerprint != describe(Plain(), {**options, "api_key": "sk-3"}).fingerprint
