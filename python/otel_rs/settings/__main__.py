"""Prints the page of all settings."""

from otel_rs.settings.page import page

if __name__ == "__main__":
    print(page(), end="")
