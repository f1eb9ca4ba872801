import importlib

from django.db import migrations

# The view for analysts, with who reviewed a result and what they noted. Whoever alters runs_result, runs_run,
# review_review or auth_user on SQLite drops the view first and makes it again, as runs.0003 does.
CURRENT = """
    FROM review_review review
    WHERE review.result_id = result.id AND review.label <> ''
        AND NOT EXISTS (SELECT 1 FROM review_review later WHERE later.supersedes_id = review.id)
"""


def make_view(apps, schema_editor, view=None):
    runs = importlib.import_module("runs.migrations.0003_human_labels")
    joined = "string_agg" if schema_editor.connection.vendor == "postgresql" else "group_concat"
    notes = f"(SELECT {joined}(said.note, '; ') FROM (SELECT DISTINCT review.note {CURRENT} AND review.note <> '') said)"
    names = "SELECT DISTINCT (SELECT username FROM auth_user WHERE id = review.reviewer_id) AS name"
    reviewers = f"(SELECT {joined}(people.name, ', ') FROM ({names} {CURRENT}) people)"
    schema_editor.execute("DROP VIEW IF EXISTS moderation_results")
    schema_editor.execute((view or runs.view)(runs.PROVENANCE, notes, reviewers))


def make_earlier_view(apps, schema_editor):
    runs = importlib.import_module("runs.migrations.0003_human_labels")
    runs.drop_view(apps, schema_editor)
    runs.make_view(apps, schema_editor)


class Migration(migrations.Migration):
    dependencies = [("review", "0001_initial"), ("runs", "0003_human_labels")]
    operations = [migrations.RunPython(make_view, make_earlier_view)]
