// Command judge says what Go itself makes of PEM files and registry names, as JSON lines: the question that every
// container runtime puts to crypto/x509, crypto/tls and the distribution project's reference grammar.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/distribution/reference"
)

// question has one file of each kind, or a registry's name; what is empty is not judged.
type question struct {
	ID          int64  `json:"id"`
	CA          []byte `json:"ca"`          // PEM, as in a .crt file
	Leaf        []byte `json:"leaf"`        // DER of a certificate that CA is to vouch for
	Host        string `json:"host"`        // whom the leaf must name
	At          int64  `json:"at"`          // the time of the verification, in Unix seconds
	Certificate []byte `json:"certificate"` // PEM, as in a .cert file
	Key         []byte `json:"key"`         // PEM, as in a .key file
	Registry    string `json:"registry"`
}

// verdict has an error of Go's own beside each thing that it refused; "" is acceptance.
type verdict struct {
	ID        int64  `json:"id"`
	Go        string `json:"go"`
	Blocks    int    `json:"blocks"`    // PEM blocks that encoding/pem sees in CA
	Roots     int    `json:"roots"`     // different certificates that AppendCertsFromPEM took from it
	Verify    string `json:"verify"`    // of Leaf
	Pair      string `json:"pair"`      // of tls.X509KeyPair
	Chain     int    `json:"chain"`     // certificates of the pair
	Reference string `json:"reference"` // of REGISTRY/x:y
	Domain    string `json:"domain"`    // the domain of that reference
	Grammar   bool   `json:"grammar"`   // whether the whole name matches the grammar's domain
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	out := json.NewEncoder(os.Stdout)
	domain := reference.DomainRegexp
	domain.Longest()
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fmt.Fprintln(os.Stderr, "judge: not a question:", err)
			os.Exit(2)
		}
		found := verdict{ID: asked.ID, Go: runtime.Version()}
		judgeCA(asked, &found)
		if len(asked.Certificate)+len(asked.Key) > 0 {
			pair, err := tls.X509KeyPair(asked.Certificate, asked.Key)
			found.Pair, found.Chain = words(err), len(pair.Certificate)
		}
		if asked.Registry != "" {
			name, err := reference.ParseAnyReference(asked.Registry + "/x:y")
			found.Reference = words(err)
			if named, ok := name.(reference.Named); ok {
				found.Domain = reference.Domain(named)
			}
			found.Grammar = domain.FindString(asked.Registry) == asked.Registry
		}
		if out.Encode(found) != nil {
			return
		}
	}
}

func judgeCA(asked question, found *verdict) {
	if len(asked.CA) == 0 {
		return
	}
	for rest := asked.CA; ; found.Blocks++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(asked.CA)
	found.Roots = len(pool.Subjects())
	if len(asked.Leaf) == 0 {
		return
	}
	leaf, err := x509.ParseCertificate(asked.Leaf)
	if err == nil {
		_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: asked.Host, CurrentTime: time.Unix(asked.At, 0)})
	}
	found.Verify = words(err)
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
