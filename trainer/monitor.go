package trainer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Monitor shows the latest figures of a run to Prometheus. Its Observe is for
// Config.Observe. All methods may be called from several goroutines.
type Monitor struct {
	mu     sync.Mutex
	step   int64
	gauges map[gauge]float32
}

type gauge struct{ name, source string }

// Observe takes a line of the metrics.
func (m *Monitor) Observe(l *Line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gauges == nil {
		m.gauges = map[gauge]float32{}
	}
	m.step = l.Step
	for _, s := range l.scalars() {
		// The tag is kind/name, or kind/source/name where there is a source.
		first, last := strings.IndexByte(s.Tag, '/'), strings.LastIndexByte(s.Tag, '/')
		m.gauges[gauge{s.Tag[:first] + "_" + s.Tag[last+1:], l.Source}] = s.Value
	}
}

// ServeHTTP writes the figures in Prometheus' text format.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	m.mu.Lock()
	fmt.Fprintf(&b, "# TYPE tributary_step counter\ntributary_step %d\n", m.step)
	keys := slices.SortedFunc(maps.Keys(m.gauges), func(a, b gauge) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.source, b.source)
	})
	for i, k := range keys {
		if i == 0 || keys[i-1].name != k.name {
			fmt.Fprintf(&b, "# TYPE tributary_%s gauge\n", k.name)
		}
		label := ""
		if k.source != "" {
			label = `{source="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(k.source) + `"}`
		}
		fmt.Fprintf(&b, "tributary_%s%s %g\n", k.name, label, m.gauges[k])
	}
	m.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	// An error here is the reader's going away.
	_, _ = w.Write(b.Bytes())
}

// ErrNotLoopback says that a monitor was to listen where other machines reach it.
var ErrNotLoopback = errors.New("not an address of this machine alone")

// Serve answers on /metrics at address, such as "127.0.0.1:9400", until ctx ends.
// An address that other machines reach is refused with ErrNotLoopback. The
// address it listens on, whose port differs when port 0 was asked for, is given
// to ready, which may be nil.
func (m *Monitor) Serve(ctx context.Context, address string, ready func(net.Addr)) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("serving metrics at %q: %w", address, ErrNotLoopback)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	if ready != nil {
		ready(listener.Addr())
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", m)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving metrics: %w", err)
	}
	return nil
}
