// Command kstatus prints what the kstatus library makes of objects: one JSON array of objects on standard input, one
// JSON array of {"status", "message"} on standard output, in the same order.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type result struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	results := make([]result, 0, len(objects))
	for _, raw := range objects {
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(raw); err != nil { // int64, as the API machinery reads it
			return err
		}
		computed, err := status.Compute(object)
		if err != nil {
			return err
		}
		results = append(results, result{computed.Status.String(), computed.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(results)
}
