// Package guest has a part of the benchmark run in a virtual machine and takes the results back: for what needs another
// kernel than the machine's own, or must not be done to the machine. It boots guests, and writes in folders for temporary files.
package guest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sonde/internal/bench/report"
	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
	"sonde/internal/vmtest/wire"
)

// Places in the guest.
const (
	bench = "/bench"
	Sonde = "/sonde" // if there is one on this machine
)

// Task is what is run in a guest.
type Task struct {
	Cache  *fetch.Cache
	Kernel string        // as vmtest knows it
	Sonde  string        // its path on this machine; it need not be there
	Files  []vmtest.File // beside sonde
	Args   []string      // of this same program, in the guest
	// Timeout is for the whole of it; 0 is vmtest's.
	Timeout time.Duration
}

// Take boots a guest and runs the task, which is to call Hand; its log goes on to log.
func Take(ctx context.Context, t Task, log io.Writer) (*report.Results, error) {
	dir, err := os.MkdirTemp("", "sonde-bench-guest-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	archive := filepath.Join(dir, "payload")
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := append([]vmtest.File{{Guest: bench, Host: self}}, t.Files...)
	if _, err := os.Stat(t.Sonde); err == nil {
		files = append(files, vmtest.File{Guest: Sonde, Host: t.Sonde})
	}
	if err := vmtest.Payload(ctx, archive, files); err != nil {
		return nil, err
	}
	var output bytes.Buffer
	result, err := vmtest.Boot(ctx, vmtest.Config{
		Cache: t.Cache, Kernel: t.Kernel, Archives: []string{archive}, Timeout: t.Timeout,
		Jobs: []vmtest.Job{{
			Job:    wire.Job{Args: append([]string{bench}, t.Args...), Dir: "/"},
			Output: io.MultiWriter(&output, &progress{to: log}),
		}},
	})
	if err != nil {
		var guest *vmtest.GuestError
		if errors.As(err, &guest) {
			return nil, fmt.Errorf("%w\n%s", err, guest.Console)
		}
		return nil, err
	}
	results, err := read(output.Bytes())
	if err != nil {
		return nil, fmt.Errorf("guest %s (exit status %d): %w", t.Kernel, result.Exits[0].Code, err)
	}
	return results, nil
}

// Hand hands over results, in the guest, at the end of what else was written to out.
func Hand(out io.Writer, results *report.Results) error {
	text, err := json.Marshal(results)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s%s\n", resultMark, text)
	return err
}

// resultMark begins the line with which a guest hands over its results, in the same stream as its progress.
const resultMark = "RESULTS "

// progress passes on a guest's output up to the line with the results.
type progress struct {
	to   io.Writer
	done bool
}

func (p *progress) Write(b []byte) (int, error) {
	shown := b
	if at := bytes.Index(b, []byte("\n"+resultMark)); at >= 0 {
		shown = b[:at]
		defer func() { p.done = true }()
	}
	if !p.done {
		_, _ = p.to.Write(shown)
	}
	return len(b), nil
}

func read(output []byte) (*report.Results, error) {
	for line := range bytes.Lines(output) {
		text, ok := bytes.CutPrefix(line, []byte(resultMark))
		if !ok {
			continue
		}
		var r report.Results
		if err := json.Unmarshal(text, &r); err != nil {
			return nil, fmt.Errorf("reading its results: %w", err)
		}
		return &r, nil
	}
	return nil, errors.New("it ended without results")
}
