"""python-socketio, sync and async, over each transport, against the program that SERVER_BIN names: `e2e/src/bin/judged.rs`."""

import asyncio
import json
import os
import queue
import unittest

import socketio

from judged import Judged

PATIENCE = 15
TRANSPORTS = {"WebSocket": ["websocket"], "Polling": ["polling"], "Upgrade": ["polling", "websocket"]}
THUMB = bytes([0, 0x1E, 1, 4, 0xFF])
PIXELS = b"nuncio" * 16_384

server = None


def setUpModule():
    global server
    server = Judged(["limits.rate_per_second=0", 'grants.namespaces=["/", "/chat"]'])


def tearDownModule():
    server.end()


class Sync:
    """The sync client, as if it were async. It handles each event in a thread of its own, so they come out in any order."""

    keeps_order = False

    def __init__(self, **options):
        self.client = socketio.Client(**options)

    async def connect(self, *args, **options):
        await asyncio.to_thread(self.client.connect, *args, **options)

    async def emit(self, *args, **options):
        await asyncio.to_thread(self.client.emit, *args, **options)

    async def call(self, *args, **options):
        return await asyncio.to_thread(self.client.call, *args, timeout=PATIENCE, **options)

    async def close(self):
        await asyncio.to_thread(self.client.disconnect)


class Async:
    keeps_order = True

    def __init__(self, **options):
        self.client = socketio.AsyncClient(**options)

    async def connect(self, *args, **options):
        await self.client.connect(*args, **options)

    async def emit(self, *args, **options):
        await self.client.emit(*args, **options)

    async def call(self, *args, **options):
        return await self.client.call(*args, timeout=PATIENCE, **options)

    async def close(self):
        await self.client.disconnect()


