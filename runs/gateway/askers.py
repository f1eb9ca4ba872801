from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit.services import VIA


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for the audit trail (``actor`` and ``via``) and for the reader of a result (``facts``)."""

    actor: str
    token: str = ""
    via: str = ""

    @classmethod
    def of(cls, actor: str, token: Any = None) -> Asker:
        return cls(actor, token.name if token is not None else "", VIA.get())

    @property
    def facts(self) -> dict[str, str]:
        return {"asked_by": self.actor, **({"token": self.token} if self.token else {})}
