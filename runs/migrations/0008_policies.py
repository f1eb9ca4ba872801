import importlib

import django.db.models.deletion
from django.db import migrations, models

from runs import textindex

earlier = importlib.import_module("runs.migrations.0003_human_labels")


def view(provenance, notes, reviewers):
    """The statement that makes the view, with the version of the policy that the labels follow from."""
    return earlier.view(provenance, notes, reviewers).replace("CAST(NULL AS integer)", "run.policy_version_id")


def make_view(apps, schema_editor):
    """Without people's words: the review app, whose tables it would read, makes it anew with them."""
    schema_editor.execute(view(earlier.PROVENANCE, "CAST(NULL AS text)", "CAST(NULL AS text)"))


def index_again(apps, schema_editor):
    if schema_editor.connection.vendor == "sqlite":  # which has made the table anew, without its triggers
        textindex.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("moderation", "0002_policies"), ("runs", "0007_results_by_score")]
    operations = [
        migrations.RunPython(earlier.drop_view, earlier.make_view),
        migrations.RunPython(migrations.RunPython.noop, index_again),
        migrations.RemoveConstraint(model_name="result", name="result_only_safe_answered"),
        migrations.AddField(model_name="result", name="degraded", field=models.BooleanField(default=False)),
        migrations.AddField(model_name="result", name="relabelled", field=models.BooleanField(default=False)),
        migrations.AddField(
            model_name="run",
            name="policy_version",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="runs",
                to="moderation.policyversion",
            ),
        ),
        migrations.AddField(model_name="run", name="relabelled_at", field=models.DateTimeField(null=True)),
        migrations.AddField(model_name="verdict", name="own_flagged", field=models.JSONField(null=True)),
        migrations.AddField(
            model_name="verdict",
            name="own_label",
            field=models.CharField(
                choices=[("SAFE", "Safe"), ("TOXIC", "Toxic"), ("ERROR", "Error")], max_length=5, null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="result",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("input_label", "SAFE"),
                    models.Q(("answer", None), ("output_label", None)),
                    ("degraded", True),
                    ("relabelled", True),
                    _connector="OR",
                ),
                name="result_only_safe_answered",
                violation_error_message="Only a prompt that was judged SAFE is answered.",
            ),
        ),
        migrations.RunPython(index_again, migrations.RunPython.noop),
        migrations.RunPython(make_view, earlier.drop_view),
    ]
