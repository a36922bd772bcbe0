"""The program that SERVER_BIN names, with a port and a folder of its own, to be killed and started again."""

import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

START_MAX = 30


class Judged:
    def __init__(self, settings):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self.settings = [word for setting in settings for word in ("--set", setting)]
        self.folder = tempfile.TemporaryDirectory(prefix="nuncio-python-")
        self.start()

    def start(self):
        command = [os.environ["SERVER_BIN"], "--listen", self.address, *self.settings]
        self.process = subprocess.Popen(command, cwd=self.folder.name, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        late = time.monotonic() + START_MAX
        while not self.is_ready():
            if time.monotonic() > late or self.process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.02)

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.url}/readyz"):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def token(self, name):
        request = urllib.request.Request(f"{self.url}/demo/token", json.dumps({"name": name}).encode())
        with urllib.request.urlopen(request) as response:
            return json.load(response)["token"]

    def kill(self):
        """Ends it as a power cut does."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it as an operator does: it says goodbye to its clients."""
        self.process.terminate()
        self.process.wait()

    def end(self):
        self.kill()
        self.folder.cleanup()
