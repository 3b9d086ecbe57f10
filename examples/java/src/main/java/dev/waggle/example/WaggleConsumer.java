package dev.waggle.example;

import static io.grpc.Metadata.ASCII_STRING_MARSHALLER;
import static java.nio.charset.StandardCharsets.UTF_8;

import com.google.protobuf.Any;
import com.google.protobuf.util.Durations;
import com.google.protobuf.util.JsonFormat;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import dev.waggle.v1.Event;
import dev.waggle.v1.EventFilter;
import dev.waggle.v1.EventServiceGrpc;
import dev.waggle.v1.StartPosition;
import dev.waggle.v1.SubscribeRequest;
import dev.waggle.v1.SubscribeResponse;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.apache.commons.cli.CommandLine;
import org.apache.commons.cli.DefaultParser;
import org.apache.commons.cli.Options;
import org.apache.commons.cli.ParseException;
import org.apache.commons.cli.help.HelpFormatter;

/** Prints Waggle's events as JSON lines, and never loses one. */
public final class WaggleConsumer {
  private static final Options OPTIONS =
      new Options()
          .addOption(null, "target", true, "HOST:PORT; by default 127.0.0.1:50051")
          .addOption(null, "type-name", true, "only these; values are alternatives")
          .addOption(null, "connector", true, "only these; values are alternatives")
          .addOption(null, "origin", true, "only these; values are alternatives")
          .addOption(null, "endpoint", true, "only these; values are alternatives")
          .addOption(null, "cursor-file", true, "keeps the cursor; resume there if it exists")
          .addOption(null, "from", true, "earliest or latest; by default latest")
          .addOption(null, "on-gap", true, "fail, earliest or latest; by default fail")
          .addOption(null, "heartbeat", true, "seconds, 1 to 600; by default 30")
          .addOption(null, "tls-ca", true, "TLS, verified by these authorities (PEM)")
          .addOption(null, "token-file", true, "bearer token, read anew for each attempt")
          .addOption(null, "help", false, "prints this");
  private static final String EXIT_CODES =
      "Exit codes: 0 signal or closed output, 1 failure, 2 bad command line, 3 refused, 4 gap";
  // Asking again would bring the same.
  private static final String PERMANENT =
      "INVALID_ARGUMENT|UNAUTHENTICATED|PERMISSION_DENIED|UNIMPLEMENTED|OUT_OF_RANGE"
          + "|FAILED_PRECONDITION|NOT_FOUND";
  private final FileOutputStream output = new FileOutputStream(FileDescriptor.out);
  private final CommandLine flags;
  private final String onGap;
  private final int heartbeat;
  private final ChannelCredentials credentials;
  // The next attempt's: its start moves along with what was handled.
  private final SubscribeRequest.Builder request = SubscribeRequest.newBuilder();
  private double backoff = 0.1;

  private WaggleConsumer(CommandLine flags) throws IOException, ParseException {
    this.flags = flags;
    String from = flags.getOptionValue("from", "latest");
    String seconds = flags.getOptionValue("heartbeat", "30");
    onGap = flags.getOptionValue("on-gap", "fail");
    if (!from.matches("earliest|latest")
        || !onGap.matches("fail|earliest|latest")
        || !seconds.matches("[1-9]\\d?|[1-5]\\d\\d|600")
        || !flags.getArgList().isEmpty()) {
      throw new ParseException("a value is not of those that the flag takes");
    }
    heartbeat = Integer.parseInt(seconds);
    String ca = flags.getOptionValue("tls-ca");
    credentials =
        ca == null
            ? InsecureChannelCredentials.create()
            : TlsChannelCredentials.newBuilder().trustManager(Path.of(ca).toFile()).build();
    headers();
    EventFilter filter =
        EventFilter.newBuilder()
            .addAllTypeNames(values("type-name"))
            .addAllConnectorIds(values("connector"))
            .addAllOriginIds(values("origin"))
            .addAllEndpoints(values("endpoint"))
            .build();
    if (filter.getSerializedSize() > 0) request.addFilters(filter);
    request.setHeartbeatInterval(Durations.fromSeconds(heartbeat)).setPosition(position(from));
    String cursor = flags.getOptionValue("cursor-file", "");
    if (!cursor.isEmpty() && Files.exists(Path.of(cursor))) request.setAfterCursor(read(cursor));
  }

  public static void main(String[] args) {
    Thread main = Thread.currentThread();
    Runnable stop =
        () -> {
          main.interrupt();
          LockSupport.parkNanos(10_000_000_000L); // By then it ends even while writing blocks.
        };
    Runtime.getRuntime().addShutdownHook(new Thread(stop));
    try {
      CommandLine flags = new DefaultParser(false).parse(OPTIONS, args);
      if (flags.hasOption("help")) {
        HelpFormatter help = HelpFormatter.builder().setShowSince(false).get();
        help.printHelp("waggle-consumer", "", OPTIONS, EXIT_CODES, false);
        exit(0, "");
      }
      WaggleConsumer consumer = new WaggleConsumer(flags);
      while (true) consumer.recover(consumer.follow());
    } catch (InterruptedException e) {
      exit(0, "ended by a signal");
    } catch (ParseException e) {
      exit(2, e.getMessage() + "; see --help");
    } catch (Throwable e) {
      exit(1, e.toString());
    }
  }

