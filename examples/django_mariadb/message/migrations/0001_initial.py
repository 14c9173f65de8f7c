"""The table, with two messages in it."""

from typing import Any, ClassVar

from django.db import migrations, models


def add_messages(apps: Any, schema_editor: Any) -> None:
    message = apps.get_model("message", "Message")
    message.objects.bulk_create([message(text="hello"), message(text="good bye")])


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar[list[Any]] = []
    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="Message",
            fields=[
                ("id", models.AutoField(primary_key=True, serialize=False)),
                ("text", models.CharField(max_length=200)),
            ],
        ),
        migrations.RunPython(add_messages),
    ]
