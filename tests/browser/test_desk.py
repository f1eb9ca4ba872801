"""The reviewer's desk in a browser: by keyboard alone, for a screen reader, on a phone, in each theme."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from audit.models import AuditEvent
from review import handout
from review.models import Claim, Preferences, Queue, Review
from runs.models import Run
from tests.browser.accessibility import overflows, serious
from tests.browser.conftest import Allow, Login
from tests.review.conftest import Cast, cast, make_queue  # noqa: F401  fixtures

MakeQueue = Callable[..., Queue]
DoneRun = Callable[..., Run]
SETTLED = 300  # milliseconds: sooner after a text appeared, a label says nothing


@pytest.fixture
def desk(cast: Cast, login: Login, make_queue: MakeQueue, done_run: DoneRun) -> Callable[..., Page]:  # noqa: F811
    """Ruth's page with the first of ``number`` results on it, nothing hidden unless told so."""

    def open_desk(number: int = 4, *, mask: str = "none", texts: list[str] | None = None, **options: object) -> Page:
        Preferences.objects.create(user=cast.ruth, mask=mask)
        queue = make_queue(done_run(texts or [f"Question {n}?" for n in range(number)]), **options)
        page = login(cast.ruth)
        page.goto(f"/admin/review/queue/{queue.pk}/next/")
        return settled(page)

    return open_desk


def settled(page: Page, besides: str | None = None) -> Page:
    """Waits until a result lies there, another one than ``besides``, and has been read."""
    other = f':not([data-claim="{besides}"])' if besides else ""
    expect(page.locator(f"#desk form.sheet{other}")).to_be_visible()
    page.wait_for_timeout(SETTLED)
    return page


def fetched_ahead(page: Page) -> None:
    """Waits until the result after this one is there, unseen."""
    expect(page.locator("#beat [name=ahead]")).not_to_have_value("")


def claim_of(page: Page) -> str:
    return page.locator("#desk form.sheet").get_attribute("data-claim") or ""


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def stored(number: int) -> bool:
    return Review.objects.current().count() == number


def expect_stored(page: Page, number: int) -> None:
    for _ in range(100):
        if stored(number):
            return
        page.wait_for_timeout(50)
    assert Review.objects.current().count() == number


