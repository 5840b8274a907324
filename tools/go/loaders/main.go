// Command loaders reads certs.d directories with the container runtimes' own code (docker, containers/image, containerd),
// and pulls through what that code loaded, so that tests and the demo learn what a runtime would do.
//
// It never skips verification: a host that runtimes treat as insecure by default is refused.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/containerd/log"
	"github.com/sirupsen/logrus"
)

const usage = `usage:
  loaders read    --layout docker|containers|containerd --root DIR HOST
  loaders pull    --layout docker|containers|containerd --root DIR [--dial ADDRESS] HOST/REPOSITORY:TAG
  loaders push    --ca FILE [--cert FILE --key FILE] [--dial ADDRESS] [image options] HOST/REPOSITORY:TAG
  loaders archive --out FILE [image options] NAME:TAG
  loaders serve                                  (JSON lines on stdin, JSON lines on stdout)
  loaders forward --to ADDRESS (--listen ADDRESS | --listen-fd N)
ADDRESS is HOST:PORT or unix:PATH. Image options: --add IN_IMAGE=FILE, --entrypoint PATH, --label TEXT, --size BYTES.
Exit status: 0 done, 1 the loader, the registry or TLS said no (their words are in "error"), 2 wrong use.
`

func main() {
	// The loaders log through these; what they have to say comes back as errors, and stderr stays for this program.
	log.L.Logger.SetOutput(io.Discard)
	logrus.SetOutput(io.Discard)
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	if len(os.Args) < 2 {
		wrongUse("a subcommand is needed")
	}
	arguments := os.Args[2:]
	switch os.Args[1] {
	case "read", "pull":
		finish(perform(context.Background(), readOrPull(os.Args[1], arguments)))
	case "push":
		finish(pushFromArguments(arguments))
	case "archive":
		finish(archiveFromArguments(arguments))
	case "serve":
		serve(os.Stdin, os.Stdout)
	case "forward":
		forwardFromArguments(arguments)
	default:
		wrongUse("unknown subcommand " + os.Args[1])
	}
}

func wrongUse(message string) {
	fmt.Fprintf(os.Stderr, "loaders: %s\n%s", message, usage)
	os.Exit(2)
}

func finish(outcome result) {
	if err := json.NewEncoder(os.Stdout).Encode(outcome); err != nil {
		os.Exit(2)
	}
	if !outcome.OK {
		os.Exit(1)
	}
}

func readOrPull(operation string, arguments []string) request {
	flags := flag.NewFlagSet(operation, flag.ExitOnError)
	wanted := request{Op: operation}
	flags.StringVar(&wanted.Layout, "layout", "", "docker, containers or containerd")
	flags.StringVar(&wanted.Root, "root", "", "the certs.d directory")
	flags.StringVar(&wanted.Dial, "dial", "", "connect here instead of at the host's own address")
	parseOne(flags, arguments, &wanted.Host)
	if operation == "pull" {
		wanted.Reference, wanted.Host = wanted.Host, ""
	}
	return wanted
}

// parseOne parses flags followed by exactly one argument.
func parseOne(flags *flag.FlagSet, arguments []string, argument *string) {
	_ = flags.Parse(arguments) // ExitOnError: it does not come back with one
	if flags.NArg() != 1 {
		wrongUse(flags.Name() + " takes one argument")
	}
	*argument = flags.Arg(0)
}
