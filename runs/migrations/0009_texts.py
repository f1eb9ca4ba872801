from django.db import migrations, models

# All may be null: SQLite adds such columns without making the table anew, so that its triggers and the view stay.


class Migration(migrations.Migration):
    dependencies = [("runs", "0008_policies")]
    operations = [
        migrations.AddField(
            model_name="result",
            name="texts",
            field=models.CharField(
                choices=[("REDACTED", "redacted"), ("NOT_KEPT", "not kept"), ("LET_GO", "let go")],
                max_length=8,
                null=True,
            ),
        ),
        migrations.AddField(model_name="result", name="digests", field=models.JSONField(null=True)),
        migrations.AddField(model_name="result", name="let_go_at", field=models.DateTimeField(null=True)),
        migrations.AddField(model_name="run", name="hold", field=models.CharField(max_length=200, null=True)),
        migrations.AddField(model_name="run", name="let_go_at", field=models.DateTimeField(null=True)),
    ]
