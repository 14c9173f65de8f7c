"""A Flask program that knows nothing of OpenTelemetry or of Kubernetes."""

import subprocess
import sys

from flask import Flask, request

app = Flask(__name__)


@app.route("/orders/<int:number>")
def order(number: int) -> str:
    return f"order {number}"


@app.route("/report")
def report() -> str:
    """What a child process says, which asks this server in turn."""
    command = [sys.executable, "report.py", request.host_url]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
