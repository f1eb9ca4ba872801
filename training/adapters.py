"""LoRA fine-tuning of the Gemma classifier on the very thing it is asked for: SAFE or TOXIC as the first answer token.

The loss is the cross-entropy over the two labels' logits after the classifier's own prompt. The prompt's fixed beginning is
read once a piece and shared by its texts, gradients included, which is exact and saves most of the work.
The same code runs on one CPU and, under ``accelerate launch``, on many GPUs.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from classifiers.errors import ConflictError, InputError, ProviderError
from classifiers.loading import need
from classifiers.providers.gemma import NO_ADAPTER, GemmaClassifier
from classifiers.scoring import cut_head
from training.data import Row, balanced, digest_of
from training.judging import judging
from training.recipes import Recipe, epoch_batches, going_on

ADAPTER, CHECKPOINT, LOSSES, ABOUT = "adapter", "checkpoint.pt", "losses.jsonl", "training.json"
CLIP = 1.0  # of the gradient's norm


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was made: its number from 1, of how many; ``tuning_loss`` where the tuning rows were looked at."""

    number: int
    of: int
    loss: float
    seconds: float
    tuning_loss: float | None = None


def train(recipe: Recipe, rows: Sequence[Row], tuning: Sequence[Row], folder: Path) -> Generator[Step, None, None]:
    """Trains step by step, for as long as it is pulled; the end leaves the best adapter in ``folder / "adapter"``. Who closes it
    before leaves a checkpoint.

    A folder with a checkpoint of the same training goes on from there, to the same losses. Raises InputError for rows that
    nothing can be learnt from, ConflictError when the folder holds another training, ProviderError as the classifier does, and
    when the loss is no number any more.
    """
    training = _Training(recipe, rows, tuning, folder)
    training.begin()
    while training.number < training.last and training.stale < recipe.patience:
        step = training.advance()
        try:
            yield step
        except GeneratorExit:
            training.save()
            raise
    training.save_adapter()


