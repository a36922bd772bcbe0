// The official Java client over each of its transports, against the program that SERVER_BIN names: `e2e/src/bin/judged.rs`.

import io.socket.client.Ack;
import io.socket.client.IO;
import io.socket.client.Socket;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.json.JSONArray;
import org.json.JSONObject;

public class Official {
  static final String[][] TRANSPORTS = {{"polling"}, {"websocket"}, {"polling", "websocket"}};
  static final int PATIENCE_SECONDS = 20;
  static final byte[] THUMB = {0, 0x1e, 1, 4, (byte) 0xff};
  static final byte[] PIXELS = "nuncio".repeat(16_384).getBytes();

  static Server server;
  static String[] transports;
  static final List<Socket> open = new ArrayList<>();

  interface Scenario {
    void run() throws Exception;
  }

  public static void main(String[] args) throws Exception {
    server = new Server();
    try {
      for (String[] each : TRANSPORTS) {
        transports = each;
        scenario("a wrong token is refused with data", Official::wrongToken);
        scenario("a middleware refuses with data", Official::middleware);
        scenario("a message is acknowledged and reaches everybody in the room", Official::message);
        scenario("an event with binary data reaches the room as it was", Official::binary);
        scenario("binary data reaches everybody in the namespace", Official::binaryBroadcast);
        scenario("acknowledgements of the server carry text and binary data", Official::acks);
        scenario("acknowledgements of the client carry text and binary data", Official::questions);
        scenario("private messages and typing", Official::privateAndTyping);
        scenario("a second namespace shares the connection and no rooms", Official::secondNamespace);
        scenario("a message of 900 KB goes both ways", Official::large);
        scenario("1,000 messages arrive in order", Official::burst);
        scenario("1,000 events of the server arrive in order", Official::count);
        scenario("a client that is sent away stays away", Official::sentAway);
        scenario("the client comes back by itself after a kill and after a graceful shutdown", Official::reconnection);
      }
    } catch (AssertionError | Exception failure) {
      failure.printStackTrace();
      System.exit(1);
    } finally {
      server.end();
    }
    // The client's threads outlive its sockets.
    System.exit(0);
  }

  static void scenario(String name, Scenario scenario) throws Exception {
    long begin = System.nanoTime();
    scenario.run();
    for (Socket socket : open) socket.close();
    open.clear();
    System.out.printf("ok %s: %s (%d ms)%n", String.join(", ", transports), name, (System.nanoTime() - begin) / 1_000_000);
  }

  static void wrongToken() throws Exception {
    Socket socket = socket("/", Map.of("token", "wrong"));
    BlockingQueue<Object[]> errors = events(socket, Socket.EVENT_CONNECT_ERROR);
    socket.connect();
    JSONObject error = (JSONObject) take(errors)[0];
    same("Authentication failed", error.getString("message"));
    same("NOT_AUTHENTICATED", error.getJSONObject("data").getString("code"));
  }

  static void middleware() throws Exception {
    Socket socket = socket("/judge", Map.of("token", server.token("ann"), "word", "refuse me"));
    BlockingQueue<Object[]> errors = events(socket, Socket.EVENT_CONNECT_ERROR);
    socket.connect();
    JSONObject error = (JSONObject) take(errors)[0];
    same("not in here", error.getString("message"));
    same("[1,2]", error.getJSONObject("data").getJSONArray("days").toString());
  }

  static void message() throws Exception {
    Socket ann = connected("ann");
    Socket bob = connected("bob");
    BlockingQueue<Object[]> messages = events(bob, "message:new");
    BlockingQueue<Object[]> own = events(ann, "message:new");
    for (Socket socket : List.of(ann, bob)) join(socket, "lobby");
    JSONObject ack = ask(ann, "message:send", object("roomId", "lobby", "content", object("text", "Hello")));
    JSONObject message = (JSONObject) take(messages)[0];
    same(ack.getInt("seq"), message.getInt("seq"));
    same("ann", message.getString("userId"));
    same("Hello", message.getJSONObject("content").getString("text"));
    same(ack.getString("id"), ((JSONObject) take(own)[0]).getString("id"));
  }

  static void binary() throws Exception {
    Socket ann = connected("ann");
    Socket bob = connected("bob");
    BlockingQueue<Object[]> drawings = events(bob, "draw");
    for (Socket socket : List.of(ann, bob)) join(socket, "board");
    byte[] bytes = {0, 0x1e, 1, (byte) 0xff};
    JSONArray data = new JSONArray().put(7).put(bytes).put("end");
    ask(ann, "event", object("roomId", "board", "event", "draw", "data", data));
    Object[] drawn = take(drawings);
    same(7, drawn[0]);
    bytes(bytes, drawn[1]);
    same("end", drawn[2]);
  }

