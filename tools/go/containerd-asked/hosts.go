package main

import (
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// Host is one host that containerd tries for a registry, with what its loader loaded for it. The system's CA certificates
// count as well: whoever asks sets SSL_CERT_FILE to an empty file.
type Host struct {
	URL          string      `json:"url"`
	Capabilities int         `json:"capabilities"`
	Header       http.Header `json:"header"`
	Transport    string      `json:"transport"`
	Insecure     bool        `json:"insecure"`
	CASubjects   []string    `json:"caSubjects"`
	Certificates []string    `json:"certificates"` // SHA-256 of each client leaf's DER, in the order in which TLS tries them
}

// Hosts are all of them, or why the loader failed, in its own words.
type Hosts struct {
	Error string `json:"error"`
	Hosts []Host `json:"hosts"`
}

func hosts(line string) Hosts {
	root, registry, _ := strings.Cut(line, "\t")
	found, err := configured(root, registry)
	if err != nil {
		return Hosts{Error: err.Error()}
	}
	var all []Host
	for _, one := range found {
		host := Host{
			URL:          fmt.Sprintf("%s://%s%s", one.Scheme, one.Host, one.Path),
			Capabilities: int(one.Capabilities),
			Header:       one.Header,
			Transport:    fmt.Sprintf("%T", one.Client.Transport),
		}
		// Where https is tried before http, the transport is wrapped, and what is inside can't be seen.
		if transport, ok := one.Client.Transport.(*http.Transport); ok && transport.TLSClientConfig != nil {
			settings := transport.TLSClientConfig
			host.Insecure = settings.InsecureSkipVerify
			if settings.RootCAs != nil {
				for _, raw := range settings.RootCAs.Subjects() {
					var sequence pkix.RDNSequence
					if _, err := asn1.Unmarshal(raw, &sequence); err != nil {
						return Hosts{Error: err.Error()}
					}
					host.CASubjects = append(host.CASubjects, sequence.String())
				}
			}
			for _, pair := range settings.Certificates {
				sum := sha256.Sum256(pair.Certificate[0])
				host.Certificates = append(host.Certificates, hex.EncodeToString(sum[:]))
			}
		}
		all = append(all, host)
	}
	return Hosts{Hosts: all}
}
