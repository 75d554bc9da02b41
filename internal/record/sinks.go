package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bitbucket-oidc/internal/federation"
	"bitbucket-oidc/internal/hint"
	"bitbucket-oidc/internal/transport"
)

// Sinks says where records go.
type Sinks struct {
	File    *File
	OTLP    *OTLP
	Webhook *Webhook
	S3      *S3

	// Timeout bounds the delivery to all of them.
	Timeout time.Duration

	// Trace, if not nil, is called after each attempt of a request.
	Trace func(line string)
}

// grace is how long records may still be sent when TIMEOUT or a signal has ended the command. It is below the 1.5 s that
// internal/bounded grants.
const grace = 1200 * time.Millisecond

// A batch is what a sink takes at once: all records of a command.
type batch struct {
	facts  Facts
	events []Event
	keys   *federation.Keys
	trace  func(line string)
}

// A sink takes records, or returns why it did not. The error contains nothing of an answer.
type sink struct {
	variable string
	take     func(context.Context, batch) error
}

func (s Sinks) all() []sink {
	var all []sink
	if s.File != nil {
		all = append(all, sink{"RECORD_FILE", s.File.take})
	}
	if s.OTLP != nil {
		all = append(all, sink{"RECORD_OTLP", s.OTLP.take})
	}
	if s.Webhook != nil {
		all = append(all, sink{"RECORD_URL", s.Webhook.take})
	}
	if s.S3 != nil {
		all = append(all, sink{"RECORD_S3", s.S3.take})
	}
	return all
}

// Any reports whether there is a sink.
func (s Sinks) Any() bool { return len(s.all()) > 0 }

// Deliver gives the journal's records to every sink, side by side. The error joins the errors of the sinks that did not take them.
// After the end of ctx a short time is left, so that what was refused because of it is recorded as well. keys, which may be nil, sign
// the request to S3.
func (s Sinks) Deliver(ctx context.Context, j *Journal, keys *federation.Keys) error {
	sinks := s.all()
	if len(j.events) == 0 || len(sinks) == 0 {
		return nil
	}
	ctx, cancel := s.budget(ctx)
	defer cancel()
	type result struct {
		sink int
		err  error
	}
	results := make(chan result, len(sinks))
	for i, one := range sinks {
		go func() { results <- result{i, one.take(ctx, batch{j.facts, j.events, keys, s.Trace})} }()
	}
	errs, answered := make([]error, len(sinks)), make([]bool, len(sinks))
	for range sinks {
		select {
		case r := <-results:
			errs[r.sink], answered[r.sink] = r.err, true
		case <-ctx.Done():
			select { // the end of ctx has its own text for a request; a file on a disk that hangs knows nothing of ctx
			case r := <-results:
				errs[r.sink], answered[r.sink] = r.err, true
			case <-time.After(grace / 10):
			}
		}
	}
	for i, one := range sinks {
		if !answered[i] {
			errs[i] = context.Cause(ctx)
		}
		if errs[i] != nil {
			errs[i] = fmt.Errorf("record: %s: %w", one.variable, errs[i])
		}
	}
	return errors.Join(errs...)
}

// Why a sink has not answered.
var (
	errLate    = hint.New("not taken before RECORD_TIMEOUT ran out", "raise RECORD_TIMEOUT if the place is only slow")
	errNoTime  = hint.New("not taken before TIMEOUT ran out", "raise TIMEOUT if the place is only slow: RECORD_TIMEOUT lies inside it")
	errStopped = hint.New("not taken in the time that a stopped command has left", "somebody or something stopped the step, or TIMEOUT ran out")
)

// budget is a context of the delivery's own, which outlives ctx by the grace. A tenth of what is left of TIMEOUT stays for the
// files. Its cause says what ended it.
func (s Sinks) budget(ctx context.Context) (context.Context, context.CancelFunc) {
	limit, why := s.Timeout, errLate
	end, ok := ctx.Deadline()
	switch left := time.Until(end) * 9 / 10; {
	case ctx.Err() != nil && grace < limit:
		limit, why = grace, errStopped
	case ctx.Err() == nil && ok && left < limit:
		limit, why = left, errNoTime
	}
	timed, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), limit, why)
	sending, halt := context.WithCancelCause(timed)
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, func() { halt(errStopped) }) })
	return sending, func() { stop(); halt(nil); cancel() }
}

// unreachable is the error of a request without an answer that can be used.
func unreachable(ctx context.Context, address string, err error) error {
	e := transport.Unreachable(ctx, address, err)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", hostOf(address), context.Cause(ctx))
	case e == nil:
		return errors.New(hostOf(address) + ": the request failed")
	case e.Advice == "":
		return hint.With(e, "the runner must reach this host: look at the address and at the proxy")
	}
	return hint.With(e, e.Advice)
}