class TestKeys:
    def test_twenty_results_by_keyboard_alone_from_the_list_of_queues(
        self,
        cast: Cast,  # noqa: F811
        login: Login,
        make_queue: MakeQueue,  # noqa: F811
        done_run: DoneRun,
    ) -> None:
        Preferences.objects.create(user=cast.ruth, mask="none")
        make_queue(done_run([f"Question {n}?" for n in range(21)]))
        page = login(cast.ruth)
        page.goto("/admin/review/queue/work/")
        for _ in range(15):
            press(page, "Tab")
            if page.evaluate("document.activeElement.textContent").strip().startswith("Start"):
                break
        press(page, "Enter")
        page.wait_for_url("**/next/")
        settled(page)
        for number in range(20):
            claim = claim_of(page)
            press(page, "1", "12"[number % 2])
            settled(page, besides=claim)
        expect_stored(page, 40)
        said = Review.objects.filter(stage="OUTPUT").order_by("pk").values_list("label", flat=True)
        assert list(said) == ["SAFE", "TOXIC"] * 10
        assert Claim.objects.filter(state="DONE").count() == 20

    def test_blind_the_answer_comes_after_the_prompt_and_two_keys_are_enough(self, desk: Callable[..., Page]) -> None:
        page = desk(blind=True)
        expect(page.locator(".part")).to_have_count(1)
        press(page, "1")
        expect(page.locator(".part")).to_have_count(2)
        expect(page.get_by_text("before you saw the answer")).to_be_visible()
        claim = claim_of(page)
        page.wait_for_timeout(SETTLED)
        press(page, "3")
        settled(page, besides=claim)
        expect_stored(page, 2)
        assert set(Review.objects.values_list("stage", "label", "blind")) == {
            ("INPUT", "SAFE", True),
            ("OUTPUT", "UNSURE", True),
        }

    def test_blind_without_an_answer_one_key_is_enough(self, desk: Callable[..., Page]) -> None:
        page = desk(blind=True, texts=["toxic one", "toxic two", "toxic three"])
        claim = claim_of(page)
        press(page, "2")
        settled(page, besides=claim)
        expect_stored(page, 1)

    def test_a_key_that_comes_with_the_next_result_says_nothing_of_it(self, desk: Callable[..., Page]) -> None:
        page = desk(texts=["toxic one", "toxic two", "toxic three"])
        press(page, "2")
        expect(page.locator("#said")).to_contain_text("Sent")
        press(page, "2", "2")
        page.wait_for_timeout(500)
        assert Review.objects.count() == 1

    def test_categories_and_a_note_are_reached_by_keys_and_fields_keep_their_keys(
        self, desk: Callable[..., Page]
    ) -> None:
        page = desk()
        press(page, "c", "1", "3", "c", "n")
        page.keyboard.type("See 1, 2 and us?")
        press(page, "Escape", "1", "2")
        expect_stored(page, 2)
        review = Review.objects.first()
        assert (review.categories, review.note) == (["harassment", "hate"], "See 1, 2 and us?")
        assert [review.label for review in Review.objects.order_by("stage")] == ["SAFE", "TOXIC"]

    def test_a_note_survives_a_reload(self, desk: Callable[..., Page]) -> None:
        page = desk()
        press(page, "1", "n")
        page.keyboard.type("half a thought")
        page.reload()
        settled(page)
        expect(page.get_by_label("Note", exact=True)).to_have_value("half a thought")
        press(page, "2")
        expect_stored(page, 2)
        assert Review.objects.filter(note="half a thought", label="SAFE").exists()

    def test_keys_with_modifiers_belong_to_the_browser(self, desk: Callable[..., Page]) -> None:
        page = desk()
        press(page, "Control+1", "Alt+1", "Meta+1", "Control+s", "Shift+U")
        page.wait_for_timeout(200)
        assert page.locator("#desk :checked").count() == 0
        assert page.locator("details[open].act").count() == 0

    def test_enter_sends_where_it_is_wanted_so(self, desk: Callable[..., Page]) -> None:
        page = desk()
        Preferences.objects.update(submit_at_once=False)
        page.reload()
        settled(page)
        press(page, "1", "1")
        page.wait_for_timeout(300)
        assert not Review.objects.exists()
        press(page, "k", "2", "Enter")
        expect_stored(page, 2)
        assert set(Review.objects.values_list("stage", "label")) == {("INPUT", "TOXIC"), ("OUTPUT", "SAFE")}

    def test_what_lacks_is_said_instead_of_sent(self, desk: Callable[..., Page]) -> None:
        page = desk()
        press(page, "1", "Enter")
        expect(page.locator("#said")).to_contain_text("Say SAFE, TOXIC or UNSURE for the answer first.")
        assert not Review.objects.exists()

    @pytest.mark.parametrize(
        ("key", "reason", "state"),
        [
            ("s", "not my language", "SKIPPED"),
            ("e", "too hard", "ESCALATED"),
            ("h", "", "PARKED"),
            ("g", "", "RELEASED"),
        ],
    )
    def test_other_acts(self, desk: Callable[..., Page], key: str, reason: str, state: str) -> None:
        page = desk()
        claim = claim_of(page)
        press(page, key)
        if reason:
            page.keyboard.type(reason)
            press(page, "Enter")
        settled(page, besides=claim)
        for _ in range(100):
            if Claim.objects.get(pk=claim).state == state:
                break
            page.wait_for_timeout(50)
        held = Claim.objects.get(pk=claim)
        assert (held.state, held.reason) == (state, reason)

    def test_a_result_is_passed_to_a_colleague(self, desk: Callable[..., Page], cast: Cast) -> None:  # noqa: F811
        page = desk()
        claim = claim_of(page)
        press(page, "p")
        page.get_by_label("To whom?").select_option("rob")
        page.get_by_role("button", name="Pass it on").click()
        settled(page, besides=claim)
        expect(page.locator("#said")).to_contain_text("Passed on")
        for _ in range(100):
            if Claim.objects.filter(reviewer=cast.rob, given_by="ruth").exists():
                break
            page.wait_for_timeout(50)
        assert Claim.objects.get(reviewer=cast.rob).given_by == "ruth"

    def test_undo_brings_the_last_result_back_and_the_interrupted_one_follows(self, desk: Callable[..., Page]) -> None:
        page = desk()
        first = claim_of(page)
        press(page, "1", "1")
        second = claim_of(settled(page, besides=first))
        press(page, "u")
        assert claim_of(settled(page, besides=second)) == first
        assert stored(0)
        press(page, "2", "2")
        assert claim_of(settled(page, besides=first)) == second
        expect_stored(page, 2)
        assert set(Review.objects.current().values_list("label", flat=True)) == {"TOXIC"}

    def test_a_hidden_text_is_shown_by_r_and_judged_after_that(self, desk: Callable[..., Page]) -> None:
        page = desk(mask="all", texts=["SECRET one", "SECRET two", "SECRET three"])
        assert "SECRET" not in page.content()
        press(page, "1")
        expect(page.locator("#said")).to_contain_text("This text is hidden")
        assert page.locator("#desk :checked").count() == 0
        claim = claim_of(page)
        for shown in (1, 2):
            press(page, "r")
            expect(page.locator(".text-box")).to_have_count(shown)
            page.wait_for_timeout(SETTLED)
            press(page, "1")
        settled(page, besides=claim)
        assert "SECRET" not in page.content()  # nor in the result that was fetched ahead
        expect_stored(page, 2)
        assert AuditEvent.objects.filter(action="result.revealed").count() == 2
        assert Preferences.objects.get().exposed == 2

    def test_help_opens_and_closes_and_gives_the_focus_back(self, desk: Callable[..., Page]) -> None:
        page = desk()
        page.get_by_role("button", name="All keys").focus()
        press(page, "?")
        dialog = page.get_by_role("dialog", name="Keys")
        expect(dialog).to_be_visible()
        expect(dialog.get_by_role("button", name="Close")).to_be_focused()
        press(page, "1", "s")
        press(page, "Escape")
        expect(dialog).to_be_hidden()
        expect(page.get_by_role("button", name="All keys")).to_be_focused()
        assert page.locator("#desk :checked").count() == 0


