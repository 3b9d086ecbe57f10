// Prints Waggle's events as JSON lines, and never loses one: handles each response's events, then
// stores its cursor, then reads the next; when the stream ends, waits and subscribes again with the
// cursor. A crash repeats some events at most. Put your own handling in place of printEvents.

import { existsSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { create, toJsonString } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { ErrorInfoSchema, RetryInfoSchema } from "waggle-stubs/google/rpc/error_details_pb";
import { EventSchema, type Event } from "waggle-stubs/waggle/v1/event_pb";
import {
  EventFilterSchema,
  EventService,
  StartPosition,
  SubscribeRequestSchema,
  type SubscribeRequest,
  type SubscribeResponse,
} from "waggle-stubs/waggle/v1/event_service_pb";

const HELP = `Prints Waggle's events as JSON lines, and never loses one.

  --target HOST:PORT             the gateway's gRPC address (127.0.0.1:50051)
  --type-name NAME               filters, each repeatable: values of one flag are
  --connector ID                 alternatives, different flags must all match
  --origin ID
  --endpoint NAME
  --cursor-file FILE             keeps the cursor; resumes there if it exists
  --from earliest|latest         where to start without a cursor (latest)
  --on-gap fail|earliest|latest  when events were removed unseen (fail)
  --heartbeat SECONDS            between the gateway's signs of life, 1 to 600 (30)
  --tls-ca FILE                  TLS, verified by these authorities (PEM)
  --token-file FILE              bearer token, read anew for each attempt

Exit codes: 0 on SIGTERM, SIGINT or when nobody reads the output; 1 if a file
cannot be used; 2 for a wrong command line; 3 if the gateway refuses the request;
4 if events were removed before they were seen.`;

const POSITIONS = new Map<string, SubscribeRequest["start"]>([
  ["earliest", { case: "position", value: StartPosition.EARLIEST }],
  ["latest", { case: "position", value: StartPosition.LATEST }],
]);
// Asking again would bring the same.
const PERMANENT = [
  Code.InvalidArgument,
  Code.NotFound,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.FailedPrecondition,
  Code.OutOfRange,
  Code.Unimplemented,
];
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;
// Keeps a mistaken RetryInfo from being the end.
const LONGEST_DELAY_MS = 300_000;

type Flags = ReturnType<typeof parseFlags>;

function parseFlags() {
  const text = { type: "string" } as const;
  const list = { type: "string", multiple: true, default: [] as string[] } as const;
  const { values: flags } = parseArgs({
    options: {
      help: { type: "boolean", short: "h" },
      target: { ...text, default: "127.0.0.1:50051" },
      "type-name": list,
      connector: list,
      origin: list,
      endpoint: list,
      "cursor-file": text,
      from: { ...text, default: "latest" },
      "on-gap": { ...text, default: "fail" },
      heartbeat: { ...text, default: "30" },
      "tls-ca": text,
      "token-file": text,
    },
  });
  if (flags.help) {
    console.log(HELP);
    process.exit();
  }
  if (!URL.canParse(`http://${flags.target}`)) throw new Error("--target must be HOST:PORT");
  if (!POSITIONS.has(flags.from)) throw new Error("--from must be earliest or latest");
  if (!POSITIONS.has(flags["on-gap"]) && flags["on-gap"] !== "fail")
    throw new Error("--on-gap must be fail, earliest or latest");
  const seconds = Number(flags.heartbeat);
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 600)
    throw new Error("--heartbeat must be 1 to 600");
  return flags;
}

