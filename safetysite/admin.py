"""Accounts and groups: Django's own pages, with an entry in the audit trail for every change."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as stock
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse

from safetysite import accounts

admin.site.unregister([User, Group])


class Recorded(admin.ModelAdmin):
    """Records what is saved and deleted through the page; ``rights`` reads what an account may do."""

    rights: Any

    def save_model(self, request: HttpRequest, obj: Any, form: ModelForm, change: bool) -> None:
        obj.rights_before = type(self).rights(obj) if change else None
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        account = form.instance
        actor, after = accounts.actor_of(request.user), type(self).rights(account)
        if after != account.rights_before:
            accounts.note_saved(account, before=account.rights_before, after=after, actor=actor)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._delete(request, [obj], super().delete_model, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._delete(request, queryset, super().delete_queryset, queryset)

    def _delete(self, request: HttpRequest, gone: Any, delete: Any, what: Any) -> None:
        named = [(account, account.pk, type(self).rights(account)) for account in gone]
        with transaction.atomic():
            delete(request, what)
            for account, pk, before in named:
                account.pk = pk
                accounts.note_deleted(account, before=before, actor=accounts.actor_of(request.user))


@admin.register(User)
class UserAdmin(Recorded, stock.UserAdmin):
    """An account is switched off (is_active), rather than deleted: what it did still names it."""

    rights = staticmethod(accounts.rights_of)
    list_display = ["username", "first_name", "last_name", "is_active", "is_staff", "is_superuser", "last_login"]
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2", "is_staff", "groups")}),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Only a superuser makes another one, or gives a person a permission past the groups."""
        return () if request.user.is_superuser else ("is_superuser", "user_permissions")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and _reaches(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_delete_permission(request, obj) and _reaches(request.user, obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: User, message: Any) -> Any:
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            accounts.note_password(obj, actor=accounts.actor_of(request.user))
        return super().log_change(request, obj, message)


@admin.register(Group)
class GroupAdmin(Recorded, stock.GroupAdmin):
    rights = staticmethod(accounts.rights_of_group)


def _reaches(user: User, other: User | None) -> bool:
    return other is None or user.is_superuser or not other.is_superuser
