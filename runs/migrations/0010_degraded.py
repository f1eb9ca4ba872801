from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0009_texts")]
    operations = [
        migrations.AddIndex(
            model_name="result",
            index=models.Index(
                fields=["run", "position"], condition=models.Q(("degraded", True)), name="result_degraded"
            ),
        ),
    ]
