// Package wire is what a guest and its host say to each other: the list of jobs going in, their output and their exit
// status coming back. It is shared by vmtest (host) and vmtest/init (guest) and touches nothing but readers and writers.
package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Names in the guest.
const (
	JobFile    = "/etc/sonde-jobs.json"
	ModulesDir = "/lib/guest-modules" // NAME.ko and "order"
	OutputPort = "sonde.output"       // virtio-serial port of frames
	StatusPort = "sonde.status"       // virtio-serial port of status lines
	Disk       = "/dev/vda"           // empty; a guest's own
	CorpusDir  = "/corpus"            // SUITE/NAME.bt, where tests of scripts run
	ObjectsDir = "/objects"           // NAME.o, where tests of compiled objects run
)

// Plan is what a guest does between its start and its end.
type Plan struct {
	Hostname string
	Jobs     []Job
}

// Job is one program to run in the guest, after the one before it has ended. Whatever a job leaves running is killed.
type Job struct {
	Args []string // Args[0] is a path in the guest
	Dir  string   // working directory; empty: /
	Env  []string // added to the guest's own environment
}

// ReadPlan reads a Plan as Marshal wrote it.
func ReadPlan(b []byte) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return Plan{}, fmt.Errorf("job list: %w", err)
	}
	for i, job := range p.Jobs {
		if len(job.Args) == 0 {
			return Plan{}, fmt.Errorf("job list: job %d names no program", i)
		}
	}
	return p, nil
}

// Marshal writes the plan for ReadPlan.
func (p Plan) Marshal() ([]byte, error) { return json.Marshal(p) }

// A frame on the output port is the job's number and the length of what follows, both 32-bit little-endian, then that
// many bytes of the job's output.
const (
	headerLen = 8
	MaxFrame  = 64 << 10
)

// WriteFrame writes one frame in one Write; data must not be longer than MaxFrame.
func WriteFrame(w io.Writer, job int, data []byte) error {
	b := make([]byte, headerLen, headerLen+len(data))
	binary.LittleEndian.PutUint32(b, uint32(job))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(data)))
	_, err := w.Write(append(b, data...))
	return err
}

// ReadFrames hands each frame's content to deliver as it arrives, until r ends. A guest that dies in the middle of a
// frame is an error, and what came of the frame is delivered.
func ReadFrames(r io.Reader, jobs int, deliver func(job int, data []byte)) error {
	var header [headerLen]byte
	buf := make([]byte, MaxFrame)
	for {
		if _, err := io.ReadFull(r, header[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("guest output ends within a frame: %w", err)
		}
		job, n := binary.LittleEndian.Uint32(header[:]), binary.LittleEndian.Uint32(header[4:])
		if job >= uint32(jobs) || n > MaxFrame {
			return fmt.Errorf("guest output is not in frames: job %d of %d, %d bytes", job, jobs, n)
		}
		got, err := io.ReadFull(r, buf[:n])
		deliver(int(job), buf[:got])
		if err != nil {
			return fmt.Errorf("guest output ends within a frame: %w", err)
		}
	}
}

// Status is what a guest told of itself, in the order of Format's lines.
type Status struct {
	Release string // kernel release; empty: the guest's init never got so far
	Started []int  // jobs in the order they started
	Exits   map[int]Exit
	Done    bool // all jobs have ended and the guest switched itself off
}

// Exit is how a job ended. Signal is the number of the signal that killed it, or 0; then Code is the exit status.
type Exit struct{ Code, Signal int }

// The lines on the status port.
func ReadyLine(release string) string { return "ready " + release + "\n" }
func StartLine(job int) string        { return fmt.Sprintf("start %d\n", job) }
func ExitLine(job int, exit Exit) string {
	return fmt.Sprintf("exit %d %d %d\n", job, exit.Code, exit.Signal)
}
func DoneLine() string { return "done\n" }

// ParseStatus reads status lines. A last line without its end, or one that is not known, is left out: the guest died
// writing it, and what is missing shows in the Status.
func ParseStatus(text string) Status {
	s := Status{Exits: map[int]Exit{}}
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		f := strings.Fields(line)
		switch {
		case len(f) == 2 && f[0] == "ready":
			s.Release = f[1]
		case len(f) == 1 && f[0] == "done":
			s.Done = true
		case len(f) == 2 && f[0] == "start":
			if n, err := numbers(f[1:]); err == nil {
				s.Started = append(s.Started, n[0])
			}
		case len(f) == 4 && f[0] == "exit":
			if n, err := numbers(f[1:]); err == nil {
				s.Exits[n[0]] = Exit{n[1], n[2]}
			}
		}
	}
	return s
}

func numbers(fields []string) ([]int, error) {
	out := make([]int, len(fields))
	for i, f := range fields {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		out[i] = n
	}
	return out, nil
}
