"""Database triggers that keep the audit table add-only, whoever writes to it.

SQLite rebuilds a table that a migration alters and drops its triggers: such a migration calls ``install`` at its end.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

SQLITE_REFUSAL = "SELECT RAISE(ABORT, 'The audit chain is add-only: its entries are neither changed nor removed.')"

# INSERT OR REPLACE removes the rows in its way without asking the DELETE trigger, hence the third one.
SQLITE = {
    "audit_event_no_update": "BEFORE UPDATE ON audit_auditevent",
    "audit_event_no_delete": "BEFORE DELETE ON audit_auditevent",
    "audit_event_no_replace": "BEFORE INSERT ON audit_auditevent WHEN EXISTS (SELECT 1 FROM audit_auditevent WHERE "
    "sequence = NEW.sequence OR previous = NEW.previous OR hash = NEW.hash)",
}

POSTGRESQL = {
    "audit_event_no_change": "BEFORE UPDATE OR DELETE ON audit_auditevent FOR EACH ROW",
    "audit_event_no_truncate": "BEFORE TRUNCATE ON audit_auditevent FOR EACH STATEMENT",
}

POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION audit_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit chain is add-only: its entries are neither changed nor removed (% refused).', TG_OP
        USING ERRCODE = 'restrict_violation';
END $$
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Makes the triggers, anew where they stand already."""
    remove(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTION)
            for name, when in POSTGRESQL.items():
                cursor.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION audit_event_refuse()")
        else:
            for name, when in SQLITE.items():
                cursor.execute(f"CREATE TRIGGER {name} {when} BEGIN {SQLITE_REFUSAL}; END")


def remove(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in POSTGRESQL:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON audit_auditevent")
            cursor.execute("DROP FUNCTION IF EXISTS audit_event_refuse()")
        else:
            for name in SQLITE:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
