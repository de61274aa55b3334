package trainer

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Monitor shows the latest figures of a run to Prometheus. Its Observe is for
// Config.Observe. All methods may be called from several goroutines.
type Monitor struct {
	token    string
	registry *prometheus.Registry

	mu     sync.Mutex
	step   int64
	skips  int64
	gauges map[gauge]float32
}

type gauge struct{ name, source string }

// NewMonitor returns the monitor of a run by name. A token that is not empty must
// come with every request, as a bearer token.
func NewMonitor(run, token string) *Monitor {
	m := &Monitor{token: token, registry: prometheus.NewRegistry(), gauges: map[gauge]float32{}}
	// Only this monitor's collectors are in the registry, under names of their own.
	prometheus.WrapRegistererWith(prometheus.Labels{"run": run}, m.registry).MustRegister(m)
	return m
}

// Observe takes a line of the metrics.
func (m *Monitor) Observe(l *Line) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step = l.Step
	if l.Kind == "skip" {
		m.skips++
	}
	for _, s := range l.scalars() {
		// The tag is kind/name, or kind/source/name where there is a source.
		first, last := strings.IndexByte(s.Tag, '/'), strings.LastIndexByte(s.Tag, '/')
		m.gauges[gauge{s.Tag[:first] + "_" + s.Tag[last+1:], l.Source}] = s.Value
	}
}

// Describe is for the registry. It sends nothing: which figures there are is not
// known before the run tells them.
func (m *Monitor) Describe(chan<- *prometheus.Desc) {}

// Collect is for the registry.
func (m *Monitor) Collect(to chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := func(name, help string, n int64) {
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, float64(n))
	}
	count("tributary_step", "Steps that were done.", m.step)
	count("tributary_skipped_steps", "Steps this process skipped for what was not finite or a spike.", m.skips)
	for g, value := range m.gauges {
		// Totals and sources share a name, so both have the label.
		desc := prometheus.NewDesc("tributary_"+g.name, "The latest "+strings.ReplaceAll(g.name, "_", " ")+".", []string{"source"}, nil)
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), g.source)
	}
}

// ServeHTTP writes the figures in the format Prometheus asks for.
func (m *Monitor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.token != "" {
		given := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(given), []byte(m.token)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
	}
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// ErrNotLoopback says that a monitor without a token was to listen where other
// machines reach it.
var ErrNotLoopback = errors.New("not an address of this machine alone, and no token is asked for")

// Serve answers on /metrics at address, such as "127.0.0.1:9400", until ctx ends.
// An address that other machines reach is refused with ErrNotLoopback unless the
// monitor asks for a token. The address it listens on, whose port differs when port
// 0 was asked for, is given to ready, which may be nil.
func (m *Monitor) Serve(ctx context.Context, address string, ready func(net.Addr)) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("serving metrics: %w", err)
	}
	if ip := net.ParseIP(host); m.token == "" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
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
