package columnar

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow/go/v15/arrow/flight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

func fields() []Field { return []Field{{"s", String}, {"n", Integer}, {"l", List}} }

func columns() []any {
	var l Lists
	l.Add([]int32{1, 2, 3})
	l.Add(nil)
	return []any{[]string{"a", "é"}, []int64{-1, 1 << 40}, l}
}

func stream(t testing.TB) []byte {
	var b bytes.Buffer
	w := NewWriter(&b, fields(), map[string]string{"k": "v"})
	if err := errors.Join(w.Write(columns()...), w.Write(columns()...), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestStreamsGiveBackWhatWasWritten(t *testing.T) {
	n := 0
	err := Read(bytes.NewReader(stream(t)), []string{"l", "s", "n"}, func(got []any) error {
		n++
		c := columns()
		if want := []any{c[2], c[0], c[1]}; !reflect.DeepEqual(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
		return nil
	})
	if err != nil || n != 2 {
		t.Errorf("%d record batches, error %v", n, err)
	}
	if err := NewWriter(&bytes.Buffer{}, fields(), nil).Write([]string{"a"}, []int64{1, 2}, Lists{}); err == nil {
		t.Error("columns of different lengths were taken")
	}
}

// The library takes as much memory as a message's metadata asks for.
func TestNoWordOfAStreamAsksForMemory(t *testing.T) {
	whole := stream(t)
	for at := 0; at+4 <= len(whole); at += 4 {
		for _, word := range []uint32{1<<31 - 1, 1 << 28, 1<<32 - 1} {
			b := bytes.Clone(whole)
			binary.LittleEndian.PutUint32(b[at:], word)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_ = Read(bytes.NewReader(b), []string{"s", "n", "l"}, func([]any) error { return nil })
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("%d at byte %d of %d takes %d bytes", word, at, len(b), took)
			}
		}
	}
}

func TestFlightAsksForItsToken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	done := make(chan error, 1)
	go func() {
		done <- ServeFlight(ctx, l, "sesame", fields(), nil, func(_ context.Context, ticket string, send func(...any) error) error {
			if ticket != "two" {
				return &TicketError{"no such ticket"}
			}
			return errors.Join(send(columns()...), send(columns()...))
		})
	}()
	client, err := flight.NewClientWithMiddleware(l.Addr().String(), nil, nil, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(token, ticket string) (int64, error) {
		s, err := client.DoGet(metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), &flight.Ticket{Ticket: []byte(ticket)})
		if err != nil {
			return 0, err
		}
		r, err := flight.NewRecordReader(s)
		if err != nil {
			return 0, err
		}
		rows := int64(0)
		for r.Next() {
			rows += r.Record().NumRows()
		}
		return rows, r.Err()
	}
	if n, err := ask("sesame", "two"); n != 4 || err != nil {
		t.Errorf("%d rows, error %v", n, err)
	}
	if n, err := ask("wrong", "two"); n != 0 || err == nil {
		t.Errorf("a wrong token gives %d rows, error %v", n, err)
	}
	if n, err := ask("sesame", "none"); n != 0 || err == nil {
		t.Errorf("a ticket for nothing gives %d rows, error %v", n, err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("serving ended with %v", err)
	}
}

func FuzzRead(f *testing.F) {
	whole := stream(f)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("ARROW1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		_ = Read(bytes.NewReader(b), []string{"l", "s"}, func([]any) error { return nil })
	})
}
