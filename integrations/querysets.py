from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

if TYPE_CHECKING:
    from integrations.models import ApiToken, Delivery  # noqa: F401  named in the base classes


class ApiTokenQuerySet(QuerySet["ApiToken"]):
    def usable(self, now: datetime) -> ApiTokenQuerySet:
        """Neither revoked nor expired, of a person who may log in."""
        alive = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(alive, revoked_at=None, user__is_active=True)


class DeliveryQuerySet(QuerySet["Delivery"]):
    def due(self, now: datetime) -> DeliveryQuerySet:
        return self.filter(state="WAITING", due_at__lte=now)

    def failed(self) -> DeliveryQuerySet:
        return self.filter(state="FAILED")
