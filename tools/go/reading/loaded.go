// Package reading says what a runtime's loader loaded, and answers read requests as JSON lines; each program that wraps one
// generation of a runtime's loader uses it.
package reading

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"os"
)

// Loaded says what a loader made of a directory; system roots are not counted.
type Loaded struct {
	CASubjects   []string `json:"caSubjects"`   // in the order of the pool
	Certificates []string `json:"certificates"` // SHA-256 of each client leaf's DER, in the order in which TLS tries them
	Leaves       []string `json:"leaves"`       // and their subjects
}

// Summarize adds up what the TLS settings of all endpoints hold.
func Summarize(settings []*tls.Config) (*Loaded, error) {
	summary := &Loaded{CASubjects: []string{}, Certificates: []string{}, Leaves: []string{}}
	for _, one := range settings {
		if one == nil {
			continue
		}
		subjects, err := addedSubjects(one.RootCAs)
		if err != nil {
			return nil, err
		}
		summary.CASubjects = append(summary.CASubjects, subjects...)
		for _, pair := range one.Certificates {
			sum := sha256.Sum256(pair.Certificate[0])
			summary.Certificates = append(summary.Certificates, hex.EncodeToString(sum[:]))
			leaf, err := x509.ParseCertificate(pair.Certificate[0])
			if err != nil {
				return nil, err
			}
			summary.Leaves = append(summary.Leaves, leaf.Subject.String())
		}
	}
	return summary, nil
}

// addedSubjects names the roots that the loader put on top of the system's. A pool keeps its order, so they are at its end.
func addedSubjects(pool *x509.CertPool) ([]string, error) {
	if pool == nil {
		return nil, nil
	}
	system, err := x509.SystemCertPool()
	if err != nil {
		return nil, err
	}
	var names []string
	all := pool.Subjects()
	for _, raw := range all[min(len(all), len(system.Subjects())):] {
		var sequence pkix.RDNSequence
		if _, err := asn1.Unmarshal(raw, &sequence); err != nil {
			return nil, err
		}
		names = append(names, sequence.String())
	}
	return names, nil
}

// RequireDirectory refuses a root that is none.
func RequireDirectory(root string) error {
	if info, err := os.Stat(root); err != nil || !info.IsDir() {
		return fmt.Errorf("the root %q is not a directory: a test that reads nowhere proves nothing", root)
	}
	return nil
}
