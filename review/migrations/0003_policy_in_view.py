import importlib

from django.db import migrations

earlier = importlib.import_module("review.migrations.0002_moderation_results")


def make_view(apps, schema_editor):
    runs = importlib.import_module("runs.migrations.0008_policies")
    earlier.make_view(apps, schema_editor, view=runs.view)


class Migration(migrations.Migration):
    dependencies = [("review", "0002_moderation_results"), ("runs", "0008_policies")]
    # Undone, it is the view without people's words, which runs.0008 can drop; review.0002 makes its own when it is applied.
    operations = [migrations.RunPython(make_view, migrations.RunPython.noop)]
