package pipelines

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/masking"
)

// maxServedSteps bounds what one request asks for, so that a slip of the pen does not
// keep a server busy for ever.
const maxServedSteps = 1 << 40

// serveSteps answers "FROM TO RANK RANKS": the rank's part of the steps [FROM,
// TO), one record batch a step.
func (b *Batches) serveSteps(ctx context.Context, s served, request string, send func(columns ...any) error) error {
	var from, to int64
	var rank, ranks int
	request = strings.TrimSpace(request)
	n, err := fmt.Sscanf(request, "%d %d %d %d", &from, &to, &rank, &ranks)
	if n != 4 || err != nil || len(strings.Fields(request)) != 4 || from < 0 || to < from || to-from > maxServedSteps || ranks < 1 || rank < 0 || rank >= ranks {
		return &columnar.TicketError{Reason: fmt.Sprintf("%q is no request: want FROM TO RANK RANKS, with 0 <= FROM <= TO and 0 <= RANK < RANKS", request)}
	}
	// The next steps are built while one is sent.
	type built struct {
		*masking.Batch
		err error
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ahead := make(chan built, 2)
	go func() {
		defer close(ahead)
		for step := from; step < to; step++ {
			batch, err := b.Batch(ctx, step, rank, ranks)
			select {
			case ahead <- built{batch, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for batch := range ahead {
		if batch.err != nil {
			return batch.err
		}
		if err := send(s.lay(batch.Batch)...); err != nil {
			return err
		}
		batch.Release()
	}
	return ctx.Err()
}

// ListenSocket listens on a Unix socket. One that nobody listens on any more is
// replaced.
func ListenSocket(ctx context.Context, path string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		info, statErr := os.Lstat(path)
		if statErr != nil || info.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("listening on %s: there is a file of this name that is no socket", path)
		}
		var dialer net.Dialer
		conn, dialErr := dialer.DialContext(ctx, "unix", path)
		if dialErr == nil {
			_ = conn.Close()
			return nil, fmt.Errorf("listening on %s: another process serves there", path)
		}
		if errors.Is(dialErr, syscall.ECONNREFUSED) {
			if err := os.Remove(path); err != nil {
				return nil, fmt.Errorf("listening on %s: %w", path, err)
			}
			l, err = config.Listen(ctx, "unix", path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("serving: %w", err)
	}
	return l, nil
}

// ServeFlight serves batches over Arrow Flight until the context is done. Beyond
// loopback it asks for a token.
func (b *Batches) ServeFlight(ctx context.Context, l net.Listener, token string) error {
	if a, ok := l.Addr().(*net.TCPAddr); (!ok || !a.IP.IsLoopback()) && token == "" {
		return errors.New("serving beyond this machine needs a token")
	}
	s, err := b.served(ctx)
	if err != nil {
		return err
	}
	return columnar.ServeFlight(ctx, l, token, s.fields(), s.metadata, func(ctx context.Context, ticket string, send func(columns ...any) error) error {
		return b.serveSteps(ctx, s, ticket, send)
	})
}

// ServeStream serves batches as Arrow streams on a listener of this machine, such
// as a Unix socket, until the context is done: a connection sends one request
// line and gets one stream. What follows the stream's end mark, if anything, is one
// line that says why the stream is short.
func (b *Batches) ServeStream(ctx context.Context, l net.Listener, log *slog.Logger) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := b.served(ctx)
	if err != nil {
		return err
	}
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
			if err := b.answer(ctx, s, conn); err != nil && ctx.Err() == nil {
				log.Warn("a request for batches failed", "error", err)
			}
		})
	}
}

func (b *Batches) answer(ctx context.Context, s served, conn net.Conn) error {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	request, err := bufio.NewReader(io.LimitReader(conn, 128)).ReadString('\n')
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	w := columnar.NewWriter(conn, s.fields(), s.metadata)
	fault := b.serveSteps(ctx, s, request, w.Write)
	if err := w.Close(); err != nil || fault == nil {
		return errors.Join(fault, err)
	}
	_, _ = fmt.Fprintf(conn, "%s\n", strings.ReplaceAll(fault.Error(), "\n", "; ")) // who has gone cannot be told
	return fault
}
