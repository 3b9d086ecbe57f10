// Prints Waggle's events as JSON lines, and never loses one.
//
// Handle each response's events, then store its cursor, then receive the next;
// when the stream ends, wait and subscribe again with the cursor. A crash at any
// moment repeats some events at most. Put your own handling in place of
// printEvents.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	wagglev1 "waggle.dev/gen/waggle/v1"
)

const help = `Prints Waggle's events as JSON lines, and never loses one.
Values of one filter flag are alternatives; different flags must all match.
Exit codes: 0 on SIGTERM, SIGINT or when nobody reads the output; 1 if a file
cannot be used; 2 for a wrong command line; 3 if the gateway refuses the
request; 4 if events were removed before they were seen.`

const firstPause, longestPause = 100 * time.Millisecond, 10 * time.Second

var positions = map[string]*wagglev1.SubscribeRequest_Position{
	"earliest": {Position: wagglev1.StartPosition_START_POSITION_EARLIEST},
	"latest":   {Position: wagglev1.StartPosition_START_POSITION_LATEST},
}

// Asking again would bring the same.
var permanent = []codes.Code{
	codes.InvalidArgument, codes.NotFound, codes.PermissionDenied, codes.Unauthenticated,
	codes.FailedPrecondition, codes.OutOfRange, codes.Unimplemented,
}

// exit is an error with an exit code of its own.
type exit struct {
	error
	code int
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

	c, err := configure()
	if err == nil {
		err = c.run(ctx)
	}
	if err != nil && !errors.Is(err, syscall.EPIPE) {
		log.Print(err)
		e := exit{code: 1}
		errors.As(err, &e)
		os.Exit(e.code)
	}
}

// configure makes a consumer of the command line and the files that it names.
func configure() (*consumer, error) {
	c := &consumer{credentials: insecure.NewCredentials(), request: &wagglev1.SubscribeRequest{}, backoff: firstPause}
	filter := &wagglev1.EventFilter{}
	for name, values := range map[string]*[]string{
		"type-name": &filter.TypeNames, "connector": &filter.ConnectorIds,
		"origin": &filter.OriginIds, "endpoint": &filter.Endpoints,
	} {
		flag.Func(name, "only events with this `VALUE`; repeatable", func(value string) error {
			*values = append(*values, value)
			c.request.Filters = []*wagglev1.EventFilter{filter}
			return nil
		})
	}
	flag.StringVar(&c.target, "target", "127.0.0.1:50051", "the gateway's gRPC address, `HOST:PORT`")
	flag.StringVar(&c.cursorFile, "cursor-file", "", "keeps the cursor in `FILE`; resumes there if it exists")
	from := flag.String("from", "latest", "where to start without a cursor: `earliest|latest`")
	flag.StringVar(&c.onGap, "on-gap", "fail", "when events were removed unseen: `fail|earliest|latest`")
	heartbeat := flag.Int("heartbeat", 30, "`SECONDS` between the gateway's signs of life, 1 to 600")
	ca := flag.String("tls-ca", "", "TLS, verified by the authorities in `FILE` (PEM)")
	flag.StringVar(&c.tokenFile, "token-file", "", "bearer token in `FILE`, read anew for each attempt")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), help)
		flag.PrintDefaults()
	}
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return nil, exit{fmt.Errorf("unexpected argument: %s", flag.Arg(0)), 2}
	case positions[*from] == nil:
		return nil, exit{errors.New("--from must be earliest or latest"), 2}
	case positions[c.onGap] == nil && c.onGap != "fail":
		return nil, exit{errors.New("--on-gap must be fail, earliest or latest"), 2}
	case *heartbeat < 1 || *heartbeat > 600:
		return nil, exit{errors.New("--heartbeat must be 1 to 600"), 2}
	}
	c.request.Start = positions[*from]
	c.request.HeartbeatInterval = &durationpb.Duration{Seconds: int64(*heartbeat)}
	c.silenceTimeout = 3 * time.Duration(*heartbeat) * time.Second
	if *ca != "" {
		var err error
		if c.credentials, err = credentials.NewClientTLSFromFile(*ca, ""); err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
	}
	if _, err := c.withToken(context.Background()); err != nil {
		return nil, err
	}
	return c, c.loadCursor()
}

