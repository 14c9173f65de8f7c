"""A Flask program that knows nothing of OpenTelemetry."""

import os

from flask import Flask, request

app = Flask(__name__)


@app.route("/server_request")
def server_request() -> str:
    print(request.args.get("param"), flush=True)
    return "served"


if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "8082")))
