"""Filters over results under a name: a person's own, and those that a lead shares with all who see results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from audit.services import record
from classifiers.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from classifiers.text import unstorable
from review.models import SavedView
from review.rights import Person, actor, need
from runs import filters

MAX_NAME = 100


def views_of(person: Person) -> QuerySet[SavedView]:
    """Own ones and shared ones."""
    return SavedView.objects.filter(Q(owner=person) | Q(shared=True)).select_related("owner").order_by("name", "pk")


def in_words(stored: Mapping[str, str]) -> str:
    """Filters that were stored, as a person reads them; also those that were stored when there were others."""
    try:
        return filters.in_words(stored)
    except InputError as error:
        return error.message


def find_view(pk: int, *, person: Person) -> SavedView:
    view = views_of(person).filter(pk=pk).first()
    if view is None:
        raise NotFoundError("There is no such view: it may have been deleted, or is somebody else's own.")
    return view


def save_view(name: str, chosen: Mapping[str, str], *, owner: Person, shared: bool = False) -> SavedView:
    """Raises InputError for a filter that is none, ConflictError for a name that this person has used already."""
    _check(owner, name, shared)
    filters.parsed(chosen)
    if not chosen:
        raise InputError("There is no filter here to be saved. Choose some results first.")
    with _named_once():
        view = SavedView.objects.create(name=name, filters=dict(chosen), owner=owner, shared=shared)
        record("view.saved", actor=actor(owner), target=view, data=_shown(view))
    return view


def update_view(view: SavedView, *, name: str, shared: bool, version: int, by: Person) -> SavedView:
    """Renames an own view, shares it or takes it back, as it was seen in ``version``."""
    _check(by, name, shared and not view.shared)
    with _named_once():
        view = _own(view, version=version, by=by, sent=f"{name!r}, {_reach(shared)}")
        before = _shown(view)
        view.name, view.shared, view.version = name, shared, view.version + 1
        view.save()
        record("view.changed", actor=actor(by), target=view, data={"before": before, "after": _shown(view)})
    return view


def delete_view(view: SavedView, *, version: int, by: Person) -> None:
    with transaction.atomic():
        view = _own(view, version=version, by=by, sent="to be deleted")
        record("view.deleted", actor=actor(by), target=view, data=_shown(view))
        view.delete()


def _check(person: Person, name: str, shared: bool) -> None:
    need(person, "runs.view_result", "save views of results")
    if shared:
        need(person, "review.lead", "share views with others")
    if not 0 < len(name.strip()) <= MAX_NAME or unstorable(name):
        raise InputError(f"A view needs a name of 1 to {MAX_NAME} characters of plain text.")


@contextmanager
def _named_once() -> Iterator[None]:
    """A transaction in which one person may give one name once."""
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        raise ConflictError("You have a view with this name already. Choose another name.") from error


def _own(view: SavedView, *, version: int, by: Person, sent: str) -> SavedView:
    """The view, locked, if it is this person's and still as they saw it."""
    found = SavedView.objects.select_for_update().filter(pk=view.pk).first()
    if found is None:
        raise NotFoundError("This view was deleted meanwhile. Nothing was changed.")
    if found.owner_id != by.pk:
        raise ForbiddenError("Only its owner changes or deletes a view. Save the filter under a name of your own.")
    if found.version != version:
        raise ConflictError(
            f"This view was changed meanwhile. It is now: {found.name!r}, {_reach(found.shared)}. You sent: {sent}. "
            "Nothing was changed; look again.",
            code="stale",
        )
    return found


def _reach(shared: bool) -> str:
    return "shared" if shared else "your own"


def _shown(view: SavedView) -> dict[str, Any]:
    return {"name": view.name, "filters": view.filters, "shared": view.shared}