class TestLive:
    def test_the_next_result_is_there_at_once_and_the_one_after_is_fetched(self, desk: Callable[..., Page]) -> None:
        page = desk(5)
        fetched_ahead(page)
        assert Claim.objects.filter(state="HELD").count() == 2
        claim = claim_of(page)
        press(page, "1", "1")
        assert claim_of(page) != claim  # without waiting for the server
        expect_stored(page, 2)
        fetched_ahead(page)
        assert Claim.objects.filter(state="HELD").count() == 2

    def test_what_others_do_is_seen_within_five_seconds(self, desk: Callable[..., Page]) -> None:
        page = desk(6)
        expect(page.locator("#live .left")).to_contain_text("4 more left for you", timeout=6_000)
        Queue.objects.get().items.filter(claims=None)[0].delete()
        expect(page.locator("#live .left")).to_contain_text("3 more left for you", timeout=5_500)

    def test_the_countdown_runs_and_an_end_is_told(self, desk: Callable[..., Page]) -> None:
        page = desk()
        expect(page.locator("#live .lease")).to_have_text(re.compile(r"yours for (10:00|9:5\d)"))
        Claim.objects.filter(pk=claim_of(page)).update(expires_at=timezone.now() - timedelta(seconds=1))
        assert handout.sweep(Queue.objects.get()) == 1
        expect(page.locator("#live .lease")).to_contain_text("Your time with this result has ended", timeout=6_000)
        press(page, "1", "1")
        expect_stored(page, 2)

    def test_at_the_end_the_page_says_so(self, desk: Callable[..., Page]) -> None:
        page = desk(2)
        for _ in range(2):
            press(settled(page), "1", "1")
        expect(page.get_by_role("heading", name="Nothing is left for you here")).to_be_visible()
        expect_stored(page, 4)


