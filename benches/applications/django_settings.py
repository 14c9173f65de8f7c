"""Django's settings. They are a module of their own because Django's instrumentation reads them before the program."""

ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_shop"
SECRET_KEY = "bench"
LOGGING_CONFIG = None
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
