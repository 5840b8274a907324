// Command showing is registries of one image that show any chain and ask for any client certificate, as JSON lines on stdin
// say: a line opens one on a port of loopback, or closes one.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
)

// wanted is one registry; all certificates are DER. An empty chain only closes.
type wanted struct {
	Chain       [][]byte `json:"chain"`
	Key         []byte   `json:"key"`         // PKCS #8
	Ask         int      `json:"ask"`         // a tls.ClientAuthType
	Authorities [][]byte `json:"authorities"` // whom it names, and whose client certificates it verifies
	Minimum     uint16   `json:"minimum"`     // versions of TLS
	Maximum     uint16   `json:"maximum"`
	Status      int      `json:"status"` // of GET /v2/
	Close       int      `json:"close"`  // the port of one that is to be closed first; 0 for none
}

const (
	config       = "{}"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
)

var manifest = fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":"application/vnd.oci.image.config.v1+json",`+
	`"digest":%q,"size":%d},"layers":[]}`, manifestType, digest(config), len(config))

func digest(text string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(text)))
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	open := map[int]net.Listener{}
	for lines.Scan() {
		var asked wanted
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			log.Fatal("showing: not a registry: ", err)
		}
		if listener := open[asked.Close]; listener != nil {
			_ = listener.Close() // it is gone either way
			delete(open, asked.Close)
		}
		port := 0
		if len(asked.Chain) > 0 {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				log.Fatal("showing: ", err)
			}
			port = listener.Addr().(*net.TCPAddr).Port
			open[port] = listener
			go asked.serve(listener)
		}
		fmt.Println(port)
	}
}

func (w wanted) serve(listener net.Listener) {
	key, err := x509.ParsePKCS8PrivateKey(w.Key)
	if err != nil {
		log.Fatal("showing: ", err)
	}
	authorities := x509.NewCertPool()
	for _, der := range w.Authorities {
		if one, err := x509.ParseCertificate(der); err == nil {
			authorities.AddCert(one)
		}
	}
	server := http.Server{
		Handler: http.HandlerFunc(w.answer),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: w.Chain, PrivateKey: key}},
			ClientAuth:   tls.ClientAuthType(w.Ask),
			ClientCAs:    authorities,
			MinVersion:   w.Minimum,
			MaxVersion:   w.Maximum,
		},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1 alone
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	_ = server.ServeTLS(listener, "", "") // ends when the listener is closed
}

func (w wanted) answer(out http.ResponseWriter, asked *http.Request) {
	switch {
	case asked.URL.Path == "/v2/":
		out.WriteHeader(w.Status)
	case strings.Contains(asked.URL.Path, "/manifests/"):
		out.Header().Set("Content-Type", manifestType)
		out.Header().Set("Docker-Content-Digest", digest(manifest))
		_, _ = io.WriteString(out, manifest) // whoever asked has gone
	case strings.HasSuffix(asked.URL.Path, "/blobs/"+digest(config)):
		_, _ = io.WriteString(out, config)
	default:
		http.NotFound(out, asked)
	}
}
