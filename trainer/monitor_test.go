package trainer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

func TestMonitorShowsTheLatestFigures(t *testing.T) {
	m := NewMonitor("first", "")
	c := fakeConfig(t.TempDir(), 24)
	c.Observe = m.Observe
	res := mustRun(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- m.Serve(ctx, "127.0.0.1:0", func(a net.Addr) { at <- a }) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+(<-at).String()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"tributary_step{run=\"first\"} 24\n", "\ntributary_train_loss{run=\"first\",source=\"\"} ", "# TYPE tributary_heldout_token_loss gauge\n",
		"tributary_heldout_token_loss{run=\"first\",source=\"wiki\"} ", "\ntributary_baseline_unigram_entropy{", "\ntributary_train_lr{",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%q is missing in\n%s", want, body)
		}
	}
	if res.Timing.MemoryBytes == 0 {
		t.Error("no memory was measured")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestMonitorStaysOnThisMachine(t *testing.T) {
	m := NewMonitor("first", "")
	for _, address := range []string{":9400", "0.0.0.0:9400", "[::]:9400", "192.0.2.1:9400", "example.org:9400"} {
		if err := m.Serve(t.Context(), address, nil); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := m.Serve(t.Context(), "127.0.0.1", nil); err == nil {
		t.Error("an address without a port was taken")
	}
}

// TestMonitorAsksForItsToken listens at every address, which it may with a token.
func TestMonitorAsksForItsToken(t *testing.T) {
	m := NewMonitor("first", "secret")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- m.Serve(ctx, "0.0.0.0:0", func(a net.Addr) { at <- a }) }()
	_, port, err := net.SplitHostPort((<-at).String())
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, "Bearer secre": http.StatusUnauthorized, "Bearer secret": http.StatusOK} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+port+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", token)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("with %q: status %d, want %d", token, response.StatusCode, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
