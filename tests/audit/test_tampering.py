from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from audit import services, triggers
from audit.models import GENESIS, AuditEvent
from classifiers.errors import InputError
from tests.audit.tampering import drop_constraints, record_chain, relink, replace_chain, run_sql

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain() -> list[AuditEvent]:
    return record_chain(6)


@pytest.fixture
def unlocked(chain: list[AuditEvent]) -> list[AuditEvent]:
    """A chain whose triggers are gone; the constraints stand."""
    triggers.remove(connection)
    return chain


@pytest.fixture
def bare(chain: list[AuditEvent]) -> list[AuditEvent]:
    """A chain without triggers and constraints."""
    drop_constraints()
    return chain


def fault(checkpoint: dict[str, str | int] | None = None) -> tuple[int, str]:
    found = services.verify(checkpoint=checkpoint).fault
    assert found is not None
    return found.sequence, found.reason


class TestTheDatabaseRefuses:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE audit_auditevent SET actor = 'user:mallory' WHERE sequence = 3",
            "UPDATE audit_auditevent SET actor = actor",
            "DELETE FROM audit_auditevent WHERE sequence = 6",
            "DELETE FROM audit_auditevent",
        ],
    )
    def test_changes(self, chain: list[AuditEvent], statement: str) -> None:
        with pytest.raises(IntegrityError, match="add-only"), transaction.atomic():
            run_sql(statement)
        assert services.verify() == services.Verification(6, chain[-1].hash)

    def test_replacing_and_truncating(self, chain: list[AuditEvent]) -> None:
        columns = "time, 'user:mallory', action, target_type, target_id, data, previous, hash"
        statement = {
            "sqlite": f"INSERT OR REPLACE INTO audit_auditevent SELECT sequence, {columns} FROM audit_auditevent",
            "postgresql": "TRUNCATE audit_auditevent",
        }[connection.vendor]
        with pytest.raises(IntegrityError, match="add-only"), transaction.atomic():
            run_sql(statement)
        assert services.verify() == services.Verification(6, chain[-1].hash)

    @pytest.mark.parametrize("with_triggers", [True, False])
    def test_a_fork(self, chain: list[AuditEvent], with_triggers: bool) -> None:
        if not with_triggers:
            triggers.remove(connection)
        fork = AuditEvent(sequence=7, time=chain[2].time, actor="user:mallory", action="x", previous=chain[1].hash)
        fork.hash = fork.digest()
        with pytest.raises(IntegrityError), transaction.atomic():
            fork.save(force_insert=True)

    def test_a_second_genesis(self, chain: list[AuditEvent]) -> None:
        second = AuditEvent(sequence=0, time=chain[0].time, actor="user:mallory", action="x", previous="1" * 64)
        second.hash = second.digest()
        with pytest.raises(IntegrityError), transaction.atomic():
            second.save(force_insert=True)

    def test_the_constraints_speak_to_people(self, chain: list[AuditEvent]) -> None:
        for constraint in AuditEvent._meta.constraints:
            assert "Constraint “" not in str(constraint.get_violation_error_message())


