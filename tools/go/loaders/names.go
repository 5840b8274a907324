package main

import (
	"fmt"
	"net"
	"strings"
)

// reference is host[:port]/repository:tag or host[:port]/repository@digest.
type reference struct {
	host, repository, version string
}

func parseReference(text string) (reference, error) {
	host, rest, found := strings.Cut(text, "/")
	if found {
		if repository, digest, isDigest := strings.Cut(rest, "@"); isDigest {
			return reference{host, repository, digest}, nil
		}
		if at := strings.LastIndex(rest, ":"); at > 0 {
			return reference{host, rest[:at], rest[at+1:]}, nil
		}
	}
	return reference{}, fmt.Errorf("%q is not of the form host[:port]/repository:tag", text)
}

// refuseInsecure refuses hosts for which runtimes do not verify certificates, or fall back to plain HTTP, all by themselves:
// a pull from there succeeds whatever the files say, and proves nothing.
func refuseInsecure(host string) error {
	name := host
	if split, _, err := net.SplitHostPort(host); err == nil {
		name = split
	}
	name = strings.Trim(name, "[]")
	address := net.ParseIP(name)
	if name == "localhost" || strings.HasSuffix(name, ".localhost") || (address != nil && address.IsLoopback()) {
		return fmt.Errorf("%s is refused: runtimes skip verification there, so a pull would prove nothing; name the registry otherwise and use --dial", host)
	}
	return nil
}
