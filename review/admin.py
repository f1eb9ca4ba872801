"""Where the review pages hang in the admin site."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from review.models import BulkAction, Preferences, Queue, Review, SavedView
from review.views import bulk, exports, figures, known, lead, mine, saved, settle, work
from review.views.pages import Page


class Pages(admin.ModelAdmin):
    """A model whose pages are our own. The admin's generic ones are refused; each view checks its own right."""

    pages: tuple[Page, ...] = ()

    def get_urls(self) -> list[Any]:
        return [page(self.admin_site) for page in self.pages]

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # the index page names the pages itself


@admin.register(Queue)
class QueueAdmin(Pages):
    pages = (
        *(*work.queue_pages, *lead.queue_pages, *known.queue_pages, *settle.queue_pages),
        *(*figures.queue_pages, *exports.export_pages),
    )


@admin.register(Review)
class ReviewAdmin(Pages):
    pages = (*mine.review_pages, *figures.review_pages)


@admin.register(Preferences)
class PreferencesAdmin(Pages):
    pages = mine.preferences_pages


@admin.register(BulkAction)
class BulkActionAdmin(Pages):
    pages = bulk.bulk_pages


@admin.register(SavedView)
class SavedViewAdmin(Pages):
    pages = saved.view_pages
