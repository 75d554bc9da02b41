package mcp

import (
	"context"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// A patient transport reports the end of the input only when every request has its answer, or after some time: the SDK drops answers
// that are not written by then, and a script that pipes requests in closes its end at once.
type patient struct {
	sdk.Transport
	limit time.Duration
}

// Connect implements [sdk.Transport].
func (p patient) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := p.Transport.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &patientConnection{Connection: c, limit: p.limit, open: map[any]bool{}, answered: make(chan struct{}, 1)}, nil
}

type patientConnection struct {
	sdk.Connection
	limit time.Duration

	mu       sync.Mutex
	open     map[any]bool  // the requests without an answer, by their ids
	answered chan struct{} // has an item after an answer
}

// Read implements [sdk.Connection].
func (c *patientConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	if err != nil {
		c.wait(ctx)
		return m, err
	}
	if r, ok := m.(*jsonrpc.Request); ok && r.IsCall() {
		c.mu.Lock()
		c.open[r.ID.Raw()] = true
		c.mu.Unlock()
	}
	return m, nil
}

// Write implements [sdk.Connection].
func (c *patientConnection) Write(ctx context.Context, m jsonrpc.Message) error {
	r, ok := m.(*jsonrpc.Response)
	if ok && r.Error != nil {
		m = &jsonrpc.Response{ID: r.ID, Error: refused(r.Error), Extra: r.Extra}
	}
	err := c.Connection.Write(ctx, m)
	if ok {
		c.mu.Lock()
		delete(c.open, r.ID.Raw())
		c.mu.Unlock()
		select {
		case c.answered <- struct{}{}:
		default:
		}
	}
	return err
}

// wait waits until no request is open.
func (c *patientConnection) wait(ctx context.Context) {
	late := time.After(c.limit)
	for {
		c.mu.Lock()
		open := len(c.open)
		c.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-c.answered:
		case <-ctx.Done():
			return
		case <-late:
			return
		}
	}
}