def losses(folder: Path) -> list[dict[str, Any]]:
    """What each step of a training gave, from its log."""
    log = folder / LOSSES
    return [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []


class _Training:
    """A training on its way. Rows become token ids once; a row's weight has its label's in it."""

    def __init__(self, recipe: Recipe, rows: Sequence[Row], tuning: Sequence[Row], folder: Path) -> None:
        self.torch = need("torch", feature="Training")
        if recipe.start and going_on(recipe, Path(recipe.start)) != recipe:
            raise InputError(
                f"The adapter {recipe.start} has changed, or the recipe asks for another base model, rank, alpha, modules or "
                "layers than it has. Leave those out, or start without it."
            )
        self.recipe, self.folder = recipe, folder
        by_label = balanced(rows) if recipe.balance else {True: 1.0, False: 1.0}
        balanced(tuning)  # a tuning set of one label would choose what knows no other
        self.about = {"recipe": asdict(recipe), "rows": digest_of(rows), "tuning": digest_of(tuning)}
        self.number, self.stale, self.best_loss = 0, 0, float("inf")
        self.accelerator = need("accelerate", feature="Training").Accelerator(
            cpu=recipe.device == "cpu", mixed_precision=self._mixed_precision()
        )
        device = str(self.accelerator.device) if recipe.device == "auto" else recipe.device
        self.classifier = GemmaClassifier(
            recipe.base_model, adapter_path=NO_ADAPTER, revision=recipe.revision, device=device, dtype=recipe.dtype,
            quantization=recipe.quantization, threads=recipe.threads,
        )  # fmt: skip
        self.rows, self.tuning = self._read(rows, by_label), self._read(tuning, by_label)
        self.per_epoch = -(-len(rows) // recipe.batch)
        self.steps, self.last = recipe.schedule(len(rows)), recipe.steps(len(rows))
        if recipe.batch < recipe.accumulation * self.accelerator.num_processes:
            raise InputError("A step needs at least one text for each piece of each process: raise batch.")
        self.best: dict[str, Any] = {}

    def begin(self) -> None:
        """Loads the model, and the checkpoint if there is one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._same_training()
        model = self._with_lora()
        self.parameters = [each for each in model.parameters() if each.requires_grad]
        optimizer = self.torch.optim.AdamW(self.parameters, lr=self.recipe.learning_rate, weight_decay=0.0)
        judge = judging(self.torch, model, self.classifier.prompt.prefix)
        self.peft, self.best = model, self._weights(model)
        self.judge, self.optimizer = self.accelerator.prepare(judge, optimizer)
        if (self.folder / CHECKPOINT).is_file():
            self._resume()
        elif self.recipe.start:  # what it starts from is kept unless something better comes of it
            self._look()
        self._keep_losses()

    def advance(self) -> Step:
        start = time.perf_counter()
        loss = self._learn(self._batch(self.number))
        self.number += 1
        looked = None
        if self.number % self.recipe.look_every == 0 or self.number == self.last:
            looked = self._look()
        if not math.isfinite(loss) or not math.isfinite(looked or 0.0):
            raise ProviderError(
                f"The loss of step {self.number} is no number any more: the training ran away. Lower learning_rate, or train "
                "in float32."
            )
        step = Step(self.number, self.last, loss, time.perf_counter() - start, looked)
        self._log(step)
        if self.number % self.recipe.save_every == 0 or self.number == self.last:
            self.save()
        return step

    def save_adapter(self) -> None:
        """The best weights as PEFT writes them, in an order that does not change from one process to the next."""
        if not self.accelerator.is_main_process:
            return
        target = self.folder / ADAPTER
        self._put(self.best)
        self.peft.peft_config["default"].base_model_name_or_path = self.recipe.base_model
        self.peft.save_pretrained(str(target), save_embedding_layers=False)
        settings = target / "adapter_config.json"
        stated = json.loads(settings.read_text())
        stated["target_modules"] = sorted(stated["target_modules"])
        settings.write_text(json.dumps(stated, indent=2, sort_keys=True) + "\n")

    def _mixed_precision(self) -> str:
        """Half precision on GPUs; on a CPU the weights' own precision is what computes."""
        if self.recipe.device == "cpu" or not self.torch.cuda.is_available() or self.recipe.dtype == "float32":
            return "no"
        return "bf16" if self.torch.cuda.is_bf16_supported() and self.recipe.dtype != "float16" else "fp16"

    def _read(self, rows: Sequence[Row], by_label: dict[bool, float]) -> list[tuple[list[int], bool, float]]:
        tail = list(self.classifier.prompt.tail)
        return [
            ([*self.classifier.token_ids(row.text)[: self.recipe.max_tokens], *tail], row.toxic, row.weight * by_label[row.toxic])
            for row in rows
        ]  # fmt: skip

    def _with_lora(self) -> Any:
        peft, recipe = need("peft", feature="Training"), self.recipe
        prompt = self.classifier.prompt
        model = self.classifier.local.load()
        cut_head(self.torch, model, prompt.labels)
        layers = model.config.get_text_config().num_hidden_layers
        if not 0 <= recipe.from_layer < layers:
            raise InputError(f"The model has {layers} layers; from_layer must be below that.")
        self.torch.manual_seed(recipe.seed)
        config = peft.LoraConfig(
            r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=list(recipe.modules),
            layers_to_transform=list(range(recipe.from_layer, layers)), task_type="CAUSAL_LM",
        )  # fmt: skip
        try:
            made = peft.get_peft_model(model, config)
        except ValueError as error:
            raise ProviderError(f"LoRA does not fit {recipe.base_model}: {error}") from error
        if recipe.start:
            _start_from(peft, made, recipe.start)
        return made

    def _same_training(self) -> None:
        about = self.folder / ABOUT
        text = json.dumps(self.about, indent=2, sort_keys=True)
        if about.is_file() and about.read_text() != text:
            raise ConflictError(f"{self.folder} holds a training of other rows or another recipe. Name another folder.")
        _replace(about, text)

    @cached_property
    def _lengths(self) -> list[int]:
        return [len(ids) for ids, _, _ in self.rows]

    def _batch(self, number: int) -> list[tuple[list[int], bool, float]]:
        epoch, at = divmod(number, self.per_epoch)
        if epoch != getattr(self, "_epoch", None):
            self._epoch = epoch
            self._batches = epoch_batches(self._lengths, self.recipe.batch, seed=self.recipe.seed, epoch=epoch)
        return [self.rows[place] for place in self._batches[at]]

    def _learn(self, batch: list[tuple[list[int], bool, float]]) -> float:
        """One step: gradients of the batch's weighted mean loss, whatever pieces and processes it is cut into."""
        accelerator, pieces = self.accelerator, self.recipe.accumulation
        self.torch.manual_seed((self.recipe.seed << 20) + self.number)  # dropout after a resume is as it was
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        self.judge.train()
        total, mine = sum(weight for *_, weight in batch), batch[accelerator.process_index :: accelerator.num_processes]
        loss = 0.0
        for at in range(pieces):
            piece = self._loss(mine[at::pieces], self.recipe.smoothing) / total
            if at < pieces - 1:
                with accelerator.no_sync(self.judge):
                    accelerator.backward(piece * accelerator.num_processes)
            else:
                accelerator.backward(piece * accelerator.num_processes)
            loss += piece.detach()
        accelerator.clip_grad_norm_(self.parameters, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return float(accelerator.reduce(loss, "sum"))

    def _rate(self) -> float:
        """Up in a straight line for the warm-up's share of the steps, then down to nothing at the end."""
        warm = max(1.0, self.recipe.warmup * self.steps)
        rise, fall = (self.number + 1) / warm, (self.steps - self.number) / max(1.0, self.steps - warm)
        return self.recipe.learning_rate * min(1.0, rise, fall)

    def _loss(self, rows: Sequence[tuple[list[int], bool, float]], smoothing: float = 0.0) -> Any:
        """The sum of the rows' weighted losses."""
        torch, device = self.torch, self.classifier.local.placement.device
        width = max(len(ids) for ids, *_ in rows)
        ids = torch.tensor([row + [0] * (width - len(row)) for row, *_ in rows], device=device)
        last = torch.tensor([len(row) - 1 for row, *_ in rows], device=device)
        toxic = torch.tensor([int(toxic) for _, toxic, _ in rows], device=device)
        weights = torch.tensor([weight for *_, weight in rows], device=device)
        each = torch.nn.functional.cross_entropy(
            self.judge(ids, last).float(), toxic, reduction="none", label_smoothing=smoothing
        )
        return (each * weights).sum()

    def _look(self) -> float:
        """The loss on the tuning rows; the weights are kept if it is the lowest so far."""
        self.judge.eval()
        rows = sorted(self.tuning, key=lambda row: len(row[0]))
        size = self.recipe.batch
        with self.torch.no_grad():
            summed = sum(float(self._loss(rows[at : at + size])) for at in range(0, len(rows), size))
        loss = summed / sum(weight for *_, weight in rows)
        self.stale += 1
        if loss < self.best_loss:
            self.best_loss, self.stale, self.best = loss, 0, self._weights(self.peft)
        return loss

    def _weights(self, model: Any) -> dict[str, Any]:
        return {name: each.detach().cpu().clone() for name, each in model.named_parameters() if each.requires_grad}

    def _put(self, weights: dict[str, Any]) -> None:
        with self.torch.no_grad():
            for name, each in self.peft.named_parameters():
                if each.requires_grad:
                    each.copy_(weights[name])

    def save(self) -> None:
        """Beside the old one and then in its place, so that a kill leaves one that is whole."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "number": self.number, "stale": self.stale, "best_loss": self.best_loss, "best": self.best,
            "weights": self._weights(self.peft), "optimizer": self.optimizer.state_dict(),
        }  # fmt: skip
        fresh = self.folder / f".{CHECKPOINT}"
        self.torch.save(state, fresh)
        os.replace(fresh, self.folder / CHECKPOINT)

    def _resume(self) -> None:
        state = self.torch.load(self.folder / CHECKPOINT, map_location="cpu", weights_only=True)
        self.number, self.stale, self.best_loss = state["number"], state["stale"], state["best_loss"]
        self.best = state["best"]
        self._put(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _keep_losses(self) -> None:
        """The log up to the checkpoint: what came after it is made again."""
        if self.accelerator.is_main_process:
            kept = [json.dumps(line) for line in losses(self.folder) if line["step"] <= self.number]
            _replace(self.folder / LOSSES, "".join(f"{line}\n" for line in kept))

    def _log(self, step: Step) -> None:
        if self.accelerator.is_main_process:
            line = {"step": step.number, "loss": step.loss, "tuning_loss": step.tuning_loss}
            with (self.folder / LOSSES).open("a") as log:
                log.write(json.dumps(line) + "\n")


def _start_from(peft: Any, model: Any, adapter: str) -> None:
    """Copies the weights of an adapter into the model's own."""
    stored = peft.load_peft_weights(adapter, device="cpu")
    placed = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    if {name: each.shape for name, each in stored.items()} != {name: each.shape for name, each in placed.items()}:
        raise ProviderError(f"The weights of the adapter {adapter} do not fit its settings. Start without it.")
    peft.set_peft_model_state_dict(model, stored)


def _replace(path: Path, text: str) -> None:
    """Beside it and then in its place, so that a kill leaves one that is whole."""
    fresh = path.with_name(f".{path.name}")
    fresh.write_text(text)
    os.replace(fresh, path)
