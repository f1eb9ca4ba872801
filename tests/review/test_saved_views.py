"""Filters under a name: one's own, and those that leads share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from review import saved
from review.models import SavedView
from tests.review.conftest import Cast

FLAGGED = {"flagged": "true"}


@pytest.fixture
def visit(client: Client, cast: Cast) -> Callable[..., Any]:
    def go(who: str, name: str, *args: Any, post: dict[str, Any] | None = None, **query: Any) -> Any:
        client.force_login(cast[who])
        address = reverse(f"admin:review_{name}", args=args)
        return client.get(address, query) if post is None else client.post(address, post)

    return go


@pytest.fixture
def view(cast: Cast) -> SavedView:
    """Lena's own."""
    return saved.save_view("Flagged", FLAGGED, owner=cast.lena)


class TestSaving:
    def test_a_view_is_a_link_beside_the_results(self, visit: Callable[..., Any], cast: Cast) -> None:
        response = visit("axel", "savedview_add", post={**FLAGGED, "view-name": "Mine"})
        assert response.headers["Location"] == f"{reverse('admin:runs_result_changelist')}?flagged=true"
        part = visit("axel", "result_actions", **FLAGGED).content.decode()
        assert 'aria-current="page">Mine</a>' in part
        assert "Save the view" not in part
        assert "Save the view" in visit("axel", "result_actions", flagged="false").content.decode()
        assert "Mine" not in visit("lena", "result_actions").content.decode()

    def test_a_lead_shares_one_with_all(self, visit: Callable[..., Any]) -> None:
        visit("lena", "savedview_add", post={**FLAGGED, "view-name": "Ours", "view-shared": "on"})
        assert "Ours" in visit("axel", "result_actions").content.decode()

    def test_nobody_else_shares(self, visit: Callable[..., Any]) -> None:
        response = visit("axel", "savedview_add", post={**FLAGGED, "view-name": "Ours", "view-shared": "on"})
        assert response.status_code == 403
        assert not SavedView.objects.exists()

    @pytest.mark.parametrize("name", ["ruth", "sara", "nora"])
    def test_who_sees_no_results_has_no_views_of_them(self, visit: Callable[..., Any], cast: Cast, name: str) -> None:
        shared = saved.save_view("Ours", FLAGGED, owner=cast.lena, shared=True)
        sent = {"name": "Mine", "view-name": "Mine", "version": 1, **FLAGGED}
        answers = [
            visit(name, "savedview_changelist"),
            visit(name, "savedview_change", shared.pk),
            visit(name, "savedview_add", post=sent),
            visit(name, "savedview_change", shared.pk, post=sent),
            visit(name, "savedview_delete", shared.pk, post=sent),
        ]
        assert {answer.status_code for answer in answers} == {403}
        assert SavedView.objects.get().name == "Ours"

    @pytest.mark.parametrize(
        ("sent", "status", "sentence"),
        [
            ({"view-name": ""}, 400, "needs a name"),
            ({"view-name": "x" * 101}, 400, "needs a name"),
            ({"view-name": "a\0b"}, 400, "needs a name"),
            ({"flagged": ""}, 400, "no filter here to be saved"),
            ({"flagged": "maybe"}, 400, "It is one of: true, false."),
            ({"view-name": "Flagged"}, 409, "with this name already"),
        ],
    )
    def test_what_cannot_be_is_said(
        self, visit: Callable[..., Any], view: SavedView, sent: dict[str, str], status: int, sentence: str
    ) -> None:
        response = visit("lena", "savedview_add", post={**FLAGGED, "view-name": "New", **sent})
        assert response.status_code == status
        assert sentence in response.content.decode()
        assert SavedView.objects.get() == view

    def test_two_people_may_use_the_same_name(self, view: SavedView, cast: Cast) -> None:
        assert saved.save_view("Flagged", FLAGGED, owner=cast.axel)