/** Goes on until `stop` is aborted. */
async function run(flags: Flags, stop: AbortSignal): Promise<void> {
  const request = firstRequest(flags);
  const tls = flags["tls-ca"] ? { ca: read(flags["tls-ca"]) } : {};
  if (tls.ca !== undefined && !tls.ca.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(`${flags["tls-ca"]} holds no certificate in PEM`);
  headers(flags); // shows now whether the token can be read
  let backoffMs = FIRST_PAUSE_MS;
  while (!stop.aborted) {
    let end = new ConnectError("the gateway ended the stream", Code.Unavailable);
    try {
      for await (const response of subscribe(flags, tls, request, stop)) {
        backoffMs = FIRST_PAUSE_MS;
        await printEvents(response.events);
        await storeCursor(flags, request, response.cursor);
      }
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      end = error;
    }
    if (stop.aborted) break;
    const info = end.findDetails(ErrorInfoSchema).find(({ domain }) => domain === "waggle.dev");
    if (info?.reason === "CURSOR_EXPIRED" || info?.reason === "CURSOR_STORE_MISMATCH") {
      if (flags["on-gap"] === "fail")
        fail(4, `${end.message}; --on-gap=earliest or --on-gap=latest goes on all the same`);
      request.start = POSITIONS.get(flags["on-gap"]) ?? { case: undefined };
    } else if (PERMANENT.includes(end.code)) {
      fail(3, end.message);
    }
    // Never sooner than asked, and not all consumers at once.
    const retry = end.findDetails(RetryInfoSchema)[0]?.retryDelay;
    const delayMs = Math.min(retry ? durationMs(retry) : 0, LONGEST_DELAY_MS);
    const pauseMs = Math.max(
      (backoffMs * (1 + Math.random())) / 2,
      delayMs * (1 + Math.random() / 5),
    );
    backoffMs = Math.min(2 * backoffMs, LONGEST_PAUSE_MS);
    console.error(`${end.message}; again in ${(pauseMs / 1000).toFixed(2)} s`);
    await sleep(pauseMs, undefined, { signal: stop }).catch(() => {});
  }
}

/** One stream, over a connection of its own: one that died in silence is not used again. */
async function* subscribe(
  flags: Flags,
  tls: { ca?: string },
  request: SubscribeRequest,
  stop: AbortSignal,
): AsyncGenerator<SubscribeResponse> {
  const silence = new AbortController();
  const dead = new ConnectError("a dead connection: not even a heartbeat came", Code.Unavailable);
  const watch = () => setTimeout(() => silence.abort(dead), 3000 * Number(flags.heartbeat));
  const baseUrl = `${tls.ca ? "https" : "http"}://${flags.target}`;
  const pings = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };
  const sessionManager = new Http2SessionManager(baseUrl, pings, tls);
  const transport = createGrpcTransport({ baseUrl, sessionManager, readMaxBytes: 64 << 20 });
  let watchdog = watch();
  try {
    for await (const response of createClient(EventService, transport).subscribe(request, {
      headers: headers(flags),
      signal: AbortSignal.any([stop, silence.signal]),
    })) {
      clearTimeout(watchdog); // handling may take its time
      yield response;
      watchdog = watch();
    }
  } finally {
    clearTimeout(watchdog);
    // Not at once: a connection that failed has yet to say so, to the manager or else to nobody.
    setTimeout(() => sessionManager.abort(), 100);
  }
}

function headers(flags: Flags): HeadersInit {
  if (!flags["token-file"]) return {};
  // Anew each time, since tokens are rotated in place.
  const token = read(flags["token-file"]);
  if (!/^[!-~]+$/.test(token))
    throw new ConnectError(`${flags["token-file"]} holds no token`, Code.Unavailable);
  return { authorization: `Bearer ${token}` };
}

function firstRequest(flags: Flags): SubscribeRequest {
  const request = create(SubscribeRequestSchema, {
    heartbeatInterval: durationFromMs(1000 * Number(flags.heartbeat)),
  });
  const filter = {
    typeNames: flags["type-name"],
    connectorIds: flags.connector,
    originIds: flags.origin,
    endpoints: flags.endpoint,
  };
  if (Object.values(filter).some((values) => values.length > 0))
    request.filters = [create(EventFilterSchema, filter)];
  request.start = POSITIONS.get(flags.from) ?? { case: undefined };
  if (flags["cursor-file"] && existsSync(flags["cursor-file"])) {
    const cursor = read(flags["cursor-file"]);
    if (cursor === "")
      throw new Error(`${flags["cursor-file"]} is empty; remove it to start without a cursor`);
    request.start = { case: "afterCursor", value: cursor };
  }
  return request;
}

/** The file holds a whole cursor at any moment, whatever ends the process. */
async function storeCursor(flags: Flags, request: SubscribeRequest, cursor: string): Promise<void> {
  if (cursor === request.start.value) return;
  if (flags["cursor-file"]) {
    const draft = `${flags["cursor-file"]}.new`;
    await writeFile(draft, `${cursor}\n`, { flush: true });
    await rename(draft, flags["cursor-file"]);
  }
  request.start = { case: "afterCursor", value: cursor };
}

/** Resolves once the operating system has taken the lines. */
function printEvents(events: Event[]): Promise<void> {
  const lines = events.map((event) => `${toJsonString(EventSchema, event)}\n`).join("");
  return new Promise((resolve, reject) => {
    process.stdout.write(lines, (error) => (error ? reject(error) : resolve()));
  });
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    // Passing once it runs: whoever replaces the token may be at it.
    throw new ConnectError(`${path}: ${(error as Error).message}`, Code.Unavailable);
  }
}

function fail(exitCode: number, message: string): never {
  console.error(message);
  process.exit(exitCode);
}

let flags: Flags;
try {
  flags = parseFlags();
} catch (error) {
  fail(2, `${(error as Error).message}; --help tells more`);
}
const stop = new AbortController();
// A second signal ends it even while nobody reads the output.
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => stop.abort());
process.stdout.on("error", () => {}); // the write fails as well
try {
  await run(flags, stop.signal);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== "EPIPE")
    fail(1, ConnectError.from(error).rawMessage);
}
