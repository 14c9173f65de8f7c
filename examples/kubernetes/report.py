"""A child process of the program: it is traced as its parent is."""

import sys

import requests

print(requests.get(f"{sys.argv[1]}orders/3", timeout=10).text, end="")