class TestTamperingIsFound:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("actor", "user:mallory"),
            ("action", "test.undone"),
            ("target_type", "runs.run"),
            ("target_id", "7"),
            ("data", '{"number":4}'),
            ("data", '{"number": 3}'),
            ("time", datetime(2020, 1, 1, tzinfo=UTC)),
            ("hash", "f" * 64),
        ],
    )
    def test_changed_content(self, unlocked: list[AuditEvent], field: str, value: object) -> None:
        AuditEvent.objects.filter(pk=3).update(**{field: value})
        sequence, reason = fault()
        assert sequence == 3
        assert "content" in reason

    def test_changed_content_with_its_hash_made_to_fit(self, unlocked: list[AuditEvent]) -> None:
        unlocked[2].actor = "user:mallory"
        unlocked[2].hash = unlocked[2].digest()
        unlocked[2].save()
        sequence, reason = fault()
        assert sequence == 4
        assert "link is broken" in reason

    def test_a_changed_link(self, unlocked: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=3).update(previous="f" * 64)
        sequence, reason = fault()
        assert sequence == 3
        assert "link is broken" in reason

    def test_a_deleted_row(self, unlocked: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk__in=[3, 4]).delete()
        assert fault() == (3, "it is missing; there is a gap from entry 2 to entry 5")

    def test_a_deleted_row_with_the_later_ones_renumbered(self, unlocked: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=3).delete()
        for sequence in (4, 5, 6):
            AuditEvent.objects.filter(pk=sequence).update(sequence=F("sequence") - 1)
        sequence, reason = fault()
        assert sequence == 3
        assert "link is broken" in reason

    def test_a_missing_genesis(self, unlocked: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=1).delete()
        sequence, reason = fault()
        assert sequence == 1
        assert "genesis" in reason

    def test_a_cut_beginning_with_the_rest_renumbered(self, bare: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=1).delete()
        AuditEvent.objects.update(sequence=F("sequence") - 1)
        sequence, reason = fault()
        assert sequence == 1
        assert "genesis" in reason

    def test_swapped_places(self, unlocked: list[AuditEvent]) -> None:
        for old, new in ((3, 99), (4, 3), (99, 4)):
            AuditEvent.objects.filter(pk=old).update(sequence=new)
        assert fault() == (3, "the order is wrong; it follows entry 4, not entry 2")

    def test_swapped_contents(self, unlocked: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=3).update(data=unlocked[3].data)
        AuditEvent.objects.filter(pk=4).update(data=unlocked[2].data)
        sequence, reason = fault()
        assert sequence == 3
        assert "content" in reason

    def test_an_inserted_row(self, bare: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk__gt=3).update(sequence=F("sequence") + 1)
        forged = AuditEvent(sequence=4, time=bare[3].time, actor="user:mallory", action="x", previous=bare[2].hash)
        forged.hash = forged.digest()
        AuditEvent.objects.bulk_create([forged])
        assert fault() == (5, "the order is wrong; it follows entry 3, not entry 4")

    def test_a_duplicate(self, bare: list[AuditEvent]) -> None:
        run_sql("INSERT INTO audit_auditevent SELECT * FROM audit_auditevent WHERE sequence = 3")
        assert fault() == (3, "it is there twice (a duplicate)")

    def test_an_entry_before_the_first(self, bare: list[AuditEvent]) -> None:
        AuditEvent.objects.filter(pk=6).update(sequence=0)
        sequence, reason = fault()
        assert sequence == 1
        assert "stands in its place" in reason

    @pytest.mark.parametrize("column", ["time", "actor", "sequence", "previous", "hash", "data"])
    def test_values_of_no_such_type(self, chain: list[AuditEvent], column: str) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("only SQLite stores values of another type than the column's")
        drop_constraints()
        for value in ("'yesterday'", "x'ff'", "NULL", "'2026-13-45 99:00:00'", "7"):
            run_sql(f"UPDATE audit_auditevent SET {column} = {value} WHERE rowid = 6")
            assert services.verify().fault is not None

    @settings(deadline=None)
    @given(data=st.data())
    def test_any_single_change(self, data: st.DataObject) -> None:
        text = st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=64)
        changes = {
            "sequence": st.integers(0, 2**53),
            "time": st.integers(0, 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
            **dict.fromkeys(["actor", "action", "target_type", "target_id", "data", "previous", "hash"], text),
        }
        with transaction.atomic():
            chain = record_chain(4)
            drop_constraints()
            event = data.draw(st.sampled_from(chain))
            field = data.draw(st.sampled_from(sorted(changes)))
            value = data.draw(changes[field])
            assume(value != getattr(event, field))
            AuditEvent.objects.filter(pk=event.pk).update(**{field: value})
            assert services.verify().fault is not None
            transaction.set_rollback(True)


class TestCheckpoints:
    def test_a_chain_that_grew_is_whole(self, chain: list[AuditEvent]) -> None:
        checkpoint = services.checkpoint()
        head = record_chain(2)[-1].hash
        assert services.verify(checkpoint=checkpoint) == services.Verification(8, head)

    def test_an_empty_chain_has_one_too(self) -> None:
        checkpoint = services.checkpoint()
        assert (checkpoint["size"], checkpoint["head"]) == (0, GENESIS)
        assert services.verify(checkpoint=checkpoint).fault is None

    def test_a_cut_tail(self, unlocked: list[AuditEvent]) -> None:
        checkpoint = services.checkpoint()
        AuditEvent.objects.filter(pk__gt=4).delete()
        assert services.verify().fault is None
        sequence, reason = fault(checkpoint)
        assert sequence == 5
        assert "cut off" in reason

    def test_a_rebuilt_chain(self, unlocked: list[AuditEvent]) -> None:
        checkpoint = services.checkpoint()
        unlocked[2].actor = "user:mallory"
        replace_chain(relink(unlocked))
        assert services.verify().fault is None
        sequence, reason = fault(checkpoint)
        assert sequence == 6
        assert "rebuilt" in reason

    def test_a_wholly_emptied_chain(self, unlocked: list[AuditEvent]) -> None:
        checkpoint = services.checkpoint()
        AuditEvent.objects.all().delete()
        assert fault(checkpoint)[0] == 1

    @pytest.mark.parametrize(
        "value",
        [
            {},
            {"size": "6", "head": GENESIS, "date": "d"},
            {"size": 6, "head": "x", "date": "d"},
            {"size": -1, "head": GENESIS, "date": "d"},
            {"size": True, "head": GENESIS, "date": "d"},
        ],
    )
    def test_something_else_is_refused(self, value: dict[str, object]) -> None:
        with pytest.raises(InputError, match="not a checkpoint"):
            services.verify(checkpoint=value)


def test_an_outage_is_no_tampering(chain: list[AuditEvent]) -> None:
    run_sql("DROP TABLE audit_auditevent")
    with pytest.raises(DatabaseError), transaction.atomic():
        services.verify()
