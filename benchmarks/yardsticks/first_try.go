// A first try of a server in Go: a goroutine and a ticker of 20 ms for each call, on gorilla/websocket.
//
//	first_try [--bytes 320] [--certificate FILE --key FILE] PORT
//
// Each caller is sent a chunk of silence whenever the ticker ticks. What the caller says is read and dropped; at /echo
// it is sent back, a message at a tick, in place of silence. With a certificate the server speaks TLS, by crypto/tls.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
)

const (
	ptime   = 20 * time.Millisecond
	waiting = 50 // messages of a caller that may wait to be sent back: those of a second
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// play sends a message at every tick until the caller is gone: what waits to be sent back, or else silence.
func play(call *websocket.Conn, silence []byte, said <-chan []byte) {
	ticker := time.NewTicker(ptime)
	defer ticker.Stop()
	defer call.Close()
	for range ticker.C {
		message := silence
		select {
		case message = <-said:
		default:
		}
		if err := call.WriteMessage(websocket.BinaryMessage, message); err != nil {
			return
		}
	}
}

// listen reads what the caller says until the caller is gone. It is dropped, unless there is somewhere to keep it.
func listen(call *websocket.Conn, said chan<- []byte) {
	defer call.Close()
	for {
		_, message, err := call.ReadMessage()
		if err != nil {
			return
		}
		select {
		case said <- message:
		default: // nobody wants it, or too much of it waits
		}
	}
}

func main() {
	size := flag.Int("bytes", 320, "of a message of silence")
	certificate := flag.String("certificate", "", "a file in PEM")
	key := flag.String("key", "", "a file in PEM")
	flag.Parse()
	silence := make([]byte, *size)

	serve := func(echo bool) http.HandlerFunc {
		return func(writer http.ResponseWriter, request *http.Request) {
			call, err := upgrader.Upgrade(writer, request, nil)
			if err != nil {
				return
			}
			var said chan []byte // without one, nothing is kept
			if echo {
				said = make(chan []byte, waiting)
			}
			go listen(call, said)
			play(call, silence, said)
		}
	}
	http.HandleFunc("/", serve(false))
	http.HandleFunc("/echo", serve(true))

	quiet := log.New(io.Discard, "", 0) // a connection that closes at once only asks whether anybody listens
	server := http.Server{Addr: "127.0.0.1:" + flag.Arg(0), ErrorLog: quiet}
	if *certificate != "" {
		log.Fatal(server.ListenAndServeTLS(*certificate, *key))
	}
	log.Fatal(server.ListenAndServe())
}
