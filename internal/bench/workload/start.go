package workload

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// helper is a command that runs the workload of run in this same binary, which must call Main for Role.
func helper(kind, program, tag string, count, extra int, pace time.Duration) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", Role, kind, program, tag, strconv.Itoa(count), strconv.Itoa(extra), pace.String())
	cmd.Stderr = os.Stderr
	return cmd
}

// Marks is a running process that execs a program every half millisecond.
type Marks struct {
	cmd  *exec.Cmd
	stop func() error
}

// StartMarks starts to exec program, with TAG-0, TAG-1 and so on, until Stop.
func StartMarks(program, tag string) (*Marks, error) {
	cmd := helper("mark", program, tag, 0, 0, 0)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &Marks{cmd: cmd, stop: in.Close}, nil
}

// Stop ends the marks and returns when the last has exited.
func (m *Marks) Stop() error {
	if err := m.stop(); err != nil {
		return err
	}
	return m.cmd.Wait()
}

// Storm describes a burst of execs.
type Storm struct {
	Program string
	Tag     string
	Count   int
	Args    int // arguments after the tag
	// Wide is how many are started before any is waited for; 0 runs them one after the other.
	Wide int
	// Pace is the rest after each exec of those that run one after the other.
	Pace time.Duration
}

// parallel forks every exec from one shell, which does not wait for an exec to be done before it forks
// the next, as a vforking parent would: so execs truly run side by side.
const parallel = `n=$1 tag=$2 wide=$3 program=$4; shift 4; i=0
while [ $i -lt $n ]; do
	"$program" "$tag-$i" "$@" &
	i=$((i+1))
	[ $((i % wide)) -ne 0 ] || wait
done
wait`

// Run runs the storm and returns when its last process has exited.
func (s Storm) Run() error {
	cmd := helper("storm", s.Program, s.Tag, s.Count, s.Args, s.Pace)
	if s.Wide > 0 {
		cmd = exec.Command("/bin/sh", "-c", parallel, "sh", strconv.Itoa(s.Count), s.Tag, strconv.Itoa(s.Wide), s.Program)
		cmd.Args = append(cmd.Args, Arguments(s.Args)...)
	}
	if output, err := cmd.Output(); err != nil {
		return fmt.Errorf("storm: %w: %s", err, bytes.TrimSpace(output))
	}
	return nil
}

// Time execs program count times and returns what each took.
func Time(program, tag string, count int) ([]Sample, error) {
	output, err := helper("time", program, tag, count, 0, 0).Output()
	if err != nil {
		return nil, fmt.Errorf("timed execs: %w", err)
	}
	var samples []Sample
	if err := gob.NewDecoder(bytes.NewReader(output)).Decode(&samples); err != nil {
		return nil, fmt.Errorf("timed execs: %w", err)
	}
	return samples, nil
}