  static void binaryBroadcast() throws Exception {
    Socket ann = connected("/judge", "ann");
    Socket bob = connected("/judge", "bob");
    List<BlockingQueue<Object[]>> heard = List.of(events(ann, "told"), events(bob, "told"));
    ann.emit("tell", "all", PIXELS);
    for (BlockingQueue<Object[]> told : heard) {
      Object[] what = take(told);
      same("all", what[0]);
      bytes(PIXELS, what[1]);
    }
  }

  static void acks() throws Exception {
    Socket ann = connected("/judge", "ann");
    same("text", answer(ann, "echo", "text")[0]);
    Object[] drawn = answer(ann, "draw", "sea", THUMB, object("name", "b", "pixels", PIXELS));
    same("sea", drawn[0]);
    bytes(THUMB, drawn[1]);
    same("b", ((JSONObject) drawn[2]).getString("name"));
    bytes(PIXELS, ((JSONObject) drawn[2]).get("pixels"));
  }

  static void questions() throws Exception {
    Socket ann = connected("/judge", "ann");
    BlockingQueue<Object[]> answered = events(ann, "answered");
    ann.on("question", args -> ((Ack) args[1]).call("answer to " + args[0]));
    ann.on("picture?", args -> ((Ack) args[1]).call("as it was", args[0]));
    ann.emit("ask", "how are you?");
    same("answer to how are you?", take(answered)[0]);
    ann.emit("ask picture", THUMB);
    Object[] picture = take(answered);
    same("as it was", picture[0]);
    bytes(THUMB, picture[1]);
  }

  static void privateAndTyping() throws Exception {
    Socket ann = connected("ann");
    Socket bob = connected("bob");
    BlockingQueue<Object[]> whispers = events(bob, "message:private");
    BlockingQueue<Object[]> typing = events(bob, "user:typing");
    for (Socket socket : List.of(ann, bob)) join(socket, "desk");
    same(1, ask(ann, "message:private", object("to", "bob", "content", "psst")).getInt("sessions"));
    JSONObject whisper = (JSONObject) take(whispers)[0];
    same(ann.id(), whisper.getString("from"));
    same("psst", whisper.getString("content"));
    ann.emit("typing:start", "desk");
    same("ann", ((JSONObject) take(typing)[0]).getString("userId"));
  }

  static void secondNamespace() throws Exception {
    Socket ann = connected("ann");
    IO.Options options = IO.Options.builder().setTransports(transports).setAuth(Map.of("token", server.token("ann"))).build();
    Socket chat = ann.io().socket("/chat", options);
    open.add(chat);
    BlockingQueue<Object[]> connects = events(chat, Socket.EVENT_CONNECT);
    chat.connect();
    take(connects);
    for (Socket socket : List.of(ann, chat)) join(socket, "same");
    BlockingQueue<Object[]> here = events(ann, "message:new");
    BlockingQueue<Object[]> there = events(chat, "message:new");
    ask(chat, "message:send", object("roomId", "same", "content", "in /chat"));
    same("in /chat", ((JSONObject) take(there)[0]).getString("content"));
    chat.disconnect();
    ask(ann, "message:send", object("roomId", "same", "content", "in /"));
    same("in /", ((JSONObject) take(here)[0]).getString("content"));
  }

  static void large() throws Exception {
    Socket ann = connected("ann");
    join(ann, "large");
    BlockingQueue<Object[]> messages = events(ann, "message:new");
    String content = "é".repeat(450_000);
    ask(ann, "message:send", object("roomId", "large", "content", content));
    same(content, ((JSONObject) take(messages)[0]).getString("content"));
  }

  static void burst() throws Exception {
    Socket ann = connected("ann");
    Socket bob = connected("bob");
    String room = "burst " + String.join(" ", transports);
    BlockingQueue<Object[]> messages = events(bob, "message:new");
    for (Socket socket : List.of(ann, bob)) join(socket, room);
    for (int n = 0; n < 1000; n++) ann.emit("message:send", object("roomId", room, "content", n));
    List<Integer> heard = new ArrayList<>();
    while (heard.size() < 1000) heard.add(((JSONObject) take(messages)[0]).getInt("content"));
    same(IntStream.range(0, 1000).boxed().toList(), heard);
  }

  static void count() throws Exception {
    Socket ann = connected("/judge", "ann");
    BlockingQueue<Object[]> numbers = events(ann, "number");
    ann.emit("count", 1000);
    List<Object> heard = new ArrayList<>();
    while (heard.size() < 1000) heard.add(take(numbers)[0]);
    same(IntStream.range(0, 1000).<Object>boxed().toList(), heard);
  }

  static void sentAway() throws Exception {
    for (String event : List.of("leave", "hang up")) {
      Socket ann = connected("/judge", "ann");
      BlockingQueue<Object[]> ends = events(ann, Socket.EVENT_DISCONNECT);
      ann.emit(event);
      same("io server disconnect", take(ends)[0]);
      same(false, ann.connected());
    }
  }

