"""What Django's ORM has no words for that both databases understand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django.db.models import BooleanField, FloatField, Func, IntegerField, TextField

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models.sql.compiler import SQLCompiler

SQL: TypeAlias = tuple[str, tuple[str | int, ...]]


class Holds(Func):
    """Whether a list kept as JSON holds a text."""

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        rows = "EXISTS (SELECT 1 FROM json_each(%(expressions)s)"
        return self.as_sql(compiler, connection, template=rows, arg_joiner=") WHERE value = ", **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(compiler, connection, template="(%(expressions)s)", arg_joiner=" ? ", **context)


class Ranked(Func):
    """A score to sort by: where there is none, it is below all. An index holds it, which a value bound to the query
    could not be found in."""

    template = "COALESCE(%(expressions)s, -1.0)"
    output_field = FloatField()


class Bin(Func):
    """In which of twenty equal bins, from 0, a score in [0, 1] lies; 1 lies in the last, NULL in none.

    Django's own Floor is a Python function on SQLite, which is too slow for every row of a large run.
    """

    output_field = IntegerField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(compiler, connection, template="MIN(CAST(%(expressions)s * 20 AS INTEGER), 19)", **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        # LEAST, unlike MIN above, ignores NULL.
        rows = "CASE WHEN %(expressions)s < 1 THEN FLOOR(%(expressions)s * 20)::integer WHEN %(expressions)s >= 1 THEN 19 END"
        return self.as_sql(compiler, connection, template=rows, **context)


class Day(Func):
    """The day of a time, in UTC, as text. Django's own is a Python function on SQLite, which has times as text in UTC."""

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(compiler, connection, template="SUBSTR(%(expressions)s, 1, 10)", **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(
            compiler, connection, template="((%(expressions)s) AT TIME ZONE 'UTC')::date::text", **context
        )


class Among(Func):
    """Whether a number is one of many, which go to the database in one parameter: ``Among("pk", numbers=[1, 2])``."""

    output_field = BooleanField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self._as(compiler, "{} IN (SELECT value FROM json_each(%s))", "[{}]")

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self._as(compiler, "{} = ANY(%s::bigint[])", "{{{}}}")

    def _as(self, compiler: SQLCompiler, condition: str, numbers: str) -> SQL:
        column, params = compiler.compile(self.source_expressions[0])
        return condition.format(column), (*params, numbers.format(",".join(map(str, self.extra["numbers"]))))


class DigestOf(Func):
    """The digest of the text of a stage, from those that are kept in the place of texts: ``DigestOf("digests", stage="INPUT")``.

    An index holds it, so the stage stands in the query, not beside it.
    """

    output_field = TextField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(compiler, connection, template="JSON_EXTRACT(%(expressions)s, '$.%(stage)s')", **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> SQL:
        return self.as_sql(compiler, connection, template="(%(expressions)s ->> '%(stage)s')", **context)
