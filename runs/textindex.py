"""The index that full-text search reads: the words of prompts and answers, kept by database triggers.

Whoever writes results, in whatever way, it follows. It holds words and their places only, no text. SQLite rebuilds a
table that a migration alters and drops its triggers: a migration that alters runs_result calls ``install`` at its end.

Of each text the first 50,000 characters are indexed. PostgreSQL refuses to index more than 1 MiB of different words at
once; two texts of this length stay below it whatever they are made of.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

SQLITE_TABLE = """
CREATE VIRTUAL TABLE runs_result_text
    USING fts5(prompt, answer, content='', tokenize='unicode61 remove_diacritics 0')
"""
SQLITE_FILL = """
INSERT INTO runs_result_text (rowid, prompt, answer)
    SELECT id, substr(prompt, 1, 50000), substr(answer, 1, 50000) FROM runs_result
"""
SQLITE_ADD = """
INSERT INTO runs_result_text (rowid, prompt, answer)
    VALUES (NEW.id, substr(NEW.prompt, 1, 50000), substr(NEW.answer, 1, 50000));
"""
SQLITE_TAKE = """
INSERT INTO runs_result_text (runs_result_text, rowid, prompt, answer)
    VALUES ('delete', OLD.id, substr(OLD.prompt, 1, 50000), substr(OLD.answer, 1, 50000));
"""
SQLITE_TRIGGERS = {
    "runs_result_text_insert": f"AFTER INSERT ON runs_result BEGIN {SQLITE_ADD} END",
    "runs_result_text_update": f"AFTER UPDATE OF prompt, answer ON runs_result BEGIN {SQLITE_TAKE} {SQLITE_ADD} END",
    "runs_result_text_delete": f"AFTER DELETE ON runs_result BEGIN {SQLITE_TAKE} END",
}

# ASCII's punctuation is blanked: else PostgreSQL takes a_b, a.b/c or <b> for one word or none, unlike SQLite. The mark between
# prompt and answer is a word that nobody can search for, so that no phrase reaches from one into the other.
POSTGRESQL_FUNCTIONS = """
CREATE FUNCTION runs_result_words(body text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
    SELECT to_tsvector('simple', regexp_replace(left(coalesce(body, ''), 50000), '[!-/:-@[-`{-~]+', ' ', 'g'))
$$;
CREATE FUNCTION runs_result_words(prompt text, answer text) RETURNS tsvector LANGUAGE sql IMMUTABLE AS $$
    SELECT runs_result_words(prompt) || '''|'':1'::tsvector || runs_result_words(answer)
$$;
CREATE FUNCTION runs_result_text_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        TRUNCATE runs_result_text;
    ELSIF TG_OP = 'DELETE' THEN
        DELETE FROM runs_result_text WHERE result_id = OLD.id;
    ELSE
        INSERT INTO runs_result_text VALUES (NEW.id, runs_result_words(NEW.prompt, NEW.answer))
            ON CONFLICT (result_id) DO UPDATE SET words = EXCLUDED.words;
    END IF;
    RETURN NULL;
END $$
"""
POSTGRESQL_TABLE = """
CREATE TABLE runs_result_text (result_id bigint PRIMARY KEY, words tsvector NOT NULL);
INSERT INTO runs_result_text SELECT id, runs_result_words(prompt, answer) FROM runs_result;
CREATE INDEX runs_result_text_words ON runs_result_text USING gin (words)
"""
POSTGRESQL_TRIGGERS = {
    "runs_result_text_keep": "AFTER INSERT OR UPDATE OF prompt, answer OR DELETE ON runs_result FOR EACH ROW",
    "runs_result_text_empty": "AFTER TRUNCATE ON runs_result FOR EACH STATEMENT",
}
POSTGRESQL_GONE = """
DROP FUNCTION IF EXISTS runs_result_text_keep(), runs_result_words(text, text), runs_result_words(text)
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Makes the index and its triggers, anew where they stand already, and fills it with the results there are."""
    remove(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_FUNCTIONS)
            cursor.execute(POSTGRESQL_TABLE)
            for name, when in POSTGRESQL_TRIGGERS.items():
                cursor.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION runs_result_text_keep()")
        else:
            cursor.execute(SQLITE_TABLE)
            cursor.execute(SQLITE_FILL)
            for name, when in SQLITE_TRIGGERS.items():
                cursor.execute(f"CREATE TRIGGER {name} {when}")


def remove(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name in POSTGRESQL_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name} ON runs_result")
            cursor.execute(POSTGRESQL_GONE)
        else:
            for name in SQLITE_TRIGGERS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        cursor.execute("DROP TABLE IF EXISTS runs_result_text")