  static void reconnection() throws Exception {
    Socket ann = connected("ann");
    BlockingQueue<Object[]> ends = events(ann, Socket.EVENT_DISCONNECT);
    BlockingQueue<Object[]> connects = events(ann, Socket.EVENT_CONNECT);
    for (String end : List.of("kill", "stop")) {
      if (end.equals("kill")) server.kill();
      else server.stop();
      String reason = (String) take(ends)[0];
      if (!reason.startsWith("transport")) throw new AssertionError(end + ": " + reason);
      server.start();
      take(connects);
      join(ann, "after");
    }
  }

  static Socket socket(String namespace, Map<String, String> auth) {
    IO.Options options =
        IO.Options.builder()
            .setTransports(transports)
            .setAuth(auth)
            .setForceNew(true)
            .setReconnectionDelay(50)
            .setReconnectionDelayMax(500)
            .build();
    Socket socket = IO.socket(URI.create("http://" + server.address + namespace), options);
    open.add(socket);
    return socket;
  }

  static Socket connected(String name) throws Exception {
    return connected("/", name);
  }

  static Socket connected(String namespace, String name) throws Exception {
    Socket socket = socket(namespace, Map.of("token", server.token(name)));
    BlockingQueue<Object[]> connects = events(socket, Socket.EVENT_CONNECT);
    socket.connect();
    take(connects);
    return socket;
  }

  static void join(Socket socket, String room) throws Exception {
    ask(socket, "room:join", room);
  }

  /** Emits, and waits for an acknowledgement that must be a good one. */
  static JSONObject ask(Socket socket, String event, Object argument) throws Exception {
    JSONObject answer = (JSONObject) answer(socket, event, argument)[0];
    same("ok", answer.getString("status"));
    return answer;
  }

  /** The arguments of an acknowledgement. */
  static Object[] answer(Socket socket, String event, Object... arguments) throws Exception {
    BlockingQueue<Object[]> answers = new LinkedBlockingQueue<>();
    socket.emit(event, arguments, (Ack) answers::add);
    return take(answers);
  }

  static BlockingQueue<Object[]> events(Socket socket, String name) {
    BlockingQueue<Object[]> events = new LinkedBlockingQueue<>();
    socket.on(name, events::add);
    return events;
  }

  static Object[] take(BlockingQueue<Object[]> events) throws InterruptedException {
    Object[] event = events.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
    if (event == null) throw new AssertionError("waited in vain");
    return event;
  }

  static JSONObject object(Object... fields) throws Exception {
    JSONObject object = new JSONObject();
    for (int index = 0; index < fields.length; index += 2) object.put((String) fields[index], fields[index + 1]);
    return object;
  }

  static void bytes(byte[] wanted, Object found) {
    if (!java.util.Arrays.equals(wanted, (byte[]) found)) throw new AssertionError("the bytes are not what they were");
  }

  static void same(Object wanted, Object found) {
    if (!Objects.equals(wanted, found)) throw new AssertionError("wanted " + wanted + ", found " + found);
  }

  /** The server's program in demo mode, with a port and a folder of its own. */
  static class Server {
    final String address;
    final Path folder = Files.createTempDirectory("nuncio-java-");
    Process process;

    Server() throws Exception {
      try (ServerSocket free = new ServerSocket(0)) {
        address = "127.0.0.1:" + free.getLocalPort();
      }
      start();
    }

    void start() throws Exception {
      ProcessBuilder builder =
          new ProcessBuilder(System.getenv("SERVER_BIN"), "--listen", address, "--set", "limits.rate_per_second=0", "--set", "grants.namespaces=[\"/\", \"/chat\"]");
      builder.environment().put("NUNCIO_LOG_LEVEL", "error");
      process = builder.directory(folder.toFile()).redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT).start();
      for (int tries = 0; !isReady(); tries++) {
        if (tries > 1000 || !process.isAlive()) throw new AssertionError("the server did not start");
        Thread.sleep(20);
      }
    }

    boolean isReady() throws InterruptedException {
      try {
        return send(HttpRequest.newBuilder(URI.create("http://" + address + "/readyz")).build()).statusCode() == 200;
      } catch (IOException refused) {
        return false;
      }
    }

    String token(String name) throws Exception {
      HttpRequest.BodyPublisher body = HttpRequest.BodyPublishers.ofString(object("name", name).toString());
      return new JSONObject(send(HttpRequest.newBuilder(URI.create("http://" + address + "/demo/token")).POST(body).build()).body()).getString("token");
    }

    HttpResponse<String> send(HttpRequest request) throws IOException, InterruptedException {
      return HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
    }

    void kill() throws InterruptedException {
      process.destroyForcibly().waitFor();
    }

    void stop() throws InterruptedException {
      process.destroy();
      process.waitFor();
    }

    void end() throws Exception {
      kill();
      try (var files = Files.walk(folder)) {
        files.sorted(java.util.Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
      }
    }
  }
}
