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
	var m Monitor
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
		"tributary_step 24\n", "\ntributary_train_loss ", "# TYPE tributary_heldout_token_loss gauge\ntributary_heldout_token_loss ",
		"tributary_heldout_token_loss{source=\"wiki\"} ", "\ntributary_baseline_unigram_entropy ", "\ntributary_train_lr ",
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
	var m Monitor
	for _, address := range []string{":9400", "0.0.0.0:9400", "[::]:9400", "192.0.2.1:9400", "example.org:9400"} {
		if err := m.Serve(t.Context(), address, nil); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := m.Serve(t.Context(), "127.0.0.1", nil); err == nil {
		t.Error("an address without a port was taken")
	}
}
