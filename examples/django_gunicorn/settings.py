"""The least that Django needs."""

SECRET_KEY = "only for the example"
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "urls"
MIDDLEWARE: list[str] = []
