// The official Java client over each of its transports, against the program that SERVER_BIN names.

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
        scenario("a message is acknowledged and reaches the room", Official::message);
        scenario("an event with binary data reaches the room as it was", Official::binary);
        scenario("private messages and typing", Official::privateAndTyping);
        scenario("a second namespace shares the connection and no rooms", Official::secondNamespace);
        scenario("a message of 900 KB goes both ways", Official::large);
        scenario("1,000 messages arrive in order", Official::burst);
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
    Socket socket = socket("/", "wrong");
    BlockingQueue<Object[]> errors = events(socket, Socket.EVENT_CONNECT_ERROR);
    socket.connect();
    JSONObject error = (JSONObject) take(errors)[0];
    same("Authentication failed", error.getString("message"));
    same("NOT_AUTHENTICATED", error.getJSONObject("data").getString("code"));
  }

  static void message() throws Exception {
    Socket ann = connected("ann");
    Socket bob = connected("bob");
    BlockingQueue<Object[]> messages = events(bob, "message:new");
    for (Socket socket : List.of(ann, bob)) join(socket, "lobby");
    JSONObject ack = ask(ann, "message:send", object("roomId", "lobby", "content", object("text", "Hello")));
    JSONObject message = (JSONObject) take(messages)[0];
    same(ack.getInt("seq"), message.getInt("seq"));
    same("ann", message.getString("userId"));
    same("Hello", message.getJSONObject("content").getString("text"));
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
    same(java.util.Arrays.toString(bytes), java.util.Arrays.toString((byte[]) drawn[1]));
    same("end", drawn[2]);
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

  static Socket socket(String namespace, String token) {
    IO.Options options =
        IO.Options.builder()
            .setTransports(transports)
            .setAuth(Map.of("token", token))
            .setForceNew(true)
            .setReconnectionDelay(50)
            .setReconnectionDelayMax(500)
            .build();
    Socket socket = IO.socket(URI.create("http://" + server.address + namespace), options);
    open.add(socket);
    return socket;
  }

  static Socket connected(String name) throws Exception {
    Socket socket = socket("/", server.token(name));
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
    BlockingQueue<Object[]> answers = new LinkedBlockingQueue<>();
    socket.emit(event, new Object[] {argument}, (Ack) answers::add);
    JSONObject answer = (JSONObject) take(answers)[0];
    same("ok", answer.getString("status"));
    return answer;
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
