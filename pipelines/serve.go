package pipelines

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/masking"
)

// BatchFields are the columns of served batches, one row a sequence: its number
// in the stream, source, tokens and segments, the positions in it at which is
// predicted, and what.
func BatchFields() []columnar.Field {
	return []columnar.Field{
		{Name: "index", Kind: columnar.Integer}, {Name: "source", Kind: columnar.String}, {Name: "tokens", Kind: columnar.List},
		{Name: "segments", Kind: columnar.List}, {Name: "predict", Kind: columnar.List}, {Name: "labels", Kind: columnar.List},
	}
}

// batchColumns lays a batch out as BatchFields says.
func batchColumns(b *masking.Batch) []any {
	var index []int64
	var source []string
	var tokens, segments, predict, labels columnar.Lists
	for _, l := range []*columnar.Lists{&tokens, &segments, &predict, &labels} {
		l.Reset()
	}
	at := 0
	var wide, where []int32
	for i := range b.Sequences() {
		from, to := b.SeqBounds[i], b.SeqBounds[i+1]
		index, source = append(index, b.Origins[i].Index), append(source, b.Origins[i].Source)
		tokens.Add(b.Tokens[from:to])
		wide = wide[:0]
		for _, s := range b.Segments[from:to] {
			wide = append(wide, int32(s))
		}
		segments.Add(wide)
		first := at
		where = where[:0]
		for ; at < len(b.Predict) && b.Predict[at] < to; at++ {
			where = append(where, b.Predict[at]-from)
		}
		predict.Add(where)
		labels.Add(b.Labels[first:at])
	}
	return []any{index, source, tokens, segments, predict, labels}
}

// serveSteps answers "FROM TO RANK RANKS": the rank's part of the steps [FROM,
// TO), one record batch a step.
func (b *Batches) serveSteps(ctx context.Context, request string, send func(columns ...any) error) error {
	var from, to int64
	var rank, ranks int
	if n, err := fmt.Sscanf(request, "%d %d %d %d", &from, &to, &rank, &ranks); n != 4 || err != nil || from < 0 || to < from {
		return fmt.Errorf("%q is no request: want FROM TO RANK RANKS", request)
	}
	for step := from; step < to; step++ {
		batch, err := b.Batch(ctx, step, rank, ranks)
		if err != nil {
			return err
		}
		if err := send(batchColumns(batch)...); err != nil {
			return err
		}
	}
	return nil
}

// ServeFlight serves batches over Arrow Flight until the context is done. Beyond
// loopback it asks for a token.
func (b *Batches) ServeFlight(ctx context.Context, l net.Listener, token string) error {
	if a, ok := l.Addr().(*net.TCPAddr); (!ok || !a.IP.IsLoopback()) && token == "" {
		return errors.New("serving beyond this machine needs a token")
	}
	return columnar.ServeFlight(ctx, l, token, BatchFields(), b.serveSteps)
}

// ServeStream serves batches as Arrow streams on a listener of this machine, such
// as a Unix socket, until the context is done: a connection sends one request
// line and gets one stream. A stream that a fault cuts short has no end mark.
func (b *Batches) ServeStream(ctx context.Context, l net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("serving on %s: %w", l.Addr(), err)
		}
		wait.Go(func() {
			shut := context.AfterFunc(ctx, func() { _ = conn.Close() })
			defer shut()
			defer conn.Close()
			if err := b.answer(ctx, conn); err != nil && ctx.Err() == nil {
				log.Warn("a request for batches failed", "error", err)
			}
		})
	}
}

func (b *Batches) answer(ctx context.Context, conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	request, err := bufio.NewReader(io.LimitReader(conn, 128)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	w := columnar.NewWriter(conn, BatchFields(), nil)
	if err := b.serveSteps(ctx, request, w.Write); err != nil {
		return err
	}
	return w.Close()
}
