from django.db import migrations, models

ORIGINS = [
    ("FILTER", "Filter"),
    ("SAMPLE", "Random sample of what was not flagged"),
    ("CHOSEN", "Chosen to be learnt from"),
    ("RANDOM", "Random share of all that the filter found"),
]


def to_origin(apps, schema_editor):
    apps.get_model("review", "QueueItem").objects.filter(sampled=True).update(origin="SAMPLE")


def to_sampled(apps, schema_editor):
    apps.get_model("review", "QueueItem").objects.filter(origin="SAMPLE").update(sampled=True)


class Migration(migrations.Migration):
    dependencies = [("review", "0003_policy_in_view")]
    operations = [
        migrations.AddField("queueitem", "origin", models.CharField(max_length=6, choices=ORIGINS, default="FILTER")),
        migrations.RunPython(to_origin, to_sampled),
        migrations.RemoveField("queueitem", "sampled"),
    ]
