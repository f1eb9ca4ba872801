from django.db import migrations, models

from runs import textindex


def install(apps, schema_editor):
    textindex.install(schema_editor.connection)


def remove(apps, schema_editor):
    textindex.remove(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("runs", "0003_human_labels")]
    operations = [
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                fields=[
                    *("run", "position", "input_label", "output_label", "input_score", "output_score"),
                    *("human_input_label", "human_output_label", "input_provenance", "output_provenance"),
                    *("reviewed_at", "disputed"),
                ],
                name="result_narrow",
            ),
        ),
        migrations.RunPython(install, remove),
    ]
