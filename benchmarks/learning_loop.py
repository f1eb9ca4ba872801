"""Whether the machine learns a policy of its reviewers: error against it on unseen texts, before and after 300 reviews.

    python -m benchmarks.learning_loop --data ../shared/data [--seed 0] [--reviewed 300] [--unseen 300]

The policy: what demeans women or a group of people is toxic, whatever else is not, however rude. It differs from what the
embedded Gemma's adapter was made for, which flags insults and swearing too. A run judges real texts with that adapter; three
reviewers judge each of them through a queue, by the policy but for one in twenty, where they say the opposite; ``train_adapter
--reviews`` goes on from the adapter; the new one is compared with the old one on other texts, and promoted if the gates let it.

A third of the texts are comments of Wikipedia that insult or swear at somebody, a sixth such that demean a group, a sixth
none of this, a sixth sexist texts of forums and a sixth others from there. None of them was among what the adapter learnt from.
"""

from __future__ import annotations

import argparse
import json
import random
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.setup import ROOT, prepare
from training import embedded, toxicity
from training.data import Row
from training.sources import rows

ADAPTER = ROOT / "classifiers/adapters/embedded"
SHARES = {"insults": 1 / 3, "groups": 1 / 6, "comments": 1 / 6, "sexist": 1 / 6, "forums": 1 / 6}
DEMEANING = {"groups", "sexist"}
WRONG, PEOPLE = 0.05, 3
WANTED = 0.4
LONGEST = 240  # characters of a text, for time
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data", help="the folder of data sets")
    parser.add_argument("--seed", type=int, default=0, help="of the texts drawn, and of what reviewers get wrong")
    parser.add_argument("--reviewed", type=int, default=300)
    parser.add_argument("--unseen", type=int, default=300)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    texts = drawn(options.data, options.reviewed + options.unseen, options.seed)
    reviewed, unseen = texts[: options.reviewed], texts[options.reviewed :]
    folder = prepare()
    use_embedded(options.threads)
    people = reviewers()
    run = judged(folder, [text for text, _ in reviewed])
    review(run, people, dict(reviewed), options.seed)
    adapter = trained(folder, options.threads)
    old, new = compared(adapter, unseen)
    tell([kind for _, kind in unseen], *(evaluation.scores.said[: len(unseen)] for evaluation in (old, new)))
    promote(adapter, old, new)


def drawn(data: Path, count: int, seed: int) -> list[tuple[str, str]]:
    """Texts and their kinds in the shares above, in random order, each once."""
    by_kind: dict[str, list[str]] = {kind: [] for kind in SHARES}
    for text, kind in unlearnt(data).values():
        by_kind[kind].append(text)
    chance = random.Random(seed)
    texts = [
        (text, kind)
        for kind, share in SHARES.items()
        for text in chance.sample(sorted(by_kind[kind]), round(share * count))
    ]
    return chance.sample(texts, len(texts))


def unlearnt(data: Path) -> dict[str, tuple[str, str]]:
    """By key, the short texts whose kind is plain, without what the embedded adapter learnt from or was tuned with."""
    mix = embedded.mix(data)
    known = {row.key for part in ("train", "tune") for row in mix[part]}
    comments = ((text, kind_of(labels)) for part in toxicity.comments(data).values() for text, labels in part)
    found = {Row(text, False).key: (text.strip(), kind) for text, kind in [*comments, *forums(data)] if kind}
    return {key: pair for key, pair in found.items() if key not in known and 3 < len(pair[0]) <= LONGEST}


def kind_of(labels: Sequence[float | None]) -> str:
    """Of a comment by its six labels; threats, and what is called toxic and nothing else, are of no kind."""
    toxic, _, obscene, threat, insult, hate = labels
    if None in labels or threat:
        return ""
    return "groups" if hate else "insults" if insult or obscene else "" if toxic else "comments"


def forums(data: Path) -> list[tuple[str, str]]:
    return [
        (row["text"].replace("[USER]", "").replace("[URL]", ""), "sexist" if row["label_sexist"] == "sexist" else "forums")
        for row in rows(data / "edos-sexism/edos_train_dev.csv")
    ]  # fmt: skip


def use_embedded(threads: int) -> None:
    """Has the alias gemma load the embedded model with its adapter."""
    from django.conf import settings

    options = {
        "base_model": "embedded",
        "adapter_path": str(ADAPTER),
        "device": "cpu",
        "dtype": "float32",
        "threads": threads,
    }
    settings.SAFETY_CLASSIFIERS["gemma"]["OPTIONS"] = options


def reviewers() -> list[Any]:
    from django.contrib.auth.models import Group, User

    from review.roles import ensure_roles

    ensure_roles(actor="benchmark")
    for name in ("lead", *(f"reviewer{number}" for number in range(PEOPLE))):
        role = name.rstrip("0123456789")
        User.objects.create_user(name, is_staff=True).groups.add(Group.objects.get(name=role))
    return list(User.objects.filter(username__startswith="reviewer"))


