"""The least that Django needs, and a database of MariaDB."""

import os

SECRET_KEY = "only for the example"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "message.urls"
WSGI_APPLICATION = "message.wsgi.application"
MIDDLEWARE: list[str] = []
INSTALLED_APPS = ["message"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.mysql",
        "HOST": os.environ.get("DATABASE_HOST", "127.0.0.1"),
        "PORT": os.environ.get("DATABASE_PORT", "3306"),
        "NAME": "shop",
        "USER": "shop",
        "PASSWORD": os.environ.get("DATABASE_PASSWORD", "shop"),
    }
}
