from django.db import migrations

# For analysts: one row a result. The columns that people fill are empty until reviews exist; the review app then makes
# the view anew. A later migration that alters runs_result or runs_run on SQLite must drop the view first and make it
# again, because SQLite alters a table by making a new one.
COLUMNS = """
    run.id AS run_id,
    run.name AS run_name,
    result.position AS position,
    result.prompt AS prompt,
    result.answer AS answer,
    result.input_label AS input_label,
    result.input_score AS input_score,
    result.input_categories AS input_categories,
    result.output_label AS output_label,
    result.output_score AS output_score,
    result.output_categories AS output_categories,
    CAST(NULL AS varchar(6)) AS human_input_label,
    CAST(NULL AS varchar(6)) AS human_output_label,
    CAST(NULL AS varchar(20)) AS human_provenance,
    CAST(NULL AS text) AS human_notes,
    CAST(NULL AS text) AS reviewers,
    CAST(NULL AS {time}) AS reviewed_at,
    result.input_label AS effective_input_label,
    result.output_label AS effective_output_label,
    CAST(NULL AS integer) AS policy_version,
    result.created_at AS created_at
"""


def make_view(apps, schema_editor):
    time = "timestamptz" if schema_editor.connection.vendor == "postgresql" else "datetime"
    schema_editor.execute(
        f"CREATE VIEW moderation_results AS SELECT {COLUMNS.format(time=time)} "
        "FROM runs_result result JOIN runs_run run ON run.id = result.run_id"
    )


def drop_view(apps, schema_editor):
    schema_editor.execute("DROP VIEW moderation_results")


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [migrations.RunPython(make_view, drop_view)]
