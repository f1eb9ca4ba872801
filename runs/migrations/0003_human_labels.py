import importlib

from django.db import migrations, models


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
    result.human_input_label AS human_input_label,
    result.human_output_label AS human_output_label,
    {provenance} AS human_provenance,
    {notes} AS human_notes,
    {reviewers} AS reviewers,
    result.reviewed_at AS reviewed_at,
    CASE result.input_provenance WHEN 'machine' THEN result.input_label ELSE result.human_input_label END
        AS effective_input_label,
    CASE result.output_provenance WHEN 'machine' THEN result.output_label ELSE result.human_output_label END
        AS effective_output_label,
    CAST(NULL AS integer) AS policy_version,
    result.created_at AS created_at
"""
# Of both stages: one word when they have the same, or when people spoke on one alone, else both with a slash.
PROVENANCE = """
    CASE WHEN result.human_input_label IS NULL AND result.human_output_label IS NULL THEN NULL
         WHEN result.human_output_label IS NULL OR result.input_provenance = result.output_provenance
             THEN result.input_provenance
         WHEN result.human_input_label IS NULL THEN result.output_provenance
         ELSE result.input_provenance || '/' || result.output_provenance END
"""


def view(provenance, notes, reviewers):
    """The statement that makes the view; the review app makes it anew with what people wrote."""
    columns = COLUMNS.format(provenance=provenance, notes=notes, reviewers=reviewers)
    return (
        f"CREATE VIEW moderation_results AS SELECT {columns} "
        "FROM runs_result result JOIN runs_run run ON run.id = result.run_id"
    )


def make_view(apps, schema_editor):
    schema_editor.execute(view(PROVENANCE, "CAST(NULL AS text)", "CAST(NULL AS text)"))


def drop_view(apps, schema_editor):
    schema_editor.execute("DROP VIEW IF EXISTS moderation_results")


def make_first_view(apps, schema_editor):
    first = importlib.import_module("runs.migrations.0002_moderation_results")
    first.make_view(apps, schema_editor)


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0002_moderation_results'),
    ]

    operations = [
        migrations.RunPython(drop_view, make_first_view),
        migrations.AddField(
            model_name='result',
            name='disputed',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='result',
            name='human_input_label',
            field=models.CharField(choices=[('SAFE', 'Safe'), ('TOXIC', 'Toxic'), ('UNSURE', 'Unsure')], max_length=6, null=True),
        ),
        migrations.AddField(
            model_name='result',
            name='human_output_label',
            field=models.CharField(choices=[('SAFE', 'Safe'), ('TOXIC', 'Toxic'), ('UNSURE', 'Unsure')], max_length=6, null=True),
        ),
        migrations.AddField(
            model_name='result',
            name='input_provenance',
            field=models.CharField(choices=[('machine', 'Machine'), ('single', 'Single'), ('unanimous', 'Unanimous'), ('majority', 'Majority'), ('adjudicated', 'Adjudicated')], default='machine', max_length=11),
        ),
        migrations.AddField(
            model_name='result',
            name='output_provenance',
            field=models.CharField(choices=[('machine', 'Machine'), ('single', 'Single'), ('unanimous', 'Unanimous'), ('majority', 'Majority'), ('adjudicated', 'Adjudicated')], default='machine', max_length=11),
        ),
        migrations.AddField(
            model_name='result',
            name='reviewed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddIndex(
            model_name='result',
            index=models.Index(condition=models.Q(('reviewed_at__isnull', False)), fields=['run', 'position'], name='result_reviewed'),
        ),
        migrations.AddIndex(
            model_name='result',
            index=models.Index(condition=models.Q(('disputed', True)), fields=['run', 'position'], name='result_disputed'),
        ),
        migrations.AddConstraint(
            model_name='result',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('input_provenance', 'machine'), ('human_input_label__in', ('SAFE', 'TOXIC')), _connector='OR'), models.Q(('output_provenance', 'machine'), ('human_output_label__in', ('SAFE', 'TOXIC')), _connector='OR')), name='result_human_label_known', violation_error_message='A label that people agreed on is SAFE or TOXIC.'),
        ),
        migrations.RunPython(make_view, drop_view),
    ]
