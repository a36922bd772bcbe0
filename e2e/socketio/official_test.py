"""python-socketio, sync and async, over each transport, against a running server: SERVER_URL names it, in demo mode."""

import asyncio
import json
import os
import queue
import unittest
import urllib.request

import socketio

URL = os.environ["SERVER_URL"]
TRANSPORTS = (["websocket"], ["polling"], ["polling", "websocket"])
PATIENCE = 15


def token(name):
    request = urllib.request.Request(f"{URL}/demo/token", json.dumps({"name": name}).encode())
    with urllib.request.urlopen(request) as response:
        return json.load(response)["token"]


class Sync(unittest.TestCase):
    def connected(self, name, transports):
        client = socketio.Client(reconnection=False)
        client.connect(URL, transports=transports, auth={"token": token(name)}, wait_timeout=PATIENCE)
        self.addCleanup(client.disconnect)
        return client

    def test_a_room_with_acknowledgements_and_binary_data(self):
        for transports in TRANSPORTS:
            with self.subTest(transports=transports):
                room = f"sync {transports}"
                ann, bob = self.connected("ann", transports), self.connected("bob", transports)
                messages, drawings = queue.Queue(), queue.Queue()
                bob.on("message:new", messages.put)
                bob.on("draw", lambda *args: drawings.put(args))
                for client in (ann, bob):
                    self.assertEqual(client.call("room:join", room, timeout=PATIENCE)["status"], "ok")

                ack = ann.call("message:send", {"roomId": room, "content": {"text": "Hello"}}, timeout=PATIENCE)
                message = messages.get(timeout=PATIENCE)
                self.assertEqual((ack["status"], ack["seq"]), ("ok", message["seq"]))
                self.assertEqual((message["userId"], message["content"]), ("ann", {"text": "Hello"}))

                drawing = {"roomId": room, "event": "draw", "data": [1, b"\x00\x1e\xff"]}
                ann.call("event", drawing, timeout=PATIENCE)
                self.assertEqual(drawings.get(timeout=PATIENCE), (1, b"\x00\x1e\xff"))

                for number in range(200):
                    ann.emit("message:send", {"roomId": room, "content": number})
                # The client handles each event in a thread of its own, so they come out in any order.
                heard = [messages.get(timeout=PATIENCE) for _ in range(200)]
                heard.sort(key=lambda message: message["seq"])
                self.assertEqual([message["content"] for message in heard], list(range(200)))

    def test_a_wrong_token_is_refused_with_data(self):
        for transports in TRANSPORTS:
            with self.subTest(transports=transports):
                refusals = queue.Queue()
                client = socketio.Client(reconnection=False)
                client.on("connect_error", refusals.put)
                with self.assertRaises(socketio.exceptions.ConnectionError):
                    client.connect(URL, transports=transports, auth={"token": "wrong"}, wait_timeout=PATIENCE)
                refusal = refusals.get(timeout=PATIENCE)
                self.assertEqual(refusal["message"], "Authentication failed")
                self.assertEqual(refusal["data"]["code"], "NOT_AUTHENTICATED")


class Async(unittest.IsolatedAsyncioTestCase):
    async def test_private_messages_and_typing(self):
        for transports in TRANSPORTS:
            with self.subTest(transports=transports):
                room = f"async {transports}"
                ann, bob = [await self.connected(name, transports) for name in ("ann", "bob")]
                heard = asyncio.Queue()
                bob.on("message:private", heard.put)
                bob.on("user:typing", heard.put)
                for client in (ann, bob):
                    await client.call("room:join", room, timeout=PATIENCE)

                await ann.call("message:private", {"to": "bob", "content": "psst"}, timeout=PATIENCE)
                private = await asyncio.wait_for(heard.get(), PATIENCE)
                self.assertEqual((private["from"], private["content"]), (ann.get_sid(), "psst"))
                await ann.emit("typing:start", room)
                typing = await asyncio.wait_for(heard.get(), PATIENCE)
                self.assertEqual(typing, {"roomId": room, "userId": "ann", "typing": True})

    async def connected(self, name, transports):
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(URL, transports=transports, auth={"token": token(name)}, wait_timeout=PATIENCE)
        self.addAsyncCleanup(client.disconnect)
        return client


if __name__ == "__main__":
    unittest.main()