def judged(folder: Path, texts: Sequence[str]) -> Any:
    from classifiers.sources import PromptSource
    from moderation.services import Choice
    from runs import services
    from runs.configuration import Configuration

    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    run = services.create_run(Configuration(PromptSource(str(file), limit=0), (Choice("gemma"),)), actor="benchmark")
    for _ in services.execute_run(run, actor="benchmark"):
        pass
    return run


def review(run: Any, people: Sequence[Any], kinds: dict[str, str], seed: int) -> None:
    """Everybody judges every result, by the policy but for a few."""
    from django.contrib.auth.models import User

    from classifiers.types import Stage
    from review import handout, queues, services
    from review.models import Queue
    from review.services import Judgement

    queue = Queue(name="loop", filters={"run": str(run.pk)}, needed=PEOPLE, stages="INPUT", gold_percent=0)
    queue = queues.create_queue(queue, by=User.objects.get(username="lead"))
    for person in people:
        chance = random.Random(f"{seed} {person}")
        while claim := handout.claim_next(queue, reviewer=person):
            toxic = (kinds[claim.item.result.prompt] in DEMEANING) is not (chance.random() < WRONG)
            label = "TOXIC" if toxic else "SAFE"
            services.submit(claim, Judgement({Stage.INPUT: label}, key=uuid.uuid4().hex))


def trained(folder: Path, threads: int) -> Any:
    from django.core.management import call_command

    from moderation.models import Adapter

    started = time.process_time()
    call_command(
        "train_adapter", str(folder / "learnt"), "--reviews", "--from-adapter", str(ADAPTER),
        "--device", "cpu", "--dtype", "float32", "--threads", str(threads),
    )  # fmt: skip
    adapter = Adapter.objects.get()
    told = {part: (about["n"], about["toxic"]) for part, about in adapter.training.data.items()}
    print(
        f"trained in {len(adapter.training.losses)} steps, {time.process_time() - started:.0f} s of processor time: {told}"
    )
    return adapter


def compared(adapter: Any, unseen: Sequence[tuple[str, str]]) -> Any:
    """The evaluations of what the alias loads and of the adapter, on the unseen texts and on probes after them."""
    from classifiers.labelled import Labelled
    from classifiers.types import Stage, Subject
    from governance import jobs, promotion
    from governance.services import Data

    rows = [Labelled(Subject(text, Stage.INPUT), kind in DEMEANING) for text, kind in unseen]
    job = promotion.ask(adapter, alias="gemma", data=Data("unseen texts", {}, rows), actor="benchmark")
    while jobs.work(job):
        pass
    return job.evaluations.order_by("pk")


def promote(adapter: Any, old: Any, new: Any) -> None:
    """Ends with what is not met when the gates let it not."""
    from governance import promotion
    from moderation import services as moderation
    from moderation.services import Choice

    for gate in promotion.case(old, new).gates:
        print(f"{'met' if gate.met else 'NOT MET'}: {gate.says}")
    promotion.promote(old, new, note="Learnt from the reviewers", actor="benchmark")
    assert moderation.version_of(Choice("gemma")).adapter_digest == adapter.digest
    print("promoted: the alias loads it from now on")


def tell(kinds: Sequence[str], old: Sequence[Any], new: Sequence[Any]) -> None:
    wrong = [
        [(said.label == "TOXIC") != (kind in DEMEANING) for said, kind in zip(side, kinds, strict=True)]
        for side in (old, new)
    ]
    by_kind: defaultdict[str, list[int]] = defaultdict(list)
    for place, kind in enumerate(kinds):
        by_kind[kind].append(place)
    for kind, places in by_kind.items():
        before, after = (sum(side[place] for place in places) / len(places) for side in wrong)
        print(f"  {kind:10} {len(places):4} texts: {before:.1%} wrong before, {after:.1%} after")
    low, high = interval(wrong)
    before, after = (sum(side) / len(side) for side in wrong)
    print(
        f"error on {len(kinds)} unseen texts {before:.3f} before, {after:.3f} after: it fell by {1 - after / before:.1%} "
        f"[{low:.1%}, {high:.1%}] (wanted {WANTED:.0%}; calling nothing toxic would be wrong in "
        f"{sum(kind in DEMEANING for kind in kinds) / len(kinds):.3f})"
    )


def interval(wrong: Sequence[Sequence[bool]]) -> tuple[float, float]:
    """95 % percentile bootstrap of the fall, old and new resampled together."""
    chance, count = random.Random(0), len(wrong[0])
    falls = []
    for _ in range(RESAMPLES):
        places = chance.choices(range(count), k=count)
        before, after = (sum(side[place] for place in places) for side in wrong)
        falls.append(1 - after / before if before else 0.0)
    falls.sort()
    return falls[round(0.025 * RESAMPLES)], falls[round(0.975 * RESAMPLES) - 1]


if __name__ == "__main__":
    main()