// run goes on until ctx is done.
func (c *consumer) run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := c.followStream(ctx)
		end, ok := status.FromError(err)
		if !ok {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		reason, delay := detailsOf(end)
		if reason == "CURSOR_EXPIRED" || reason == "CURSOR_STORE_MISMATCH" {
			if c.onGap == "fail" {
				return exit{fmt.Errorf("%w; --on-gap=earliest or --on-gap=latest goes on all the same", err), 4}
			}
			c.request.Start = positions[c.onGap]
		} else if slices.Contains(permanent, end.Code()) {
			return exit{err, 3}
		}
		// Never sooner than asked, and not all consumers at once.
		pause := max(scale(c.backoff, 0.5, 1), scale(delay, 1, 1.2))
		c.backoff = min(2*c.backoff, longestPause)
		log.Printf("%v: %s; again in %.2f s", end.Code(), end.Message(), pause.Seconds())
		pausing, cancel := context.WithTimeout(ctx, pause)
		<-pausing.Done()
		cancel()
	}
	return nil
}

// followStream returns a gRPC status when the stream ended, and any other error
// when the consumer cannot go on.
func (c *consumer) followStream(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := status.Error(codes.Unavailable, "the connection is dead: not even a heartbeat came")
	silence := time.AfterFunc(c.silenceTimeout, func() { cancel(silent) })
	defer silence.Stop()

	ctx, err := c.withToken(ctx)
	if err != nil {
		return status.Error(codes.Unavailable, err.Error())
	}
	// A new connection for each attempt: one that died in silence is not used
	// again.
	connection, err := grpc.NewClient(c.target, grpc.WithTransportCredentials(c.credentials),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20))) // 64 events of 1 MiB at most
	if err != nil {
		return err
	}
	defer connection.Close()
	stream, err := wagglev1.NewEventServiceClient(connection).Subscribe(ctx, c.request)
	for err == nil {
		var response *wagglev1.SubscribeResponse
		silence.Reset(c.silenceTimeout)
		response, err = stream.Recv()
		silence.Stop() // handling may take its time
		if err == nil {
			err = c.handle(response)
		}
	}
	if err == io.EOF {
		return status.Error(codes.Unavailable, "the gateway ended the stream")
	}
	if context.Cause(ctx) == silent {
		return silent
	}
	return err
}

func (c *consumer) handle(response *wagglev1.SubscribeResponse) error {
	c.backoff = firstPause
	if err := printEvents(response.GetEvents()); err != nil {
		return err
	}
	cursor := response.GetCursor()
	if cursor == c.request.GetAfterCursor() {
		return nil
	}
	c.request.Start = &wagglev1.SubscribeRequest_AfterCursor{AfterCursor: cursor}
	return c.storeCursor(cursor)
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

func (c *consumer) loadCursor() error {
	text, err := os.ReadFile(c.cursorFile)
	if c.cursorFile == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cursor := strings.TrimSpace(string(text))
	if err == nil && cursor == "" {
		err = fmt.Errorf("%s is empty; remove it to start without a cursor", c.cursorFile)
	}
	c.request.Start = &wagglev1.SubscribeRequest_AfterCursor{AfterCursor: cursor}
	return err
}

// storeCursor leaves a whole cursor in the file, whatever ends the process.
func (c *consumer) storeCursor(cursor string) error {
	if c.cursorFile == "" {
		return nil
	}
	draft, err := os.Create(c.cursorFile + ".new")
	if err != nil {
		return err
	}
	_, err = draft.WriteString(cursor + "\n")
	if err := errors.Join(err, draft.Sync(), draft.Close()); err != nil {
		return err
	}
	return os.Rename(draft.Name(), c.cursorFile)
}

// withToken reads the token anew each time, since tokens are rotated in place.
func (c *consumer) withToken(ctx context.Context) (context.Context, error) {
	if c.tokenFile == "" {
		return ctx, nil
	}
	token, err := os.ReadFile(c.tokenFile)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token))), err
}

// detailsOf returns the gateway's reason and the delay that it asks for, if any.
func detailsOf(end *status.Status) (reason string, delay time.Duration) {
	for _, detail := range end.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == "waggle.dev" {
				reason = detail.GetReason()
			}
		case *errdetails.RetryInfo:
			delay = detail.GetRetryDelay().AsDuration()
		}
	}
	return reason, delay
}

// scale multiplies by a factor from low to high, by chance.
func scale(duration time.Duration, low, high float64) time.Duration {
	return time.Duration(float64(duration) * (low + (high-low)*rand.Float64()))
}
