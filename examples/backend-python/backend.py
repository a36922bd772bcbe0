"""A chat's backend: it decides by nuncio's hooks, is told what happens, and speaks by the API. Standard library only.

    python3 backend.py          starts this backend, and the server beside it: `nuncio` from the PATH, or what NUNCIO names
"""

import hashlib, hmac, json, os, pathlib, signal, subprocess, sys, time, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST, PORT = os.environ.get("BACKEND", "127.0.0.1:9000").split(":")
API = os.environ.get("API", "http://127.0.0.1:8080/api/v1")
HOOK_SECRET = b"change me: what nuncio signs its hooks with"  # the same as in nuncio.toml
API_KEY = "change-me-what-this-backend-shows-the-API"
SESSIONS = {"session-of-ann": "ann", "session-of-bob": "bob"}  # yours: a database, or the cookies of your site
seen = set()  # ids of events that were handled; yours: a table


def connect(question):
    user = SESSIONS.get(question.get("token"))
    if user is None:
        return {"allow": False, "message": "Log in first"}
    everything = ["join", "publish", "presence", "history", "typing"]
    return {"allow": True, "user": {"sub": user}, "grants": [{"rooms": "*", "allow": everything}], "private": ["*"], "join": ["lobby"]}


def join(question):
    if question["roomId"] == "staff" and question["user"] != "ann":
        return {"allow": False, "message": "Staff only"}
    return {"allow": True}


def publish(question):
    content = question.get("content")
    if isinstance(content, str) and "damn" in content:
        return {"allow": True, "content": content.replace("damn", "****")}
    return {"allow": True}


def call(question):
    if question["event"] == "add":
        return {"answer": sum(question["data"])}
    return {"allow": False, "code": "NOT_FOUND", "message": "No such call"}


def events(batch):
    for event in batch["events"]:
        if event["id"] in seen:  # told again, because the answer of the first time was lost
            continue
        if event["type"] == "connected":
            api("publish", {"roomId": "lobby", "content": f"Welcome, {event['user']}!", "idempotencyKey": event["id"]})
        if event["type"] == "disconnected":
            print("disconnected", event["user"], event["code"], flush=True)
        seen.add(event["id"])


def api(command, body):
    headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{API}/{command}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def is_signed(header, body):
    """`t=<seconds>,v1=<hex>`: HMAC-SHA256 over the seconds, a dot and the body; not older than five minutes."""
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    wanted = hmac.new(HOOK_SECRET, parts.get("t", "").encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, parts.get("v1", "")) and abs(time.time() - int(parts["t"])) < 300


class Hooks(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept for the next question
    disable_nagle_algorithm = True  # and answers do not wait for each other's packets

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not is_signed(self.headers.get("Nuncio-Signature", ""), body):
            return self.answer(401, {})
        hooks = {"connect": connect, "join": join, "publish": publish, "call": call, "events": events}
        self.answer(200, hooks[self.headers["Nuncio-Hook"]](json.loads(body)))

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    backend = ThreadingHTTPServer((HOST, int(PORT)), Hooks)
    backend.daemon_threads = True
    config = pathlib.Path(__file__).with_name("nuncio.toml")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    server = subprocess.Popen([os.environ.get("NUNCIO", "nuncio"), "serve", "--config", config])
    try:
        backend.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
