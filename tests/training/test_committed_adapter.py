"""The adapter that comes with the project: its card tells of these very files, and its recipe is the committed one."""

from __future__ import annotations

import json
from pathlib import Path

from classifiers.models import folder_digest
from classifiers.providers.gemma import GemmaClassifier
from training.embedded import RECIPE

ADAPTER = Path(__file__).parents[2] / "classifiers/adapters/embedded"


def test_its_card_tells_of_these_files_and_its_notice_stands_beside_them() -> None:
    card = (ADAPTER / "README.md").read_text()
    assert folder_digest(ADAPTER) in card
    assert "license: gemma" in card
    assert "train_adapter" in card
    assert "prohibited_use_policy" in (ADAPTER / "NOTICE").read_text()


def test_it_was_made_by_the_committed_recipe_for_the_embedded_model() -> None:
    config = json.loads((ADAPTER / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == RECIPE.base_model == "embedded"
    assert (config["r"], config["lora_alpha"]) == (RECIPE.rank, RECIPE.alpha)
    assert sorted(config["target_modules"]) == sorted(RECIPE.modules)
    assert min(config["layers_to_transform"]) == RECIPE.from_layer
    assert GemmaClassifier("embedded", adapter_path=ADAPTER).adapter == ADAPTER
