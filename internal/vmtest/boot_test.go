package vmtest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"sonde/internal/vmtest/wire"
)

func TestVerdict(t *testing.T) {
	config := Config{Timeout: time.Minute, Jobs: []Job{
		{Job: wire.Job{Args: []string{"/src/a.test"}}},
		{Job: wire.Job{Args: []string{"/src/b.test"}}},
	}}
	all := map[int]wire.Exit{0: {}, 1: {Code: 1}}
	killed := errors.New("signal: killed")
	cut := errors.New("guest output ends within a frame")
	for _, tt := range []struct {
		name                       string
		status                     wire.Status
		stopped, runErr, framesErr error
		want                       string
	}{
		{"all is here", wire.Status{Release: "6.1", Started: []int{0, 1}, Exits: all, Done: true}, nil, nil, nil, ""},
		{"all is here, killed while switching off", wire.Status{Release: "6.1", Started: []int{0, 1}, Exits: all, Done: true}, context.DeadlineExceeded, killed, nil, ""},
		{"output is cut", wire.Status{Release: "6.1", Started: []int{0, 1}, Exits: all, Done: true}, nil, nil, cut, "guest output ends within a frame, between jobs"},
		{"never came up", wire.Status{}, nil, nil, nil, "ended without reporting, before its init was ready"},
		{"hung while booting", wire.Status{}, context.DeadlineExceeded, killed, nil, "no end after 1m0s, before its init was ready: qemu was killed"},
		{"hung in a job", wire.Status{Release: "6.1", Started: []int{0, 1}, Exits: map[int]wire.Exit{0: {}}}, context.DeadlineExceeded, killed, nil, "no end after 1m0s, while running /src/b.test: qemu was killed"},
		{"panic in a job", wire.Status{Release: "6.1", Started: []int{0}}, nil, nil, nil, "ended without reporting, while running /src/a.test"},
		{"between jobs", wire.Status{Release: "6.1", Started: []int{0}, Exits: map[int]wire.Exit{0: {}}}, nil, nil, nil, "ended without reporting, between jobs"},
		{"stopped", wire.Status{Release: "6.1", Started: []int{0}}, context.Canceled, killed, nil, "stopped while running /src/a.test"},
		{"qemu does not start", wire.Status{}, nil, errors.New("exit status 1"), nil, "qemu failed before its init was ready: exit status 1"},
		{"done, but a job is missing", wire.Status{Release: "6.1", Started: []int{0}, Exits: map[int]wire.Exit{0: {}}, Done: true}, nil, nil, nil, "ended without reporting, between jobs"},
		{"a job that is not ours", wire.Status{Release: "6.1", Started: []int{7}}, nil, nil, nil, "ended without reporting, between jobs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := verdict(tt.status, config, tt.stopped, tt.runErr, tt.framesErr); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLastLines(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int
		want string
	}{
		{"", 3, ""},
		{"a\r\nb\r\n", 3, "a\nb"},
		{"a\nb\nc\nd", 2, "c\nd"},
	} {
		if got := lastLines(tt.text, tt.n); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestArguments(t *testing.T) {
	m := machine{initrd: "/i", status: "/s", console: "/c", memoryMB: 1024, cpus: 2}
	m.qemu.Command = []string{"ld.so", "--library-path", "/lib", "qemu"}
	got := strings.Join(m.arguments(), " ")
	for _, want := range []string{"--library-path /lib qemu ", "-accel tcg,thread=single,tb-size=512", "-smp 2", "panic=-1", "-no-reboot"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if strings.Join(m.qemu.Command, " ") != "ld.so --library-path /lib qemu" {
		t.Error("making the arguments changed the command")
	}
}
