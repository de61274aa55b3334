package columnar

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/flight"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Source gives what a ticket asks for, one record batch a call of send.
type Source func(ctx context.Context, ticket string, send func(columns ...any) error) error

// TicketError is a request that cannot be answered because of what it asks for.
type TicketError struct{ Reason string }

func (e *TicketError) Error() string { return e.Reason }

// flightServer answers DoGet alone.
type flightServer struct {
	flight.BaseFlightServer
	schema *arrow.Schema
	source Source
	token  string
}

func (s *flightServer) DoGet(ticket *flight.Ticket, stream flight.FlightService_DoGetServer) error {
	if s.token != "" {
		md, _ := metadata.FromIncomingContext(stream.Context())
		given := md.Get("authorization")
		if len(given) != 1 || subtle.ConstantTimeCompare([]byte(given[0]), []byte("Bearer "+s.token)) != 1 {
			return status.Error(codes.Unauthenticated, "the token is missing or wrong")
		}
	}
	w := flight.NewRecordWriter(stream, ipc.WithSchema(s.schema))
	err := s.source(stream.Context(), string(ticket.GetTicket()), func(columns ...any) error {
		r, err := record(s.schema, columns)
		if err != nil {
			return err
		}
		defer r.Release()
		return w.Write(r)
	})
	if err != nil {
		_ = w.Close() // the error below is the one that counts
		var ticket *TicketError
		if errors.As(err, &ticket) {
			return status.Error(codes.InvalidArgument, err.Error())
		}
		return status.Error(codes.Internal, err.Error())
	}
	return w.Close()
}

// ServeFlight answers Flight requests on a listener until the context is done.
// The schema of streams has the given metadata. With a token, requests must bear it.
// The error says why serving ended early.
func ServeFlight(ctx context.Context, l net.Listener, token string, fields []Field, metadata map[string]string, source Source) error {
	server := grpc.NewServer(grpc.MaxRecvMsgSize(1<<20), grpc.MaxSendMsgSize(1<<30))
	flight.RegisterFlightServiceServer(server, &flightServer{schema: schema(fields, metadata), source: source, token: token})
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if err := server.Serve(l); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serving Flight on %s: %w", l.Addr(), err)
	}
	return ctx.Err()
}