  private static void exit(int code, String message) {
    System.err.println(message);
    // Not System.exit(), which waits for the hook and gives the signal's code.
    Runtime.getRuntime().halt(code);
  }

  /** Handles a stream until it ends, and returns why. */
  private StatusException follow() throws InterruptedException {
    // A connection for each attempt: one that died in silence is not used again.
    var channel =
        Grpc.newChannelBuilder(flags.getOptionValue("target", "127.0.0.1:50051"), credentials)
            .keepAliveTime(30, TimeUnit.SECONDS)
            .keepAliveTimeout(10, TimeUnit.SECONDS)
            .maxInboundMessageSize(64 << 20)
            .build();
    try {
      var call =
          EventServiceGrpc.newBlockingV2Stub(channel)
              .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers()))
              .subscribe(request.build());
      while (true) {
        SubscribeResponse response = call.read(3L * heartbeat, TimeUnit.SECONDS);
        if (response == null) return Status.OK.asException();
        handle(response);
      }
    } catch (StatusException e) {
      return e;
    } catch (TimeoutException | IOException e) { // The latter of the token's file.
      return Status.UNAVAILABLE.withDescription(e.toString()).asException();
    } finally {
      channel.shutdownNow();
    }
  }

  private void handle(SubscribeResponse response) {
    backoff = 0.1;
    try {
      StringBuilder lines = new StringBuilder();
      for (Event event : response.getEventsList()) {
        lines.append(JsonFormat.printer().omittingInsignificantWhitespace().print(event) + "\n");
      }
      output.write(lines.toString().getBytes(UTF_8));
      if (response.getCursor().equals(request.getAfterCursor())) return;
      request.setAfterCursor(response.getCursor());
      String file = flags.getOptionValue("cursor-file");
      if (file != null) store(Path.of(file), response.getCursor());
    } catch (IOException e) {
      exit("Broken pipe".equals(e.getMessage()) ? 0 : 1, e.toString());
    }
  }

  /** In one step, so that the file never holds half a cursor. */
  private static void store(Path file, String cursor) throws IOException {
    Path fresh = Path.of(file + ".new");
    // Not by Files.write, which fails in a thread that a signal interrupted.
    try (FileOutputStream out = new FileOutputStream(fresh.toFile())) {
      out.write(cursor.getBytes(UTF_8));
      out.getFD().sync();
    }
    Files.move(fresh, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Ends the program, or waits until it is time for the next stream. */
  private void recover(StatusException end) throws InterruptedException {
    String reason = "";
    double delay = 0;
    try {
      for (Any detail : StatusProto.fromThrowable(end).getDetailsList()) {
        if (detail.is(RetryInfo.class)) {
          delay = Durations.toSecondsAsDouble(detail.unpack(RetryInfo.class).getRetryDelay());
        } else if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          if (info.getDomain().equals("waggle.dev")) reason = info.getReason();
        }
      }
    } catch (IOException | IllegalArgumentException e) { // Not the gateway's.
    }
    if (reason.equals("CURSOR_EXPIRED") || reason.equals("CURSOR_STORE_MISMATCH")) {
      if (onGap.equals("fail")) exit(4, end.getMessage() + "; see --on-gap");
      request.setPosition(position(onGap));
    } else if (end.getStatus().getCode().name().matches(PERMANENT)) {
      exit(3, end.getMessage());
    }
    // By chance, so that not all consumers come back at once.
    double pause = Math.max(backoff * (1 + Math.random()) / 2, delay * (1 + Math.random() / 5));
    backoff = Math.min(2 * backoff, 10);
    String why = end.getMessage(); // "io exception", whatever that was.
    for (Throwable e = end.getCause(); e != null; e = e.getCause()) why += "; " + e.getMessage();
    System.err.printf("reconnecting in %.1f s: %s%n", pause, why);
    Thread.sleep((long) Math.ceil(pause * 1000));
  }

  private static StartPosition position(String name) {
    return StartPosition.valueOf("START_POSITION_" + name.toUpperCase(Locale.ROOT));
  }

  private Metadata headers() throws IOException {
    Metadata headers = new Metadata();
    String file = flags.getOptionValue("token-file");
    if (file != null) {
      headers.put(
          Metadata.Key.of("authorization", ASCII_STRING_MARSHALLER), "Bearer " + read(file));
    }
    return headers;
  }

  private List<String> values(String flag) {
    return flags.hasOption(flag) ? List.of(flags.getOptionValues(flag)) : List.of();
  }

  private static String read(String file) throws IOException {
    try (FileInputStream in = new FileInputStream(file)) {
      String text = new String(in.readAllBytes(), UTF_8).strip();
      if (text.isEmpty()) throw new IOException(file + " is empty");
      return text;
    }
  }
}
