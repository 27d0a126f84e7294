package local

import (
	"io"
	"net"
)

// relay hands the connections that come to l on to the engine at the address, until l is closed.
//
// ClickHouse without its server ends at any exception that leaves a connection's thread (KillingErrorHandler.h). Reading from one that was reset is
// such: that of a client which was killed before it had read all that was sent to it. The relay's connection to the engine ends in order, whatever the
// client's does.
func relay(l net.Listener, address string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go handOn(c, address)
	}
}

// handOn returns when the engine has closed the connection.
func handOn(client net.Conn, address string) {
	defer client.Close()
	c, err := net.Dial("tcp4", address)
	if err != nil {
		return
	}
	engine := c.(*net.TCPConn)
	defer engine.Close()
	go func() {
		_, _ = io.Copy(engine, client)
		_ = engine.CloseWrite()
	}()
	_, _ = io.Copy(client, engine)
	_, _ = io.Copy(io.Discard, engine) // what is left unread when a connection is closed resets it
}