class TestChanging:
    def test_the_owner_renames_and_shares(self, visit: Callable[..., Any], view: SavedView) -> None:
        sent = {"name": "Toxic", "shared": "on", "version": 1}
        assert visit("lena", "savedview_change", view.pk, post=sent).status_code == 302
        view.refresh_from_db()
        assert (view.name, view.shared, view.version) == ("Toxic", True, 2)

    def test_a_stale_form_gets_both_values(self, visit: Callable[..., Any], view: SavedView) -> None:
        visit("lena", "savedview_change", view.pk, post={"name": "First", "version": 1})
        response = visit("lena", "savedview_change", view.pk, post={"name": "Second", "version": 1})
        page = response.content.decode()
        assert response.status_code == 409
        assert "<td>First</td>" in page
        assert "<td>Second</td>" in page
        assert SavedView.objects.get().name == "First"

    def test_a_stale_view_is_not_deleted(self, visit: Callable[..., Any], view: SavedView) -> None:
        visit("lena", "savedview_change", view.pk, post={"name": "First", "version": 1})
        response = visit("lena", "savedview_delete", view.pk, post={"version": 1})
        assert response.status_code == 409
        assert "First" in response.content.decode()
        assert SavedView.objects.exists()

    def test_the_owner_deletes_it(self, visit: Callable[..., Any], view: SavedView) -> None:
        assert visit("lena", "savedview_delete", view.pk, post={"version": 1}).status_code == 302
        assert not SavedView.objects.exists()
        assert visit("lena", "savedview_change", view.pk).status_code == 404
        actions = AuditEvent.objects.filter(action__startswith="view.").order_by("sequence")
        assert [event.action for event in actions] == ["view.saved", "view.deleted"]

    def test_a_name_that_is_taken_is_told_beside_the_field(
        self, visit: Callable[..., Any], view: SavedView, cast: Cast
    ) -> None:
        saved.save_view("Other", {"flagged": "false"}, owner=cast.lena)
        response = visit("lena", "savedview_change", view.pk, post={"name": "Other", "version": 1})
        assert response.status_code == 409
        assert "with this name already" in response.content.decode()

    def test_what_is_shared_is_changed_by_its_owner_alone(self, cast: Cast) -> None:
        shared = saved.save_view("Ours", FLAGGED, owner=cast.lena, shared=True)
        with pytest.raises(ForbiddenError, match="Only its owner"):
            saved.update_view(shared, name="Mine", shared=True, version=1, by=cast.anna)
        with pytest.raises(ForbiddenError, match="Only its owner"):
            saved.delete_view(shared, version=1, by=cast.anna)

    def test_what_is_not_shared_is_not_there_for_others(
        self, visit: Callable[..., Any], view: SavedView, cast: Cast
    ) -> None:
        with pytest.raises(NotFoundError):
            saved.find_view(view.pk, person=cast.anna)
        assert visit("anna", "savedview_change", view.pk).status_code == 404

    def test_whoever_leads_no_more_keeps_a_shared_view_but_shares_no_new_one(self, cast: Cast, view: SavedView) -> None:
        shared = saved.save_view("Ours", FLAGGED, owner=cast.lena, shared=True)
        cast.lena.groups.clear()
        cast.lena.groups.add(cast.axel.groups.get())
        lena = type(cast.lena).objects.get(pk=cast.lena.pk)
        assert saved.update_view(shared, name="Still", shared=True, version=1, by=lena).shared
        with pytest.raises(ForbiddenError, match="share views"):
            saved.update_view(view, name="Flagged", shared=True, version=1, by=lena)

    def test_it_was_deleted_meanwhile(self, cast: Cast, view: SavedView) -> None:
        SavedView.objects.all().delete()
        with pytest.raises(NotFoundError, match="deleted meanwhile"):
            saved.update_view(view, name="x", shared=False, version=1, by=cast.lena)


def test_old_filters_are_told_and_new_ones_refused(cast: Cast, view: SavedView) -> None:
    assert saved.in_words(FLAGGED) == "flagged"
    assert "There is no filter" in saved.in_words({"colour": "red"})
    with pytest.raises(InputError, match="There is no filter"):
        saved.save_view("Red", {"colour": "red"}, owner=cast.lena)


def test_a_name_is_unique_even_at_the_same_moment(cast: Cast, view: SavedView) -> None:
    with pytest.raises(ConflictError, match="name already"):
        saved.save_view("Flagged", {"errors": "true"}, owner=cast.lena)
    assert SavedView.objects.get().filters == FLAGGED
