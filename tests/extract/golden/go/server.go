// Package server answers requests.
package server

import "net/http"

// Server holds the routes.
type Server struct {
	mux *http.ServeMux // trailing
}

// New returns a server without routes.
//
// Call Handle before Serve:
//
//	s := New()
//
//go:noinline
func New() *Server {
	return &Server{mux: http.NewServeMux()}
}

// Detached from the function.

func (s *Server) detached() {}

//nolint:unused
func helper() int { return 1 }

/*
Handle adds a route.
It panics twice.
*/
func (s *Server) Handle(path string, f func()) {
	// inner comment
	s.mux.HandleFunc(path, func(http.ResponseWriter, *http.Request) { f() })
}

var x = 1 // trailing, not documentation
func After() {}
