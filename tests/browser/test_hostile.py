"""Ten thousand texts that attack whoever reads them, each shown in Chromium by the desk's own templates: nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from classifiers.types import Stage
from review.models import Claim, Draft, Preferences, Queue, QueueItem, Review
from runs.models import Result, Run, Verdict
from tests.browser.accessibility import overflows
from tests.browser.conftest import Login
from tests.browser.hostile import assert_nothing_ran, hostile_payloads
from tests.browser.test_desk import settled
from tests.review.conftest import Cast, cast, make_queue  # noqa: F401  fixtures

PAYLOADS = 10_000
EACH = 5  # stand on the desk with each result
AT_ONCE = 3  # results in the making at a time
# Fetches results in turn into a place of its own, as htmx does with every part of a page, and looks at each: which
# payloads stand there (each ends with its number), whether the page grew sideways, whether the buttons can be reached.
SHOW = """
async ([claims, slot]) => {
    const place = document.body.querySelector(`#slot-${slot}`) ?? document.createElement("div");
    place.id = `slot-${slot}`;
    document.getElementById("desk").after(place);
    const found = { numbers: [], wide: [], covered: [] };
    for (const claim of claims) {
        await htmx.ajax("GET", `/admin/review/queue/claim/${claim}/`, { source: place, target: place, swap: "innerHTML" });
        const texts = [...place.querySelectorAll(".text-box, .found li, textarea")].map(
            (each) => each.matches("li") ? each.textContent.trimEnd() : (each.value ?? each.textContent));
        found.numbers.push(...texts.map((text) => Number(/ #(\\d+)$/.exec(text)?.[1] ?? -1)));
        const root = document.documentElement;
        if (root.scrollWidth > root.clientWidth) found.wide.push(claim);
        const buttons = [...place.querySelectorAll("fieldset.labels, .send")];
        const seen = (button) => button.checkVisibility() && button.getBoundingClientRect().right <= root.clientWidth;
        if (buttons.length !== 3 || !buttons.every(seen)) found.covered.push(claim);
        place.replaceChildren();
    }
    return found;
}
"""


@pytest.fixture
def hostile_claims(cast: Cast, make_queue: Callable[..., Queue], done_run: Callable[..., Run]) -> list[int]:  # noqa: F811
    """Results in Ruth's hand: their prompts, answers, notes and the machine's reasons are the payloads."""
    run = done_run(["the first"])
    queue, number, now = make_queue(run), PAYLOADS // EACH, timezone.now()
    payloads = sorted(hostile_payloads(PAYLOADS), key=len)  # of reasons the page shows 300 characters
    reasons, notes, texts = payloads[: 2 * number], payloads[2 * number : 3 * number], payloads[3 * number :]
    results = Result.objects.bulk_create(
        Result(run=run, position=n + 1, prompt=prompt, answer=answer, input_label="SAFE", created_at=now)
        for n, (prompt, answer) in enumerate(zip(texts[::2], texts[1::2], strict=True))
    )
    Verdict.objects.bulk_create(
        Verdict(result=result, stage=stage, check_name="fake", label="SAFE", reason=reason)
        for stage, said in zip(Stage, (reasons[::2], reasons[1::2]), strict=True)
        for result, reason in zip(results, said, strict=True)
    )
    items = QueueItem.objects.bulk_create(
        QueueItem(queue=queue, result=result, needed=1, claimed=1, order=0.5) for result in results
    )
    Draft.objects.bulk_create(
        Draft(item=item, reviewer=cast.ruth, key=f"d{item.pk}", note=note)
        for item, note in zip(items, notes, strict=True)
    )
    until = now + timedelta(hours=1)
    claims = Claim.objects.bulk_create(Claim(item=item, reviewer=cast.ruth, expires_at=until) for item in items)
    return [claim.pk for claim in claims]


@pytest.mark.slow
def test_ten_thousand_payloads_on_the_desk(
    cast: Cast,  # noqa: F811
    login: Login,
    hostile_claims: list[int],
) -> None:
    Preferences.objects.create(user=cast.ruth, mask="none")
    page = login(cast.ruth)
    page.goto(f"/admin/review/queue/{Queue.objects.get().pk}/next/")
    settled(page)
    page.evaluate(f"void (window.show = {SHOW})")
    shares = [hostile_claims[slot::AT_ONCE] for slot in range(AT_ONCE)]
    found = page.evaluate("(shares) => Promise.all(shares.map((claims, slot) => show([claims, slot])))", shares)
    numbers = {number for each in found for number in each["numbers"]}
    assert numbers == set(range(PAYLOADS))
    assert [claim for each in found for claim in (*each["wide"], *each["covered"])] == []
    assert_nothing_ran(page)


def test_hostile_names_notes_and_reasons_on_the_reviewers_pages(
    cast: Cast,  # noqa: F811
    login: Login,
    make_queue: Callable[..., Queue],  # noqa: F811
    done_run: Callable[..., Run],
) -> None:
    """What people write is no more trusted than what models do."""
    Preferences.objects.create(user=cast.ruth, mask="none")
    texts = [text for text in hostile_payloads(400, large=0) if len(text) < 200][:60]
    run = done_run([f"Question {n}?" for n in range(8)])
    queue = make_queue(run, name=texts[0], instructions="\n".join(texts))
    User.objects.filter(username="rob").update(username=texts[1][:150], first_name=texts[2][:150])
    for verdict, text in zip(Verdict.objects.all(), texts[3:], strict=False):
        Verdict.objects.filter(pk=verdict.pk).update(reason=text, check_name=text[:100], flagged=[text])
    items = list(queue.items.all())
    for item, text in zip(items[:3], texts[30:], strict=False):
        said = {"result": item.result, "item": item, "reviewer": cast.ruth, "digest": "", "key": text[:64]}
        Review.objects.create(**said, stage="INPUT", label="SAFE", note=text, categories=[text[:100]])
        Claim.objects.create(item=item, reviewer=cast.ruth, state="DONE", reason=text, given_by=text)
        QueueItem.objects.filter(pk=item.pk).update(done=1, state="CLOSED")
    page = login(cast.ruth)
    pages = ["queue/work/", f"queue/{queue.pk}/next/", "review/mine/", f"review/{Review.objects.first().pk}/correct/"]
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        for path in pages:
            page.goto(f"/admin/review/{path}")
            assert not overflows(page), (path, width)
            assert_nothing_ran(page)
