// A CGI program (RFC 3875), so that an ordinary http.Handler serves: net/http/cgi reads the request from the
// environment and stdin and writes the answer to stdout.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/cgi"
	"os"
)

func greet(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("name")
	if name == "" {
		name = "world"
	}
	greeting := os.Getenv("GREETING")
	if greeting == "" {
		greeting = "Hello"
	}
	// Logged lines go to stderr, where `fissium function logs` finds them.
	log.Printf("greeting %s", name)
	w.Header().Set("Content-Type", "application/json")
	answer := map[string]string{"message": greeting + ", " + name + "!", "path": r.URL.Path}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		log.Printf("the answer was not sent: %v", err)
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	if _, err := io.Copy(w, r.Body); err != nil {
		log.Printf("the answer was not sent: %v", err)
	}
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", greet)
	mux.HandleFunc("POST /", echo)
	if err := cgi.Serve(mux); err != nil {
		log.Fatal(err)
	}
}