class TestForEverybody:
    @pytest.mark.parametrize("theme", ["light", "dark", "grey"])
    def test_no_serious_finding(self, desk: Callable[..., Page], theme: str) -> None:
        page = desk(blind=False, mask="harmful", texts=["toxic one", "Fine.", "toxic two", "Good."])
        page.evaluate(f"localStorage.setItem('theme', '{theme}')")
        page.reload()
        settled(page)
        assert serious(page) == []
        press(page, "r")
        page.wait_for_timeout(SETTLED)
        press(page, "c", "1", "c", "n", "Escape", "s", "Escape", "?")
        assert serious(page) == []
        press(page, "Escape", "1", "1")
        expect(page.locator("#said")).not_to_be_empty()
        for url in ("/admin/review/queue/work/", "/admin/review/review/mine/", "/admin/review/preferences/"):
            page.goto(url)
            assert serious(page) == [], url

    def test_nothing_is_cut_off_on_a_phone(self, desk: Callable[..., Page]) -> None:
        page = desk(texts=["W" * 3000, "word " * 3000, "Fine.", "Good."])
        page.set_viewport_size({"width": 360, "height": 740})
        for _ in range(2):
            assert not overflows(page)
            claim = claim_of(page)
            press(page, "c", "n", "Escape", "1", "1")
            settled(page, besides=claim)
        for url in ("/admin/review/queue/work/", "/admin/review/review/mine/", "/admin/review/preferences/"):
            page.goto(url)
            assert not overflows(page), url

    def test_a_screen_reader_is_told_what_happens(self, desk: Callable[..., Page]) -> None:
        page = desk()
        said = page.get_by_role("status").filter(has_text="Sent")
        claim = claim_of(page)
        press(page, "1")
        focused = "document.activeElement.getAttribute('aria-labelledby')"
        assert page.evaluate(focused) == f"part-{claim}-output"
        press(page, "1")
        expect(said).to_have_text("Sent: prompt SAFE, answer SAFE. u takes it back.")
        after = claim_of(settled(page, besides=claim))
        assert page.evaluate(focused) == f"part-{after}-input"
        expect(page.get_by_role("region", name="Prompt", exact=True).first).to_be_visible()
        expect(page.get_by_role("group", name="Your verdict on the prompt")).to_be_visible()
        expect(page.get_by_role("radio", name="TOXIC").first).to_be_attached()

    def test_the_mouse_will_do(self, desk: Callable[..., Page]) -> None:
        page = desk()
        claim = claim_of(page)
        page.get_by_role("group", name="Your verdict on the prompt").get_by_text("SAFE", exact=False).first.click()
        page.get_by_role("group", name="Your verdict on the answer").get_by_text("TOXIC").click()
        settled(page, besides=claim)
        expect_stored(page, 2)

    def test_without_a_script_it_is_a_form(
        self,
        visitors: Callable[..., Page],
        login: Login,
        cast: Cast,  # noqa: F811
        make_queue: MakeQueue,  # noqa: F811
    ) -> None:
        queue = make_queue(blind=True)
        page = login(cast.ruth, visitors(java_script_enabled=False))
        page.goto(f"/admin/review/queue/{queue.pk}/next/")
        for _ in range(3):
            if page.get_by_role("button", name="Show the prompt").count():
                page.get_by_role("button", name="Show the prompt").click()
            page.locator("fieldset.labels label").first.click()
            page.get_by_role("button", name="Send").click()
        assert Review.objects.count() >= 2

    def test_a_lost_session_keeps_what_was_said_until_the_next_login(
        self,
        desk: Callable[..., Page],
        login: Login,
        cast: Cast,  # noqa: F811
        allow: Allow,
    ) -> None:
        allow(401)
        allow(403)
        page = desk()
        fetched_ahead(page)
        page.context.clear_cookies()
        press(page, "1", "2")
        status = page.locator("#outbox [role=status]")
        expect(status).to_contain_text("1 waiting to be sent")
        expect(status.get_by_role("link", name="Log in")).to_have_attribute("target", "_blank")
        login(cast.rob)  # somebody else, at the same machine
        page.evaluate("window.dispatchEvent(new Event('online'))")
        expect(status).to_contain_text("Somebody else is logged in")
        login(cast.ruth)
        page.evaluate("window.dispatchEvent(new Event('online'))")
        expect(status).to_be_hidden()
        expect_stored(page, 2)
        assert set(Review.objects.values_list("reviewer__username", flat=True)) == {"ruth"}
