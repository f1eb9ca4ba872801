"""Tokens in the console, by command and over REST: made for oneself, shown once, shut at once."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from audit.models import AuditEvent
from integrations.models import ApiToken
from integrations.services import create_token, digest_of, revoke_token
from tests.api.conftest import Program
from tests.review.conftest import Cast

PAGE = "/admin/integrations/apitoken/"
KEY = re.compile(r"asm_[\w-]{40,}")


def visitor(user: User) -> Client:
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def make(user: User, name: str = "mine") -> ApiToken:
    return create_token(user, name=name, scopes=["read"], expires_at=None, actor="test")[0]


def send(client: Client, **changes: Any) -> Any:
    return client.post(f"{PAGE}add/", {"name": "nightly", "scopes": ["read", "run"], "days": "90", **changes})


class TestMaking:
    def test_everybody_makes_one_for_themselves_and_sees_the_key_once(self, cast: Cast) -> None:
        client = visitor(cast.nora)
        answer = send(client)
        key = KEY.search(answer.content.decode())[0]
        token = ApiToken.objects.get()
        assert (token.user, token.digest, token.scopes) == (cast.nora, digest_of(key), ["read", "run"])
        assert abs(token.expires_at - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)
        assert "no-store" in answer["Cache-Control"]
        assert key not in client.get(PAGE).content.decode()
        assert token.prefix in client.get(PAGE).content.decode()

    def test_the_key_is_kept_nowhere(self, cast: Cast, caplog: pytest.LogCaptureFixture) -> None:
        client = visitor(cast.ruth)
        key = KEY.search(send(client).content.decode())[0]
        kept = [*(str(session.get_decoded()) for session in Session.objects.all()), caplog.text]
        kept += [*AuditEvent.objects.values_list("data", flat=True), str(client.cookies)]
        assert not [text for text in kept if key in text]

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"name": ""}, "This field is required"),
            ({"name": "x" * 101}, "at most 100"),
            ({"scopes": []}, "This field is required"),
            ({"scopes": ["everything"]}, "not one of the available"),
            ({"days": "0"}, "greater than or equal to 1"),
            ({"days": "366"}, "1 to 365 days"),
            ({"days": "x"}, "whole number"),
        ],
    )
    def test_what_cannot_be_is_said_beside_its_field(self, cast: Cast, changes: dict[str, Any], says: str) -> None:
        answer = send(visitor(cast.ruth), **changes)
        assert (answer.status_code, ApiToken.objects.count()) == (400, 0)
        assert says in answer.content.decode()

    def test_a_name_counts_once_while_it_is_in_use(self, cast: Cast) -> None:
        client = visitor(cast.ruth)
        assert send(client).status_code == 200
        assert "has a token with this name already" in send(client).content.decode()
        revoke_token(ApiToken.objects.get(), actor="test")
        assert KEY.search(send(client).content.decode())

    def test_nobody_makes_one_for_somebody_else(self, cast: Cast) -> None:
        send(visitor(cast.anna), user=str(cast.ruth.pk))
        assert ApiToken.objects.get().user == cast.anna

    def test_the_longest_life_is_a_setting(self, cast: Cast, settings: Any) -> None:
        settings.SAFETY_TOKEN_DAYS = 7
        client = visitor(cast.ruth)
        assert 'value="7"' in client.get(f"{PAGE}add/").content.decode()
        assert send(client, days="8").status_code == 400
        assert send(client, days="7").status_code == 200


class TestLookingAndRevoking:
    def test_ones_own_and_those_of_others(self, cast: Cast) -> None:
        make(cast.ruth, "of ruth")
        assert "of ruth" in visitor(cast.ruth).get(PAGE).content.decode()
        assert "of ruth" not in visitor(cast.anna).get(PAGE).content.decode()
        assert "of ruth" in visitor(cast.anna).get(f"{PAGE}?all=1").content.decode()
        assert visitor(cast.lena).get(f"{PAGE}?all=1").status_code == 403

    def test_the_next_page_is_of_the_same_list(self, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("integrations.views.tokens.SIZE", 1)
        older, newer = make(cast.ruth, "older"), make(cast.lena, "newer")
        first = visitor(cast.anna).get(f"{PAGE}?all=1")
        assert (first.context["tokens"], first.context["newer"]) == ([newer], "")
        second = visitor(cast.anna).get(PAGE + first.context["older"])
        assert (second.context["tokens"], second.context["older"]) == ([older], "")
        assert second.context["newer"] == "?all=1"

    def test_one_revokes_ones_own(self, cast: Cast) -> None:
        token = make(cast.ruth)
        assert visitor(cast.ruth).post(f"{PAGE}{token.pk}/revoke/").status_code == 302
        token.refresh_from_db()
        assert token.revoked_at
        assert AuditEvent.objects.get(action="token.revoked").actor == "user:ruth"

    def test_nobody_revokes_anothers_but_who_looks_after_all(self, cast: Cast) -> None:
        token = make(cast.ruth)
        for name in ("rob", "lena"):
            assert visitor(cast[name]).post(f"{PAGE}{token.pk}/revoke/").status_code == 404
        assert ApiToken.objects.filter(revoked_at=None).count() == 1
        visitor(cast.anna).post(f"{PAGE}{token.pk}/revoke/")
        assert ApiToken.objects.filter(revoked_at=None).count() == 0

    def test_a_long_list_goes_on_on_another_page(self, cast: Cast) -> None:
        for number in range(52):
            make(cast.ruth, f"number {number}")
        client = visitor(cast.ruth)
        first = client.get(PAGE)
        second = client.get(PAGE + first.context["older"])
        assert [len(page.context["tokens"]) for page in (first, second)] == [50, 2]


class TestOverRest:
    def test_one_reads_ones_own_only(self, cast: Cast) -> None:
        program, other = Program(cast.ruth, "read"), make(cast.rob)
        listed = program.get("/api/v1/tokens/").json()["results"]
        assert [token["id"] for token in listed] == [program.token.pk]
        assert program.get(f"/api/v1/tokens/{program.token.pk}/").json()["scopes"] == ["read"]
        assert program.get(f"/api/v1/tokens/{other.pk}/").status_code == 404
        assert "digest" not in listed[0]
        assert program.key not in str(listed)

    def test_an_administrator_too(self, cast: Cast) -> None:
        other = make(cast.rob)
        assert Program(cast.anna).post(f"/api/v1/tokens/{other.pk}/revoke/").status_code == 404

    def test_a_token_makes_no_token(self, cast: Cast) -> None:
        assert Program(cast.anna).post("/api/v1/tokens/", {"name": "x", "scopes": ["read"]}).status_code == 405

    def test_a_token_revokes_itself_and_is_shut_at_once(self, cast: Cast) -> None:
        program = Program(cast.ruth)
        assert program.post(f"/api/v1/tokens/{program.token.pk}/revoke/").json()["revoked_at"]
        assert program.get("/api/v1/tokens/").status_code == 401

    def test_revoking_needs_its_scope(self, cast: Cast) -> None:
        program = Program(cast.ruth, "read")
        answer = program.post(f"/api/v1/tokens/{program.token.pk}/revoke/")
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_an_account_that_is_switched_off_opens_nothing_from_then_on(self, cast: Cast) -> None:
        program = Program(cast.ruth, "read")
        assert program.get("/api/v1/tokens/").status_code == 200
        User.objects.filter(pk=cast.ruth.pk).update(is_active=False)
        answer = program.get("/api/v1/tokens/")
        assert (answer.status_code, answer.json()["code"]) == (401, "token_unusable")


class TestCommands:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command(*arguments, stdout=out)
        return out.getvalue()

    def test_one_is_made_listed_and_revoked(self, cast: Cast) -> None:
        named = ("create_token", "prog", "--name", "nightly", "--scope", "moderate", "--scope", "read")
        key = self.run(*named, "--expires", "30").strip()
        token = ApiToken.objects.get(digest=digest_of(key))
        assert (token.user, token.scopes) == (cast.prog, ["moderate", "read"])
        listed = self.run("list_tokens")
        assert all(part in listed for part in ("prog", "nightly", token.prefix, "moderate,read"))
        assert key not in listed
        assert "nightly of prog is revoked" in self.run("revoke_token", str(token.pk))
        assert "There are no such tokens" in self.run("list_tokens", "--user", "ruth")

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("create_token", "nobody", "--name", "x", "--scope", "read"), "no account 'nobody'"),
            (("create_token", "prog", "--name", "x", "--scope", "read", "--expires", "0"), "1 to 365 days"),
            (("create_token", "prog", "--name", "", "--scope", "read"), "needs a name"),
            (("create_token", "prog", "--name", "x", "--scope", "all"), "invalid choice"),
            (("revoke_token", "999"), "no token 999"),
        ],
    )
    def test_what_cannot_be_is_a_sentence(self, cast: Cast, arguments: tuple[str, ...], says: str) -> None:
        with pytest.raises(CommandError, match=says):
            call_command(*arguments)
        assert ApiToken.objects.count() == 0
