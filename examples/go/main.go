// Prints Waggle's events as JSON lines, and never loses one: it handles each response's events, then
// stores its cursor, then receives the next; when the stream ends, it waits and subscribes again with
// the cursor. A crash repeats some events at most. Put your own handling in place of printEvents.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	wagglev1 "waggle.dev/gen/waggle/v1"
)

const help = `Prints Waggle's events as JSON lines, and never loses one.
%s
Values of one filter flag are alternatives; different flags must all match.
Exit codes: 0 on SIGTERM, SIGINT or when nobody reads the output; 1 if a file
cannot be used; 2 for a wrong command line; 3 if the gateway refuses; 4 for a gap.
`

// longestDelay keeps a mistaken RetryInfo from being the end.
const firstPause, longestPause, longestDelay = 100 * time.Millisecond, 10 * time.Second, 5 * time.Minute

var permanent = []codes.Code{codes.InvalidArgument, codes.NotFound, codes.PermissionDenied,
	codes.Unauthenticated, codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented}
var positions = map[string]*wagglev1.SubscribeRequest_Position{
	"earliest": {Position: wagglev1.StartPosition_START_POSITION_EARLIEST},
	"latest":   {Position: wagglev1.StartPosition_START_POSITION_LATEST},
}

type consumer struct {
	target, cursorFile, tokenFile, onGap string
	credentials                          credentials.TransportCredentials
	request                              *wagglev1.SubscribeRequest
	silenceTimeout, backoff              time.Duration
}

func main() {
	log.SetFlags(0)
	signal.Ignore(syscall.SIGPIPE) // the write fails instead
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop) // a second signal ends it even while writing blocks
	if err := configure().run(ctx); err != nil && !errors.Is(err, syscall.EPIPE) {
		fail(1, "%v", err)
	}
}

func fail(exitCode int, format string, args ...any) {
	log.Printf(format, args...)
	os.Exit(exitCode)
}

// configure makes a consumer of the command line and the files that it names.
func configure() *consumer {
	c := &consumer{credentials: insecure.NewCredentials(), request: &wagglev1.SubscribeRequest{}, backoff: firstPause}
	filter := &wagglev1.EventFilter{}
	pflag.StringVar(&c.target, "target", "127.0.0.1:50051", "the gateway's gRPC address, `HOST:PORT`")
	pflag.StringArrayVar(&filter.TypeNames, "type-name", nil, "filter: an event's `NAME` at Bindbee; repeatable")
	pflag.StringArrayVar(&filter.ConnectorIds, "connector", nil, "filter: a connector's `ID`; repeatable")
	pflag.StringArrayVar(&filter.OriginIds, "origin", nil, "filter: a connector's origin `ID`; repeatable")
	pflag.StringArrayVar(&filter.Endpoints, "endpoint", nil, "filter: an endpoint's `NAME`; repeatable")
	pflag.StringVar(&c.cursorFile, "cursor-file", "", "keeps the cursor in this `FILE`; resumes there if it exists")
	from := pflag.String("from", "latest", "where to `START` without a cursor: earliest or latest")
	pflag.StringVar(&c.onGap, "on-gap", "fail", "`WHAT` to do when events were removed unseen: fail, earliest or latest")
	heartbeat := pflag.Int("heartbeat", 30, "`SECONDS` between the gateway's signs of life, 1 to 600")
	ca := pflag.String("tls-ca", "", "TLS, verified by the authorities in this `FILE` (PEM)")
	pflag.StringVar(&c.tokenFile, "token-file", "", "bearer token in this `FILE`, read anew for each attempt")
	printHelp := pflag.BoolP("help", "h", false, "prints this")
	pflag.Parse()
	switch {
	case *printHelp:
		fmt.Printf(help, pflag.CommandLine.FlagUsages())
		os.Exit(0)
	case pflag.NArg() > 0:
		fail(2, "unexpected argument: %s", pflag.Arg(0))
	case positions[*from] == nil:
		fail(2, "--from must be earliest or latest")
	case positions[c.onGap] == nil && c.onGap != "fail":
		fail(2, "--on-gap must be fail, earliest or latest")
	case *heartbeat < 1 || *heartbeat > 600:
		fail(2, "--heartbeat must be 1 to 600")
	}
	c.silenceTimeout = 3 * time.Duration(*heartbeat) * time.Second
	c.request.HeartbeatInterval = &durationpb.Duration{Seconds: int64(*heartbeat)}
	c.request.Start = positions[*from]
	if proto.Size(filter) > 0 {
		c.request.Filters = []*wagglev1.EventFilter{filter}
	}
	if text, err := os.ReadFile(c.cursorFile); err == nil && strings.TrimSpace(string(text)) == "" {
		fail(1, "%s is empty; remove it to start without a cursor", c.cursorFile)
	} else if err == nil {
		c.request.Start = &wagglev1.SubscribeRequest_AfterCursor{AfterCursor: strings.TrimSpace(string(text))}
	} else if c.cursorFile != "" && !errors.Is(err, os.ErrNotExist) {
		fail(1, "%v", err)
	}
	if *ca != "" {
		var err error
		if c.credentials, err = credentials.NewClientTLSFromFile(*ca, ""); err != nil {
			fail(1, "--tls-ca: %v", err)
		}
	}
	if _, err := c.withToken(context.Background()); err != nil {
		fail(1, "%v", err)
	}
	return c
}

