package main

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Pull is how a pull through the CRI plugin of a running containerd went: an error in its words, or nothing.
type Pull struct {
	Error string `json:"error"`
}

// pull asks a running containerd for an image as the kubelet does; the line is its socket, a tab and the image.
func pull(line string) Pull {
	socket, image, _ := strings.Cut(line, "\t")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := grpc.Dial("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return Pull{Error: err.Error()}
	}
	defer connection.Close()
	request := &runtime.PullImageRequest{Image: &runtime.ImageSpec{Image: image}}
	if _, err := runtime.NewImageServiceClient(connection).PullImage(ctx, request, grpc.WaitForReady(true)); err != nil {
		return Pull{Error: err.Error()}
	}
	return Pull{}
}