class Scenarios:
    """What each client does over each transport."""

    kind = None
    transports = None

    async def client(self, name, namespaces=("/",), auth=None, handlers=None, **options):
        client = self.kind(reconnection_delay=0.05, reconnection_delay_max=0.2, **options)
        for (event, namespace), handler in (handlers or {}).items():
            client.client.on(event, handler, namespace=namespace)
        auth = auth or {"token": server.token(name)}
        self.addAsyncCleanup(client.close)
        await client.connect(server.url, auth=auth, transports=self.transports, namespaces=list(namespaces), wait_timeout=PATIENCE)
        return client

    def hears(self, client, event, namespace="/"):
        heard = queue.Queue()
        client.client.on(event, lambda *args: heard.put(args), namespace=namespace)
        return heard

    async def next(self, heard):
        return await asyncio.to_thread(heard.get, timeout=PATIENCE)

    async def join(self, *clients, room, namespace="/"):
        for client in clients:
            reply = await client.call("room:join", room, namespace=namespace)
            self.assertEqual(reply["status"], "ok", reply)

    def room(self, name):
        return f"{name} {type(self).__name__}"

    async def test_a_wrong_token_is_refused_with_data(self):
        refusals = queue.Queue()
        with self.assertRaises(socketio.exceptions.ConnectionError):
            await self.client("ann", auth={"token": "wrong"}, handlers={("connect_error", "/"): refusals.put}, reconnection=False)
        refusal = await self.next(refusals)
        self.assertEqual(refusal["message"], "Authentication failed")
        self.assertEqual(refusal["data"]["code"], "NOT_AUTHENTICATED")

    async def test_a_middleware_refuses_with_data(self):
        refusals = queue.Queue()
        auth = {"token": server.token("ann"), "word": "refuse me"}
        with self.assertRaises(socketio.exceptions.ConnectionError):
            await self.client("ann", ["/judge"], auth, {("connect_error", "/judge"): refusals.put}, reconnection=False)
        self.assertEqual(await self.next(refusals), {"message": "not in here", "data": {"retry": False, "days": [1, 2]}})

    async def test_a_message_is_acknowledged_and_reaches_everybody_in_the_room(self):
        room = self.room("lobby")
        ann, bob = await self.client("ann"), await self.client("bob")
        heard = [self.hears(client, "message:new") for client in (ann, bob)]
        await self.join(ann, bob, room=room)

        ack = await ann.call("message:send", {"roomId": room, "content": {"text": "Grüße 🐎"}})

        self.assertEqual(ack["status"], "ok")
        for messages in heard:
            (message,) = await self.next(messages)
            self.assertEqual((message["id"], message["seq"]), (ack["id"], ack["seq"]))
            self.assertEqual((message["userId"], message["content"]), ("ann", {"text": "Grüße 🐎"}))

    async def test_events_with_binary_data_reach_the_room_and_the_namespace_as_they_were(self):
        room = self.room("board")
        ann, bob = [await self.client(name, ["/", "/judge"]) for name in ("ann", "bob")]
        heard = [self.hears(client, "draw") for client in (ann, bob)]
        told = [self.hears(client, "told", "/judge") for client in (ann, bob)]
        await self.join(ann, bob, room=room)

        ack = await ann.call("event", {"roomId": room, "event": "draw", "data": [{"x": THUMB}, PIXELS, "end"]})
        self.assertEqual(ack["status"], "ok")
        for drawings in heard:
            self.assertEqual(await self.next(drawings), ({"x": THUMB}, PIXELS, "end"))

        await ann.emit("tell", ("all", PIXELS), namespace="/judge")
        for texts in told:
            self.assertEqual(await self.next(texts), ("all", PIXELS))

    async def test_acknowledgements_carry_text_and_binary_data_both_ways(self):
        ann = await self.client("ann", ["/judge"])
        ann.client.on("question", lambda what: {"answer": what}, namespace="/judge")
        ann.client.on("picture?", lambda thumb: ("reversed", thumb[::-1]), namespace="/judge")
        answered = self.hears(ann, "answered", "/judge")

        self.assertEqual(await ann.call("echo", {"n": [1.5, None]}, namespace="/judge"), {"n": [1.5, None]})
        drawing = ("sea", THUMB, {"name": "b", "pixels": PIXELS})
        self.assertEqual(await ann.call("draw", drawing, namespace="/judge"), drawing)
        await ann.emit("ask", "how are you?", namespace="/judge")
        self.assertEqual(await self.next(answered), ({"answer": "how are you?"},))
        await ann.emit("ask picture", THUMB, namespace="/judge")
        self.assertEqual(await self.next(answered), ("reversed", THUMB[::-1]))

    async def test_a_message_of_900_kb_goes_both_ways(self):
        # Not with "é": the client writes that in six bytes by itself.
        room, content = self.room("large"), "nuncio" * 150_000
        ann = await self.client("ann")
        heard = self.hears(ann, "message:new")
        await self.join(ann, room=room)

        ack = await ann.call("message:send", {"roomId": room, "content": content})

        self.assertEqual(ack["status"], "ok", ack)
        (message,) = await self.next(heard)
        self.assertEqual(message["content"], content)

    async def test_private_messages_and_typing(self):
        room = self.room("desk")
        ann, bob = await self.client("ann"), await self.client("bob")
        whispers, typing = self.hears(bob, "message:private"), self.hears(bob, "user:typing")
        answers = self.hears(ann, "message:private")
        await self.join(ann, bob, room=room)

        sent = await ann.call("message:private", {"to": "bob", "content": "psst"})
        self.assertEqual(sent, {"status": "ok", "sessions": 1})
        (whisper,) = await self.next(whispers)
        self.assertEqual((whisper["from"], whisper["content"]), (ann.client.get_sid(), "psst"))
        await bob.emit("message:private", {"to": whisper["from"], "content": "yes?"})
        self.assertEqual((await self.next(answers))[0]["content"], "yes?")

        await ann.emit("typing:start", room)
        self.assertEqual(await self.next(typing), ({"roomId": room, "userId": "ann", "typing": True},))

    async def test_a_second_namespace_shares_the_connection_and_no_rooms(self):
        room = self.room("same")
        ann = await self.client("ann", ["/", "/chat"])
        self.assertNotEqual(ann.client.get_sid("/"), ann.client.get_sid("/chat"))
        here, there = self.hears(ann, "message:new"), self.hears(ann, "message:new", "/chat")
        await self.join(ann, room=room)
        await self.join(ann, room=room, namespace="/chat")

        await ann.call("message:send", {"roomId": room, "content": "in /chat"}, namespace="/chat")
        self.assertEqual((await self.next(there))[0]["content"], "in /chat")
        await ann.call("message:send", {"roomId": room, "content": "in /"})
        self.assertEqual((await self.next(here))[0]["content"], "in /")

    async def test_1000_messages_and_1000_events_of_the_server_arrive_in_order(self):
        room = self.room("burst")
        ann = await self.client("ann", ["/", "/judge"])
        messages, numbers = self.hears(ann, "message:new"), self.hears(ann, "number", "/judge")
        await self.join(ann, room=room)

        for number in range(1000):
            await ann.emit("message:send", {"roomId": room, "content": number})
        heard = [(await self.next(messages))[0] for _ in range(1000)]
        await ann.emit("count", 1000, namespace="/judge")
        counted = [(await self.next(numbers))[0] for _ in range(1000)]

        if not self.kind.keeps_order:
            heard.sort(key=lambda message: message["seq"])
            counted.sort()
        self.assertEqual([message["content"] for message in heard], list(range(1000)))
        self.assertEqual(counted, list(range(1000)))

    async def test_a_client_that_is_sent_away_stays_away(self):
        for event in ("leave", "hang up"):
            ends = queue.Queue()
            ann = await self.client("ann", ["/judge"], handlers={("disconnect", "/judge"): ends.put})
            await ann.emit(event, namespace="/judge")
            self.assertEqual(await self.next(ends), ann.client.reason.SERVER_DISCONNECT)
            self.assertEqual(ann.client.namespaces, {})

    async def test_the_client_comes_back_after_a_kill_and_after_a_graceful_shutdown(self):
        connects, ends = queue.Queue(), queue.Queue()
        handlers = {("connect", "/"): lambda: connects.put(True), ("disconnect", "/"): ends.put}
        ann = await self.client("ann", handlers=handlers)
        await self.next(connects)
        for end in (server.kill, server.stop):
            await asyncio.to_thread(end)
            await self.next(ends)
            await asyncio.to_thread(server.start)
            await self.next(connects)
            await self.join(ann, room=self.room("after"))


for kind in (Sync, Async):
    for name, transports in TRANSPORTS.items():
        name = f"{kind.__name__}Over{name}"
        members = {"kind": kind, "transports": transports}
        globals()[name] = type(name, (Scenarios, unittest.IsolatedAsyncioTestCase), members)

if __name__ == "__main__":
    unittest.main(verbosity=2)
