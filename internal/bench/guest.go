package bench

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"

	"sonde/internal/bench/guest"
	"sonde/internal/bench/measure"
	"sonde/internal/bench/peers"
	"sonde/internal/bench/report"
	"sonde/internal/vmtest"
	"sonde/internal/vmtest/fetch"
)

// GuestRole is the first argument under which a binary, in a guest, must call InGuest.
const GuestRole = "bench-guest"

// guestKernel is of the same suite as the peers, which therefore has its headers.
const guestKernel = "7.2"

// guestPeers is where the peers are in the guest.
const guestPeers = "/peers"

// GuestScale is what a guest has the time for: there bcc compiles its C for minutes.
var GuestScale = Scale{StartRounds: 1, StormSize: 500}

// guestFiles are the parts of the peers' root that a guest gets: unpacking takes it half a minute already.
var guestFiles = []string{"bin", "sbin", "lib", "lib64", "etc", "usr/bin", "usr/sbin", "usr/lib", "usr/lib64",
	"usr/src/*/include", "usr/src/*/arch/x86", "usr/src/*/Makefile"}

// guestDirs are made empty: something is mounted there, on the machine too.
var guestDirs = []string{"dev", "proc", "sys", "tmp", "root"}

// RunGuest boots a guest, measures those of the tools in it that are to be measured there, and returns its results.
func RunGuest(ctx context.Context, root peers.Root, sonde string, keys []string, log io.Writer) (*report.Results, error) {
	cache, err := fetch.Open("", false, log)
	if err != nil {
		return nil, err
	}
	kernel, err := cache.Kernel(ctx, guestKernel)
	if err != nil {
		return nil, err
	}
	if err := root.Headers(ctx, kernel.Release, log); err != nil {
		return nil, err
	}
	var files []vmtest.File
	for _, pattern := range guestFiles {
		found, err := filepath.Glob(filepath.Join(root.Dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, host := range found {
			files = append(files, vmtest.File{Guest: guestPeers + strings.TrimPrefix(host, root.Dir), Host: host})
		}
	}
	empty, err := os.MkdirTemp("", "sonde-bench-empty-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(empty)
	if err := os.Chmod(empty, 0o755); err != nil {
		return nil, err
	}
	for _, part := range guestDirs {
		files = append(files, vmtest.File{Guest: filepath.Join(guestPeers, part), Host: empty})
	}
	keysJSON, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	task := guest.Task{Cache: cache, Kernel: guestKernel, Sonde: sonde, Files: files, Args: []string{GuestRole, string(keysJSON)}}
	results, err := guest.Take(ctx, task, log)
	if err != nil {
		return nil, err
	}
	versions, err := root.Versions()
	if err != nil {
		return nil, err
	}
	results.Columns = Columns(Pick(Tools(sonde), Guest, keys), versions)
	return results, nil
}

// InGuest is the guest's side: it measures the tools with these keys and writes the results to out.
func InGuest(ctx context.Context, keysJSON string, out, log io.Writer) error {
	var keys []string
	if err := json.Unmarshal([]byte(keysJSON), &keys); err != nil {
		return err
	}
	if err := (peers.Root{Dir: guestPeers}).Mount(); err != nil {
		return err
	}
	machine, err := measure.Machine()
	if err != nil {
		return err
	}
	tools := Pick(Tools(guest.Sonde), Guest, keys)
	b := &Bench{
		Tools: tools, Root: guestPeers, Scale: GuestScale, Log: log,
		Results: &report.Results{Machine: machine, Columns: Columns(tools, nil), Notes: GuestNotes},
	}
	if err := b.Run(ctx, []Measure{{Name: "guest", Run: (*Bench).together}}); err != nil {
		return err
	}
	return guest.Hand(out, b.Results)
}

// together takes the start and one storm with a single run of each tool.
func (b *Bench) together(ctx context.Context) {
	b.each(ctx, "guest", b.Scale.StartRounds, func(tool Tool) error {
		running, err := b.attach(tool)
		if err != nil {
			return err
		}
		defer running.Kill()
		if err := b.started(tool, running); err != nil {
			return err
		}
		if err := b.burst(tool, running, guestStorm); err != nil {
			return err
		}
		if err := b.stopped(tool, running); err != nil {
			return err
		}
		b.losses(tool, running, guestStorm)
		return nil
	})
}

// guestStorm has few arguments, since bcc's tool shows no more than 20, and is the kind in which records get lost.
var guestStorm = storms[1]
