from __future__ import annotations

import hmac
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC
from hashlib import sha256
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connections, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import services
from audit.models import GENESIS, AuditEvent
from classifiers.errors import InputError
from tests.audit.tampering import record_chain

LARGEST = 2**53 - 1
scalars = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    scalars | st.text(max_size=50),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=20), children, max_size=5),
    max_leaves=20,
)


@pytest.mark.django_db
class TestRecord:
    def test_who_what_on_what_and_when(self) -> None:
        alice = User.objects.create(username="alice")
        event = services.record("user.invited", actor="user:alice", target=alice, data={"b": 1, "a": "é"})
        event = AuditEvent.objects.get(pk=event.pk)
        assert (event.actor, event.action, event.target) == ("user:alice", "user.invited", f"auth.user {alice.pk}")
        assert event.data == '{"a":"é","b":1}'
        assert event.details == {"a": "é", "b": 1}
        assert event.time.tzinfo == UTC

    def test_every_event_holds_the_hash_of_the_one_before(self) -> None:
        first, second, third = record_chain(3)
        assert [e.sequence for e in (first, second, third)] == [1, 2, 3]
        assert [e.previous for e in (first, second, third)] == [GENESIS, first.hash, second.hash]
        assert services.verify() == services.Verification(3, third.hash)

    def test_the_hash_is_that_of_the_documented_json(self) -> None:
        event = record_chain(1)[0]
        time = event.time.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
        canonical = (
            f'{{"action":"test.done","actor":"user:alice","data":"{{\\"number\\":1}}","previous":"{GENESIS}",'
            f'"sequence":1,"target_id":"","target_type":"","time":"{time}"}}'
        )
        assert event.hash == sha256(canonical.encode()).hexdigest()

    def test_the_chain_outlives_its_users(self) -> None:
        alice = User.objects.create(username="alice")
        services.record("user.invited", actor="user:alice", target=alice)
        alice.delete()
        assert services.verify().fault is None

    def test_a_rollback_takes_the_event_with_it(self) -> None:
        record_chain(1)
        with transaction.atomic():
            record_chain(2)
            transaction.set_rollback(True)
        record_chain(1)
        assert services.verify().size == AuditEvent.objects.count() == 2

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [
            ({"n": 2**53}, "integers up to 2\\^53"),
            ({"n": float("nan")}, "finite"),
            ({"text": "\ud800"}, "Unicode"),
            ({"\ud800": 1}, "Unicode"),
            ({1: 2}, "RFC 8785"),
            ({"bytes": b"x"}, "RFC 8785"),
            (SimpleNamespace(), "RFC 8785"),
            ({"text": "x" * 64 * 1024}, "at most 65536"),
        ],
    )
    def test_data_that_is_not_small_json_is_refused(self, data: object, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            services.record("test.done", actor="user:alice", data=data)  # type: ignore[arg-type]

    def test_a_circular_list_is_refused(self) -> None:
        circle: list[object] = []
        circle.append(circle)
        with pytest.raises(InputError):
            services.record("test.done", actor="user:alice", data=circle)  # type: ignore[arg-type]

    @pytest.mark.parametrize("actor", ["", "x" * 201, "user:\0", "user:\ud800"])
    def test_an_actor_that_cannot_be_stored_is_refused(self, actor: str) -> None:
        with pytest.raises(InputError, match="actor"):
            services.record("test.done", actor=actor)

    def test_a_target_without_a_key_is_refused(self) -> None:
        with pytest.raises(InputError, match=r"auth\.user"):
            services.record("test.done", actor="user:alice", target=User(username="bob"))

    @settings(deadline=None)
    @given(data=json_values)
    def test_any_json_comes_back_and_verifies(self, data: services.JSONValue) -> None:
        with transaction.atomic():
            event = services.record("test.done", actor="user:alice", data=data)
            assert AuditEvent.objects.get(pk=event.pk).details == data
            assert services.verify().fault is None
            transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
class TestTransactions:
    def test_outside_a_transaction_nothing_is_recorded(self) -> None:
        with pytest.raises(services.OutsideTransactionError, match="atomic"):
            services.record("test.done", actor="user:alice")
        assert not AuditEvent.objects.exists()

    def test_eight_writers_make_one_chain(self) -> None:
        errors: list[DatabaseError] = []

        def append(writer: int) -> None:
            try:
                for number in range(50):
                    with transaction.atomic():
                        services.record("test.done", actor=f"worker:{writer}", data=number)
            except DatabaseError as error:
                errors.append(error)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=append, args=(writer,)) for writer in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert errors == []
        verification = services.verify()
        assert (verification.size, verification.fault) == (400, None)
        recorded = set(AuditEvent.objects.values_list("actor", "data"))
        assert recorded == {(f"worker:{writer}", str(number)) for writer in range(8) for number in range(50)}

    @pytest.mark.slow
    def test_six_processes_make_one_chain(self, manage: Callable[..., subprocess.Popen[str]]) -> None:
        program = (
            "from django.db import transaction; from audit.services import record\n"
            "for number in range(40):\n"
            "    with transaction.atomic(): record('test.done', actor='worker:{}', data=number)"
        )
        writers = [manage("shell", "-v", "0", "-c", program.format(writer)) for writer in range(6)]
        for writer in writers:
            output, _ = writer.communicate(timeout=120)
            assert writer.returncode == 0, output
        verification = services.verify()
        assert (verification.size, verification.fault) == (240, None)
        recorded = set(AuditEvent.objects.values_list("actor", "data"))
        assert recorded == {(f"worker:{writer}", str(number)) for writer in range(6) for number in range(40)}

    def test_the_flush_between_tests_leaves_the_triggers_in_place(self) -> None:
        record_chain(1)
        call_command("flush", interactive=False, verbosity=0)
        assert services.verify().size == 0
        record_chain(1)
        with pytest.raises(IntegrityError, match="add-only"):
            AuditEvent.objects.all().delete()

    def test_the_migration_of_the_triggers_goes_back_and_forth(self) -> None:
        record_chain(1)
        call_command("migrate", "audit", "0001", verbosity=0)
        try:
            AuditEvent.objects.update(actor="user:mallory")
        finally:
            call_command("migrate", "audit", verbosity=0)
        with pytest.raises(IntegrityError, match="add-only"):
            AuditEvent.objects.update(actor="user:alice")


class TestCommitment:
    def test_same_text_and_salt_same_commitment(self) -> None:
        salt = services.new_salt()
        assert services.commitment("a prompt", salt=salt) == services.commitment("a prompt", salt=salt)

    def test_another_text_or_salt_another_commitment(self) -> None:
        salt = services.new_salt()
        assert services.commitment("a prompt", salt=salt) != services.commitment("a prompt.", salt=salt)
        assert services.commitment("a prompt", salt=salt) != services.commitment("a prompt", salt=services.new_salt())

    def test_it_is_the_documented_hmac(self) -> None:
        expected = hmac.new(b"salt", b'{"a":1,"b":"\xc3\xa9"}', "sha256").hexdigest()
        assert services.commitment({"b": "é", "a": 1}, salt="salt") == expected