// run goes on until ctx is done or a file cannot be written.
func (c *consumer) run(ctx context.Context) error {
	for {
		err := c.followStream(ctx)
		end, ok := status.FromError(err)
		if !ok {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		reason, delay := "", time.Duration(0)
		for _, detail := range end.Details() {
			switch detail := detail.(type) {
			case *errdetails.ErrorInfo:
				if detail.GetDomain() == "waggle.dev" {
					reason = detail.GetReason()
				}
			case *errdetails.RetryInfo:
				delay = min(max(0, detail.GetRetryDelay().AsDuration()), longestDelay)
			}
		}
		gap := reason == "CURSOR_EXPIRED" || reason == "CURSOR_STORE_MISMATCH"
		if gap && c.onGap == "fail" {
			fail(4, "%v; --on-gap=earliest or --on-gap=latest goes on all the same", err)
		} else if gap {
			c.request.Start = positions[c.onGap]
		} else if slices.Contains(permanent, end.Code()) {
			fail(3, "%v", err) // asking again would bring the same
		}
		// Never sooner than asked, and not all consumers at once.
		pause := max(c.backoff/2+rand.N(c.backoff/2), delay+rand.N(delay/5+1))
		c.backoff = min(2*c.backoff, longestPause)
		log.Printf("%v; again in %.2f s", err, pause.Seconds())
		pausing, cancel := context.WithTimeout(ctx, pause)
		<-pausing.Done()
		cancel()
	}
}

// followStream returns a gRPC status if the stream ended, else what ends the consumer.
func (c *consumer) followStream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dead := status.Error(codes.Unavailable, "the connection is dead: not even a heartbeat came")
	watchdog := time.AfterFunc(c.silenceTimeout, func() { cancel(dead) })
	ctx, err := c.withToken(ctx)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	// A new connection for each attempt: one that died in silence is not used again.
	connection, err := grpc.NewClient(c.target, grpc.WithTransportCredentials(c.credentials),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20))) // 64 events of 1 MiB at most
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := wagglev1.NewEventServiceClient(connection).Subscribe(ctx, c.request)
	for err == nil {
		watchdog.Reset(c.silenceTimeout)
		response, received := stream.Recv()
		watchdog.Stop() // handling may take its time
		if err = received; err == nil {
			err = c.handle(response)
		}
	}
	if err == io.EOF {
		err = status.Error(codes.Unavailable, "the gateway ended the stream")
	} else if context.Cause(ctx) == dead {
		err = dead
	}
	return err
}

func (c *consumer) handle(response *wagglev1.SubscribeResponse) error {
	c.backoff = firstPause
	if err := printEvents(response.GetEvents()); err != nil {
		return err
	}
	stored := c.request.GetAfterCursor()
	c.request.Start = &wagglev1.SubscribeRequest_AfterCursor{AfterCursor: response.GetCursor()}
	if c.cursorFile == "" || response.GetCursor() == stored {
		return nil
	}
	// The file holds a whole cursor at any moment, whatever ends the process.
	draft, err := os.Create(c.cursorFile + ".new")
	if err != nil {
		return err
	}
	_, err = draft.WriteString(response.GetCursor() + "\n")
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Rename(draft.Name(), c.cursorFile)
}

func printEvents(events []*wagglev1.Event) error {
	var lines []byte
	for _, event := range events {
		line, err := protojson.Marshal(event)
		if err != nil {
			return err
		}
		lines = append(append(lines, line...), '\n')
	}
	_, err := os.Stdout.Write(lines)
	return err
}

// withToken reads the token anew each time, since tokens are rotated in place.
func (c *consumer) withToken(ctx context.Context) (context.Context, error) {
	if c.tokenFile == "" {
		return ctx, nil
	}
	token, err := os.ReadFile(c.tokenFile)
	if err == nil && strings.TrimSpace(string(token)) == "" {
		err = fmt.Errorf("%s is empty", c.tokenFile)
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token))), err
}
