package kernel

import (
	"fmt"
	"io"
	"os"
)

// readSmall returns the content of a file of /proc or /sys, whose size stat does not tell; more than limit bytes is an error.
func readSmall(path string, limit int64) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(data)) > limit {
		return "", fmt.Errorf("%s: longer than %d bytes", path, limit)
	}
	return string(data), nil
}
