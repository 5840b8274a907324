package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// forwardFromArguments hands every connection on to another address, byte for byte. The listening socket may be inherited:
// it stays in the network namespace in which it was opened, while this process connects in its own. A unix path is looked up at
// each connection, so whoever replaces that link changes the far end without a refused connection.
func forwardFromArguments(arguments []string) {
	flags := flag.NewFlagSet("forward", flag.ExitOnError)
	to := flags.String("to", "", "where connections go")
	address := flags.String("listen", "", "where they come in")
	inherited := flags.Int("listen-fd", -1, "or the number of an inherited listening socket")
	_ = flags.Parse(arguments) // ExitOnError: it does not come back with one
	listener, err := listen(*address, *inherited)
	if err != nil || *to == "" {
		wrongUse(fmt.Sprintf("forward needs --to and a place to listen: %v", err))
	}
	for {
		near, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "loaders:", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors: let some be closed
			continue
		}
		go forward(near, *to)
	}
}

func listen(address string, inherited int) (net.Listener, error) {
	if inherited >= 0 {
		file := os.NewFile(uintptr(inherited), "listener")
		defer file.Close()
		return net.FileListener(file)
	}
	return net.Listen(networkAddress(address))
}

func forward(near net.Conn, to string) {
	defer near.Close()
	network, place := networkAddress(to)
	far, err := net.DialTimeout(network, place, 10*time.Second)
	if err != nil {
		return // the near side sees its connection closed, as it would from the far side itself
	}
	defer far.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyOneWay(far, near)
	}()
	copyOneWay(near, far)
	<-done
}

func copyOneWay(to, from net.Conn) {
	_, _ = io.Copy(to, from) // an end is an end, whichever side made it
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
